//! Values and gradients of the contrastive losses.

use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{LossConfig, LossKind, WeightGradient};
use chipmill_train::loss::contrastive;
use chipmill_train::monitors::embedding;
use serde_json::Value;

use crate::shared::{assert_close, device, json, numbers, tensors};

fn config(loss: &str, tau: f64, sigma: f64) -> LossConfig {
    let (kind, weight_gradient) = match loss {
        "ntxent" => (LossKind::NtXent, WeightGradient::Stop),
        "dcl" => (LossKind::Dcl, WeightGradient::Stop),
        "dclw_stop" => (LossKind::Dclw, WeightGradient::Stop),
        "dclw_nostop" => (LossKind::Dclw, WeightGradient::Pass),
        other => panic!("{other}"),
    };
    LossConfig {
        kind,
        temperature: tau as f32,
        sigma: sigma as f32,
        weight_gradient,
    }
}

fn leaf((shape, values): &(Vec<usize>, Vec<f64>), device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    Tensor::from_data(TensorData::new(values, shape.clone()), device).require_grad()
}

fn host(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

fn gradient_tolerance(tau: f64) -> f64 {
    if tau < 0.5 { 1e-4 } else { 3e-6 }
}

fn float(case: &Value, key: &str) -> f64 {
    case[key].as_f64().unwrap()
}

#[test]
fn values_and_gradients_of_every_loss_agree_with_the_reference() {
    let (Some(reference), Some(arrays)) =
        (json("contrastive.json"), tensors("contrastive.safetensors"))
    else {
        return;
    };
    let device = device();
    let (mut full, mut probed) = (0, 0);
    for case in reference["cases"].as_array().unwrap() {
        let (shape, loss) = (
            case["case"].as_str().unwrap(),
            case["loss"].as_str().unwrap(),
        );
        let tau = float(case, "tau");
        let name = format!("{shape}.t{tau:?}.{loss}");
        let z1 = leaf(&arrays[&format!("{shape}.z1")], &device);
        let z2 = leaf(&arrays[&format!("{shape}.z2")], &device);
        let config = config(loss, tau, float(case, "sigma"));
        let value = contrastive(z1.clone(), z2.clone(), &config).unwrap();
        assert_close(
            &name,
            &[value.to_data().iter::<f64>().next().unwrap()],
            &[float(case, "value")],
            3e-6,
        );

        let accuracy = embedding(z1.clone(), z2.clone())
            .unwrap()
            .contrastive_accuracy;
        assert_close(&name, &[accuracy], &[float(case, "contrast_acc")], 1e-6);

        let tape = value.backward();
        for (view, z) in [("z1", &z1), ("z2", &z2)] {
            let gradient = host(z.grad(&tape).unwrap());
            let tolerance = gradient_tolerance(tau) * largest(&gradient);
            let what = format!("{name}.grad_{view}");
            if let Some((_, expected)) = arrays.get(&what) {
                assert_close(&what, &gradient, expected, tolerance);
                full += 1;
            }
            let at = numbers(&case["probe_flat_index"]);
            let found: Vec<f64> = at.iter().map(|&i| gradient[i as usize]).collect();
            assert_close(
                &what,
                &found,
                &numbers(&case[format!("grad_{view}_probe")]),
                tolerance,
            );
            probed += 1;
        }
    }
    assert!(full >= 250 && probed >= 280, "{full} {probed}");
}

#[test]
fn collapsed_and_aligned_orthogonal_projections_give_the_closed_forms() {
    let Some(reference) = json("contrastive.json") else {
        return;
    };
    let device = device();
    for edge in reference["edge"].as_array().unwrap() {
        let (images, tau) = (edge["B"].as_u64().unwrap() as usize, float(edge, "tau"));
        let collapsed = edge["name"] == "collapsed";
        let entry = |i: usize| {
            if collapsed || i.is_multiple_of(images + 1) {
                1.0
            } else {
                0.0
            }
        };
        let values: Vec<f32> = (0..images * images).map(entry).collect();
        let z = Tensor::<2>::from_data(TensorData::new(values, [images, images]), &device);
        for loss in ["ntxent", "dcl", "dclw_stop", "dclw_nostop"] {
            let value = contrastive(z.clone(), z.clone(), &config(loss, tau, 0.5)).unwrap();
            let found = value.into_data().iter::<f64>().next().unwrap();
            assert_close(
                &format!("{edge} {loss}"),
                &[found],
                &[float(edge, loss)],
                3e-6,
            );
        }
    }
}
