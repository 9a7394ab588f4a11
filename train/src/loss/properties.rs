//! What every implementation of these losses must satisfy, against a naive loop in f64.
#![expect(clippy::cast_possible_truncation, reason = "f32 is what is tested")]

use burn::tensor::{DType, Device, Tensor, TensorData};
use chipmill_schemas::config::{LossConfig, LossKind, WeightGradient};
use proptest::prelude::*;

use super::similarity::Similarities;
use super::{LossError, contrastive, dcl, nt_xent};
use crate::init::Draws;

const LOSSES: [(LossKind, WeightGradient); 4] = [
    (LossKind::NtXent, WeightGradient::Stop),
    (LossKind::Dcl, WeightGradient::Stop),
    (LossKind::Dclw, WeightGradient::Stop),
    (LossKind::Dclw, WeightGradient::Pass),
];

/// Projections of two views, `[image][dimension]`.
#[derive(Debug, Clone, PartialEq)]
struct Views {
    first: Vec<Vec<f64>>,
    second: Vec<Vec<f64>>,
}

impl Views {
    /// Correlated views, rounded to f32.
    fn drawn(seed: u64, images: usize, dimension: usize) -> Self {
        let rows = |name: &str| -> Vec<Vec<f64>> {
            let all = Draws::new(seed, name).normals(images * dimension, 1.0);
            all.chunks_exact(dimension)
                .map(|r| r.iter().map(|&v| f64::from(v)).collect())
                .collect()
        };
        let (first, noise) = (rows("first"), rows("noise"));
        let mix = |(a, b): (&f64, &f64)| f64::from((a + 0.7 * b) as f32);
        let second = first
            .iter()
            .zip(&noise)
            .map(|(a, b)| a.iter().zip(b).map(mix).collect());
        Self {
            second: second.collect(),
            first,
        }
    }

    fn leaves(&self) -> [Tensor<2>; 2] {
        let device: Device = crate::parse_device("cpu").unwrap().autodiff();
        [&self.first, &self.second].map(|rows| {
            let values: Vec<f32> = rows.iter().flatten().map(|&v| v as f32).collect();
            let shape = [rows.len(), rows[0].len()];
            Tensor::from_data(TensorData::new(values, shape), &device).require_grad()
        })
    }
}

fn config((kind, weight_gradient): (LossKind, WeightGradient), temperature: f32) -> LossConfig {
    LossConfig {
        kind,
        temperature,
        sigma: 0.5,
        weight_gradient,
    }
}

/// The definition, loop by loop; `weights` replaces the weights of `dclw`.
fn naive(views: &Views, config: &LossConfig, weights: Option<&[f64]>) -> f64 {
    let unit = |row: &Vec<f64>| -> Vec<f64> {
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt().max(1e-12);
        row.iter().map(|v| v / norm).collect()
    };
    let rows: Vec<Vec<f64>> = views.first.iter().chain(&views.second).map(unit).collect();
    let cosine = |a: usize, b: usize| {
        rows[a]
            .iter()
            .zip(&rows[b])
            .map(|(x, y)| x * y)
            .sum::<f64>()
    };
    let (images, tau) = (views.first.len(), f64::from(config.temperature));
    let own = naive_weights(views, f64::from(config.sigma));
    let mut total = 0.0;
    for a in 0..2 * images {
        let partner = (a + images) % (2 * images);
        let mut sum = 0.0;
        for b in 0..2 * images {
            let taken = b != a && (b != partner || config.kind == LossKind::NtXent);
            sum += if taken {
                (cosine(a, b) / tau).exp()
            } else {
                0.0
            };
        }
        let weight = match config.kind {
            LossKind::Dclw => weights.unwrap_or(&own)[a % images],
            LossKind::NtXent | LossKind::Dcl => 1.0,
        };
        total += sum.ln() - weight * cosine(a, partner) / tau;
    }
    total / (2 * images) as f64
}

fn naive_weights(views: &Views, sigma: f64) -> Vec<f64> {
    let cosine = |(a, b): (&Vec<f64>, &Vec<f64>)| {
        let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
        (dot(a, b) / (dot(a, a) * dot(b, b)).sqrt() / sigma).exp()
    };
    let shares: Vec<f64> = views.first.iter().zip(&views.second).map(cosine).collect();
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    shares.iter().map(|s| 2.0 - s / mean).collect()
}

/// Central differences of the naive loss; with stopped weights those of the middle point are kept.
fn naive_gradient(views: &Views, config: &LossConfig) -> Vec<f64> {
    let kept = naive_weights(views, f64::from(config.sigma));
    let stop = config.weight_gradient == WeightGradient::Stop;
    let weights = stop.then_some(&kept[..]);
    let mut gradient = Vec::new();
    for view in 0..2 {
        for i in 0..views.first.len() {
            for j in 0..views.first[0].len() {
                let moved = |step: f64| {
                    let mut views = views.clone();
                    let rows = if view == 0 {
                        &mut views.first
                    } else {
                        &mut views.second
                    };
                    rows[i][j] += step;
                    naive(&views, config, weights)
                };
                gradient.push((moved(1e-5) - moved(-1e-5)) / 2e-5);
            }
        }
    }
    gradient
}

