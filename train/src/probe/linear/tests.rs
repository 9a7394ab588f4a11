use ndarray::{Array2, arr2, s};

use super::objective::{Link, Objective};
use super::{FitError, Linear};
use crate::init::Draws;

/// Rows drawn around one centre a class.
fn rows(count: usize, features: usize, classes: usize) -> (Array2<f64>, Vec<usize>) {
    let truth: Vec<usize> = (0..count).map(|i| i % classes).collect();
    let noise = Draws::new(1, "noise");
    let centre = Draws::new(2, "centre");
    let x = Array2::from_shape_fn((count, features), |(i, j)| {
        noise.normal((i * features + j) as u64) + centre.normal((truth[i] * features + j) as u64)
    });
    (x, truth)
}

/// The objective, loop by loop.
fn naive(x: &Array2<f64>, targets: &Array2<f64>, link: Link, c: f64, at: &Array2<f64>) -> f64 {
    let (features, classes) = (x.ncols(), targets.ncols());
    let penalty: f64 = at
        .slice(s![..features, ..])
        .iter()
        .map(|w| 0.5 * w * w)
        .sum();
    let mut losses = 0.0;
    for i in 0..x.nrows() {
        let z: Vec<f64> = (0..classes)
            .map(|k| at[(features, k)] + (0..features).map(|j| x[(i, j)] * at[(j, k)]).sum::<f64>())
            .collect();
        let all: f64 = z.iter().map(|z| z.exp()).sum();
        for k in 0..classes {
            losses -= match link {
                Link::Softmax => targets[(i, k)] * (z[k].exp() / all).ln(),
                Link::Sigmoid => {
                    let p = 1.0 / (1.0 + (-z[k]).exp());
                    targets[(i, k)] * p.ln() + (1.0 - targets[(i, k)]) * (1.0 - p).ln()
                }
            };
        }
    }
    penalty + c * losses
}

#[test]
fn value_gradient_and_curvature_agree_with_a_naive_loop() {
    let (x, truth) = rows(7, 3, 4);
    let point = Array2::from_shape_fn((4, 4), |(i, j)| {
        Draws::new(3, "p").normal((i * 4 + j) as u64)
    });
    let turn = Array2::from_shape_fn((4, 4), |(i, j)| {
        Draws::new(4, "d").normal((i * 4 + j) as u64)
    });
    let targets = Array2::from_shape_fn((7, 4), |(i, k)| f64::from(u8::from(truth[i] == k)));
    for link in [Link::Softmax, Link::Sigmoid] {
        let objective = Objective::new(x.view(), targets.clone(), link, 0.7);
        let at = objective.at(point.clone());
        let value = |p: &Array2<f64>| naive(&x, &targets, link, 0.7, p);
        assert!((at.value - value(&point)).abs() < 1e-10);
        let h = 1e-5;
        let slope = (value(&(&point + &(&turn * h))) - value(&(&point - &(&turn * h)))) / (2.0 * h);
        assert!((slope - (&at.gradient * &turn).sum()).abs() < 1e-6 * slope.abs().max(1.0));
        let ahead = objective.at(&point + &(&turn * h)).gradient;
        let behind = objective.at(&point - &(&turn * h)).gradient;
        let expected = (ahead - behind) / (2.0 * h);
        let found = objective.curvature(&at, &turn);
        assert!((found - expected).iter().all(|d| d.abs() < 1e-6));
        let axis = |at: (usize, usize)| {
            let mut unit = Array2::zeros((4, 4));
            unit[at] = 1.0;
            unit
        };
        let diagonal = objective.diagonal(&at);
        for i in [(0, 1), (2, 3), (3, 0)] {
            let expected = objective.curvature(&at, &axis(i))[i];
            assert!((diagonal[i] - expected).abs() < 1e-12);
        }
    }
}

#[test]
fn the_fit_is_at_the_minimum_and_the_same_every_time() {
    let (x, truth) = rows(90, 8, 3);
    let fitted = Linear::multinomial(x.view(), &truth, 3, 1.0).unwrap();
    assert!(fitted.gradient < 1e-8 && fitted.intercepts.sum().abs() < 1e-10);
    assert_eq!(
        fitted,
        Linear::multinomial(x.view(), &truth, 3, 1.0).unwrap()
    );
    let right = fitted
        .predict(x.view())
        .iter()
        .zip(&truth)
        .filter(|(a, b)| a == b)
        .count();
    assert!(right > 60, "{right}");
}

#[test]
fn one_against_the_rest_fits_every_class_as_if_alone() {
    let (x, truth) = rows(60, 5, 3);
    let labels = Array2::from_shape_fn((60, 3), |(i, k)| truth[i] == k || (k == 0 && i % 5 == 0));
    let together = Linear::one_vs_rest(x.view(), labels.view(), 2.0).unwrap();
    for k in 0..3 {
        let alone = Linear::one_vs_rest(x.view(), labels.slice(s![.., k..=k]), 2.0).unwrap();
        let difference = &together.weights.row(k) - &alone.weights.row(0);
        assert!(difference.iter().all(|d| d.abs() < 1e-8));
        assert!((together.intercepts[k] - alone.intercepts[0]).abs() < 1e-7);
    }
    let p = together.probabilities(x.view());
    assert!(p.iter().all(|p| (0.0..=1.0).contains(p)));
}

#[test]
fn a_label_that_no_row_or_every_row_has_gets_a_constant() {
    let (x, _) = rows(20, 2, 2);
    let labels = Array2::from_shape_fn((20, 3), |(i, k)| [false, true, i % 2 == 0][k]);
    let fitted = Linear::one_vs_rest(x.view(), labels.view(), 1.0).unwrap();
    let p = fitted.probabilities(x.view());
    assert!((p[(0, 0)] - 0.5 / 21.0).abs() < 1e-12 && (p[(9, 1)] - 20.5 / 21.0).abs() < 1e-12);
    assert!(fitted.weights.row(2).iter().any(|&w| w != 0.0));
    let none = Linear::one_vs_rest(x.view(), labels.slice(s![.., ..1]), 1.0).unwrap();
    assert_eq!(none.iterations, 0);
}

#[test]
fn separable_rows_and_features_without_variance_still_converge() {
    let x = arr2(&[[-1.0, 0.0], [-2.0, 0.0], [1.0, 0.0], [3.0, 0.0]]);
    let fitted = Linear::multinomial(x.view(), &[0, 0, 1, 1], 2, 1e4).unwrap();
    assert!(fitted.gradient < 1e-6, "{}", fitted.gradient);
    assert_eq!(fitted.predict(x.view()), [0, 0, 1, 1]);
}

#[test]
fn what_cannot_be_fitted_is_refused_by_name() {
    let (mut x, truth) = rows(6, 2, 3);
    let fit = |x: &Array2<f64>, truth: &[usize], classes| {
        Linear::multinomial(x.view(), truth, classes, 1.0).unwrap_err()
    };
    assert_eq!(fit(&x, &truth, 4), FitError::EmptyClass { class: 3 });
    assert_eq!(
        fit(&x, &truth, 2),
        FitError::NoSuchClass {
            row: 2,
            class: 2,
            classes: 2
        }
    );
    assert_eq!(
        fit(&x, &truth[1..], 3),
        FitError::Rows {
            features: 6,
            targets: 5
        }
    );
    assert!(matches!(
        fit(&Array2::zeros((0, 2)), &[], 2),
        FitError::Nothing { rows: 0, .. }
    ));
    x[(4, 1)] = f64::NAN;
    let error = fit(&x, &truth, 3).to_string();
    assert!(error.contains("feature 1 of train row 4 is NaN"), "{error}");
}
