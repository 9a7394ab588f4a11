//! The linear probe, the neighbours and the multi-label scores.

use chipmill_train::probe::linear::{Linear, Standardiser, best_classes};
use chipmill_train::probe::{knn, scores};
use ndarray::{Array1, Array2, Axis};

use crate::shared::{Arrays, assert_close, json, numbers, tensors};

struct Task {
    train: Array2<f64>,
    test: Array2<f64>,
    train_truth: Vec<usize>,
    test_truth: Vec<usize>,
    arrays: Arrays,
}

fn task() -> Option<Task> {
    let arrays = tensors("probe.safetensors")?;
    let (shape, x) = &arrays["X"];
    let x = Array2::from_shape_vec((shape[0], shape[1]), x.clone()).unwrap();
    let y: Vec<usize> = arrays["y"].1.iter().map(|&v| v as usize).collect();
    let mask = arrays["test_mask"].1.clone();
    let rows =
        |test: bool| -> Vec<usize> { (0..y.len()).filter(|&i| (mask[i] != 0.0) == test).collect() };
    let truth = |rows: &[usize]| rows.iter().map(|&i| y[i]).collect();
    Some(Task {
        train: x.select(Axis(0), &rows(false)),
        test: x.select(Axis(0), &rows(true)),
        train_truth: truth(&rows(false)),
        test_truth: truth(&rows(true)),
        arrays,
    })
}

#[test]
fn the_linear_probe_agrees_with_the_reference() {
    let (Some(task), Some(reference)) = (task(), json("eval.json")) else {
        return;
    };
    let standardiser = Standardiser::fit(task.train.view());
    let array = |key: &str| task.arrays[key].1.clone();
    assert_close(
        "mean",
        standardiser.mean.as_slice().unwrap(),
        &array("mean"),
        1e-12,
    );
    assert_close(
        "scale",
        standardiser.scale.as_slice().unwrap(),
        &array("scale"),
        1e-12,
    );
    let train = standardiser.apply(task.train.view());
    let test = standardiser.apply(task.test.view());
    for case in reference["probe"].as_array().unwrap() {
        let c = case["C"].as_f64().unwrap();
        let fitted = Linear::multinomial(train.view(), &task.train_truth, 4, c).unwrap();
        assert!(
            fitted.gradient < 1e-8,
            "C {c}: gradient {}",
            fitted.gradient
        );
        let weights: Vec<f64> = fitted.weights.iter().copied().collect();
        assert_close("weights", &weights, &array(&format!("C{c:?}.coef")), 1e-8);
        let intercepts = fitted.intercepts.to_vec();
        assert_close(
            "intercepts",
            &intercepts,
            &array(&format!("C{c:?}.intercept")),
            1e-8,
        );
        let predicted = fitted.predict(test.view());
        let as_floats: Vec<f64> = predicted.iter().map(|&p| p as f64).collect();
        assert_close(
            "predictions",
            &as_floats,
            &array(&format!("C{c:?}.test_pred")),
            0.0,
        );

        let found = scores::single_label(&task.test_truth, &predicted, 4);
        assert_close(
            "accuracy",
            &[found.accuracy],
            &[case["test_accuracy"].as_f64().unwrap()],
            1e-12,
        );
        let confusion: Vec<f64> = found
            .confusion
            .iter()
            .flatten()
            .map(|&n| n as f64)
            .collect();
        assert_close("confusion", &confusion, &numbers(&case["confusion"]), 0.0);
    }
}

#[test]
fn neighbours_agree_with_the_reference() {
    let (Some(task), Some(reference)) = (task(), json("eval.json")) else {
        return;
    };
    let one_hot = |&class: &usize| (0..4).map(move |k| if k == class { 1.0 } else { 0.0 });
    let truth: Array1<f64> = task.train_truth.iter().flat_map(one_hot).collect();
    let truth = truth
        .into_shape_with_order((task.train_truth.len(), 4))
        .unwrap();
    for case in reference["knn"].as_array().unwrap() {
        let (k, temperature) = (case["k"].as_u64().unwrap(), case["T"].as_f64().unwrap());
        let votes = knn::votes(
            task.train.view(),
            truth.view(),
            task.test.view(),
            k as usize,
            temperature,
        );
        let predicted = best_classes(votes.view());
        let first: Vec<f64> = predicted[..20].iter().map(|&p| p as f64).collect();
        assert_close("predictions", &first, &numbers(&case["pred_first20"]), 0.0);
        let found = scores::single_label(&task.test_truth, &predicted, 4);
        assert_close(
            "accuracy",
            &[found.accuracy],
            &[case["accuracy"].as_f64().unwrap()],
            1e-12,
        );
    }
}

#[test]
fn multi_label_scores_agree_with_the_reference() {
    let Some(reference) = json("eval.json") else {
        return;
    };
    let reference = &reference["multilabel"];
    let array = |key: &str| {
        let rows = reference[key].as_array().unwrap().len();
        let values = numbers(&reference[key]);
        Array2::from_shape_vec((rows, values.len() / rows), values).unwrap()
    };
    let truth = array("y").mapv(|v| v != 0.0);
    let found = scores::multi_label(truth.view(), array("score").view(), 0.6);
    let expected = |key: &str| reference[key].as_f64().unwrap();
    for (class, ap) in found.ap_by_class.iter().enumerate() {
        assert_eq!(
            *ap,
            reference["ap_per_label"][class].as_f64().map(|e| {
                assert_close("average precision", &[ap.unwrap()], &[e], 1e-12);
                ap.unwrap()
            })
        );
    }
    // The reference's macro F1 counts the class without a positive as 0, ours leaves it out.
    let classes = found.ap_by_class.len() as f64;
    let macro_f1 = found.macro_f1 * found.scored_classes as f64 / classes;
    assert_close(
        "means",
        &[found.macro_ap, found.micro_ap, found.micro_f1, macro_f1],
        &[
            expected("map_macro_skip_empty"),
            expected("map_micro"),
            expected("f1_micro_thr0_6"),
            expected("f1_macro_thr0_6"),
        ],
        1e-12,
    );
}