fn value(views: &Views, config: &LossConfig) -> f64 {
    let [z1, z2] = views.leaves();
    number(contrastive(z1, z2, config).unwrap())
}

fn number(tensor: Tensor<1>) -> f64 {
    f64::from(tensor.into_scalar::<f32>())
}

/// Gradients of both views, one after the other.
fn gradient(loss: &Tensor<1>, leaves: &[Tensor<2>; 2]) -> Vec<f64> {
    let tape = loss.backward();
    let of = |z: &Tensor<2>| {
        z.grad(&tape)
            .unwrap()
            .into_data()
            .iter::<f64>()
            .collect::<Vec<_>>()
    };
    leaves.iter().flat_map(of).collect()
}

fn loss_gradient(views: &Views, config: &LossConfig) -> Vec<f64> {
    let leaves = views.leaves();
    let [z1, z2] = leaves.clone();
    gradient(&contrastive(z1, z2, config).unwrap(), &leaves)
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |m, v| v.abs().max(m))
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    let worst = found
        .iter()
        .zip(expected)
        .map(|(f, e)| (f - e).abs())
        .fold(0.0, f64::max);
    assert!(
        worst <= tolerance,
        "{what}: off by {worst:e}, tolerance {tolerance:e}"
    );
}

#[test]
fn values_and_gradients_agree_with_a_naive_loop() {
    for (images, dimension) in [(2, 4), (5, 3), (8, 16)] {
        let views = Views::drawn(images as u64, images, dimension);
        for temperature in [0.1, 0.5, 1.0] {
            for loss in LOSSES {
                let config = config(loss, temperature);
                let what = format!("{config:?} {images} x {dimension}");
                let expected = naive(&views, &config, None);
                assert_close(&[value(&views, &config)], &[expected], 3e-6, &what);
                let expected = naive_gradient(&views, &config);
                let tolerance = largest(&expected) * if temperature < 0.5 { 1e-4 } else { 5e-6 };
                assert_close(&loss_gradient(&views, &config), &expected, tolerance, &what);
            }
        }
    }
}

#[test]
fn each_nt_xent_gradient_is_the_dcl_gradient_times_the_coupling_factor() {
    let views = Views::drawn(1, 4, 8);
    let terms = |anchor: usize, decoupled: bool| {
        let leaves = views.leaves();
        let [z1, z2] = leaves.clone();
        let s = Similarities::of(z1, z2, 0.5).unwrap();
        let factor = (s.log_sum_negatives() - s.log_sum_others())
            .exp()
            .slice_dim(0, anchor..anchor + 1);
        let terms = if decoupled {
            dcl::terms(&s)
        } else {
            nt_xent::terms(&s)
        };
        (
            gradient(&terms.slice_dim(0, anchor..anchor + 1), &leaves),
            number(factor),
        )
    };
    for anchor in 0..8 {
        let (coupled, q) = terms(anchor, false);
        let (free, _) = terms(anchor, true);
        assert!(q > 0.0 && q < 1.0);
        let expected: Vec<f64> = free.iter().map(|g| q * g).collect();
        assert_close(
            &coupled,
            &expected,
            1e-6 * largest(&free),
            &format!("anchor {anchor}"),
        );
    }
}

#[test]
fn stopped_and_passed_weights_have_the_same_value_and_other_gradients() {
    let views = Views::drawn(2, 6, 8);
    let [stop, pass] = [LOSSES[2], LOSSES[3]].map(|loss| config(loss, 0.1));
    assert_eq!(value(&views, &stop), value(&views, &pass));
    let (a, b) = (loss_gradient(&views, &stop), loss_gradient(&views, &pass));
    let scale = largest(&a);
    assert!(a.iter().zip(&b).any(|(a, b)| (a - b).abs() > 0.01 * scale));
}

#[test]
fn weights_have_mean_one_and_are_not_clamped_at_zero() {
    // One aligned pair among opposite ones: its weight goes below zero.
    let cosines = [1.0, -1.0, -1.0, -1.0, -1.0];
    let device = crate::parse_device("cpu").unwrap();
    let weights = dcl::weights(Tensor::from_floats(cosines, &device), 0.5);
    let weights: Vec<f64> = weights.into_data().iter::<f64>().collect();
    assert!((weights.iter().sum::<f64>() / 5.0 - 1.0).abs() < 1e-6);
    assert!(weights[0] < -2.0 && weights[0] > -3.0 && weights[1..].iter().all(|&w| w < 2.0));
}

#[test]
fn gradients_are_orthogonal_to_the_projections() {
    let views = Views::drawn(3, 5, 6);
    let rows: Vec<&Vec<f64>> = views.first.iter().chain(&views.second).collect();
    for loss in LOSSES {
        let gradient = loss_gradient(&views, &config(loss, 0.2));
        for (row, g) in rows.iter().zip(gradient.chunks_exact(6)) {
            let along: f64 = row.iter().zip(g).map(|(z, g)| z * g).sum();
            assert!(along.abs() < 1e-6 * largest(&gradient).max(1.0), "{along}");
        }
    }
}

#[test]
fn collapsed_and_orthogonal_projections_give_the_closed_forms() {
    let images = 5;
    for temperature in [0.1_f32, 0.5, 1.0] {
        let tau = f64::from(temperature);
        let collapsed = vec![vec![0.3, -0.4]; images];
        let identity: Vec<Vec<f64>> = (0..images)
            .map(|i| (0..images).map(|j| f64::from(u8::from(i == j))).collect())
            .collect();
        for loss in LOSSES {
            let config = config(loss, temperature);
            let negatives = (2 * images - 2) as f64;
            let coupled = config.kind == LossKind::NtXent;
            let views = Views {
                first: collapsed.clone(),
                second: collapsed.clone(),
            };
            let expected = if coupled {
                (negatives + 1.0).ln()
            } else {
                negatives.ln()
            };
            assert_close(&[value(&views, &config)], &[expected], 2e-6, "collapsed");
            let views = Views {
                first: identity.clone(),
                second: identity.clone(),
            };
            let positive = if coupled { (1.0 / tau).exp() } else { 0.0 };
            let expected = (positive + negatives).ln() - 1.0 / tau;
            assert_close(&[value(&views, &config)], &[expected], 3e-6, "orthogonal");
        }
    }
}

#[test]
fn at_temperature_one_decoupling_changes_the_gradient_by_less_than_three_percent() {
    let views = Views::drawn(4, 128, 64);
    let of = |loss| loss_gradient(&views, &config(loss, 1.0));
    let (coupled, free) = (of(LOSSES[0]), of(LOSSES[1]));
    let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
    let difference: Vec<f64> = coupled.iter().zip(&free).map(|(a, b)| a - b).collect();
    assert!(norm(&difference) < 0.03 * norm(&free));
}

#[test]
fn duplicated_and_zero_rows_give_finite_values_and_gradients_at_every_temperature() {
    let mut views = Views::drawn(5, 6, 4);
    views.first[1] = views.first[0].clone();
    views.second[1] = views.first[0].clone();
    views.first[2] = vec![0.0; 4];
    views.first[3] = vec![0.0; 4];
    views.second[3] = vec![0.0; 4];
    views.first[4] = vec![1e-20; 4];
    views.second[5] = vec![1e15; 4];
    for temperature in [0.01, 0.05, 0.1, 1.0, 10.0] {
        for loss in LOSSES {
            let config = config(loss, temperature);
            assert!(value(&views, &config).is_finite(), "{config:?}");
            assert!(
                loss_gradient(&views, &config).iter().all(|g| g.is_finite()),
                "{config:?}"
            );
        }
    }
}

#[test]
fn half_precision_projections_are_taken_to_f32() {
    let [z1, z2] = Views::drawn(6, 4, 8).leaves();
    for dtype in [DType::F16, DType::BF16] {
        let loss = nt_xent(z1.clone().cast(dtype), z2.clone().cast(dtype), 0.1).unwrap();
        assert_eq!(loss.dtype(), DType::F32);
        assert!(number(loss).is_finite());
    }
}

#[test]
fn one_image_or_unequal_views_are_errors() {
    let [z1, z2] = Views::drawn(7, 1, 4).leaves();
    assert_eq!(
        dcl(z1, z2, 0.1).unwrap_err(),
        LossError::TooFewImages { found: 1 }
    );
    let ([z1, _], [_, z2]) = (
        Views::drawn(7, 3, 4).leaves(),
        Views::drawn(7, 4, 4).leaves(),
    );
    let error = nt_xent(z1, z2, 0.1).unwrap_err();
    assert_eq!(error.to_string().matches('[').count(), 2, "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn losses_do_not_change_when_views_swap_images_move_or_rows_are_rescaled(
        seed in any::<u64>(),
        images in 2_usize..8,
        turn in 0_usize..8,
        scale in 0.01_f64..100.0,
        row in 0_usize..8,
    ) {
        let views = Views::drawn(seed, images, 5);
        let swapped = Views { first: views.second.clone(), second: views.first.clone() };
        let mut turned = views.clone();
        turned.first.rotate_left(turn % images);
        turned.second.rotate_left(turn % images);
        let mut rescaled = views.clone();
        rescaled.first[row % images].iter_mut().for_each(|v| *v *= scale);
        for loss in LOSSES {
            let config = config(loss, 0.1);
            let expected = value(&views, &config);
            for other in [&swapped, &turned, &rescaled] {
                prop_assert!((value(other, &config) - expected).abs() < 1e-5 * expected.abs().max(1.0));
            }
        }
    }
}
