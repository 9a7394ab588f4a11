use std::collections::BTreeMap;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{
    EncoderConfig, EncoderKind, OptimizerConfig, OptimizerKind, ProjectionConfig, Stem,
};

use super::{Gradients, Optimizer};
use crate::init::Draws;
use crate::loss::nt_xent;
use crate::model::ContrastiveModel;
use crate::model::weights::{HostTensor, from_safetensors, read, to_safetensors};

fn device() -> Device {
    crate::parse_device("cpu").unwrap().autodiff()
}

fn model() -> ContrastiveModel {
    let encoder = EncoderConfig {
        kind: EncoderKind::Small,
        width: 4,
        stem: Stem::Standard,
    };
    ContrastiveModel::new(
        &encoder,
        &ProjectionConfig {
            hidden: 8,
            output: 4,
            ..ProjectionConfig::default()
        },
        2,
        8,
        0,
        &device(),
    )
}

fn step(
    model: ContrastiveModel,
    optimizer: &mut Optimizer,
    number: u64,
) -> (ContrastiveModel, f32) {
    let [z1, z2] = [0, 1].map(|view| {
        let values = Draws::new(number, ["first", "second"][view]).normals(6 * 2 * 64, 1.0);
        let view = Tensor::from_data(TensorData::new(values, [6, 2, 8, 8]), &device());
        model.forward(view).projections
    });
    let loss = nt_xent(z1, z2, 0.5).unwrap();
    let gradients = Gradients::of(&loss, &model);
    (optimizer.step(model, gradients, 1e-2), loss.into_scalar())
}

fn values<M: Module>(model: &M) -> BTreeMap<String, HostTensor> {
    read(&to_safetensors(model).unwrap()).unwrap().0
}

const KINDS: [OptimizerKind; 3] = [
    OptimizerKind::Adam,
    OptimizerKind::Adamw,
    OptimizerKind::Lars,
];

#[test]
fn four_steps_equal_two_steps_a_save_a_load_and_two_steps_to_the_bit() {
    for kind in KINDS {
        four_steps_or_two_and_two(OptimizerConfig {
            kind,
            clip_norm: Some(0.1),
            ..OptimizerConfig::default()
        });
    }
}

fn four_steps_or_two_and_two(config: OptimizerConfig) {
    let (mut straight, mut optimizer) = (model(), Optimizer::new(config));
    let mut losses = Vec::new();
    for number in 0..4 {
        let (next, loss) = step(straight, &mut optimizer, number);
        straight = next;
        losses.push(loss);
    }
    let (mut cut, mut first) = (model(), Optimizer::new(config));
    for number in 0..2 {
        cut = step(cut, &mut first, number).0;
    }
    let (weights, state) = (
        to_safetensors(&cut).unwrap(),
        first.to_safetensors().unwrap(),
    );
    let mut cut = from_safetensors(model(), &weights).unwrap();
    let mut second = Optimizer::from_safetensors(config, &state, &device()).unwrap();
    assert_eq!(
        (second.steps(), second.to_safetensors().unwrap()),
        (2, state)
    );
    for (number, expected) in (2..4).zip(&losses[2..]) {
        let (next, loss) = step(cut, &mut second, number);
        cut = next;
        assert_eq!(loss.to_bits(), expected.to_bits());
    }
    assert_eq!(
        to_safetensors(&cut).unwrap(),
        to_safetensors(&straight).unwrap()
    );
    assert_eq!(
        second.to_safetensors().unwrap(),
        optimizer.to_safetensors().unwrap()
    );
}

#[test]
fn training_lowers_the_loss() {
    let (mut model, mut optimizer) = (model(), Optimizer::new(OptimizerConfig::default()));
    let mut losses = Vec::new();
    for _ in 0..30 {
        // Always the same batch, whose views have nothing in common but their number.
        let (next, loss) = step(model, &mut optimizer, 0);
        model = next;
        losses.push(loss);
    }
    assert!(losses[29] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn weight_decay_is_on_kernels_only() {
    for kind in KINDS {
        let trained = |weight_decay| {
            let config = OptimizerConfig {
                kind,
                weight_decay,
                ..OptimizerConfig::default()
            };
            values(&step(model(), &mut Optimizer::new(config), 0).0)
        };
        let (without, with) = (trained(0.0), trained(10.0));
        for (key, tensor) in &without {
            let decayed = tensor.shape.len() > 1;
            assert_eq!(*tensor != with[key], decayed, "{kind:?} {key}");
        }
    }
}

#[test]
fn every_trained_parameter_has_a_gradient_and_running_statistics_have_none() {
    let model = model();
    let [z1, z2] = [1, 2].map(|seed| {
        let values = Draws::new(seed, "x").normals(6 * 2 * 64, 1.0);
        model
            .forward(Tensor::from_data(
                TensorData::new(values, [6, 2, 8, 8]),
                &device(),
            ))
            .projections
    });
    let gradients = Gradients::of(&nt_xent(z1, z2, 0.5).unwrap(), &model);
    let found: Vec<&str> = gradients.iter().map(|(name, _)| name).collect();
    let all = values(&model);
    let expected: Vec<&String> = all.keys().filter(|k| !k.contains("running_")).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_state_that_is_cut_short_or_lacks_a_part_is_refused() {
    let mut optimizer = Optimizer::new(OptimizerConfig::default());
    let trained = step(model(), &mut optimizer, 0).0;
    let state = optimizer.to_safetensors().unwrap();
    let read = |bytes: &[u8]| {
        Optimizer::from_safetensors(OptimizerConfig::default(), bytes, &device())
            .unwrap_err()
            .to_string()
    };
    assert!(read(&state[..state.len() / 2]).contains("not a whole"));
    assert!(read(&to_safetensors(&trained).unwrap()).contains("`steps`"));
}

/// A kernel and a bias whose gradients are what a test says.
#[derive(Module, Debug)]
struct Two {
    kernel: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
}

impl Two {
    fn new(kernel: &[f32], bias: &[f32]) -> Self {
        Self {
            kernel: Param::from_tensor(row(kernel).reshape([1, kernel.len()])),
            bias: Param::from_tensor(row(bias)),
        }
    }

    fn gradients(&self, kernel: &[f32], bias: &[f32]) -> Gradients {
        let kernel = self.kernel.val().flatten::<1>(0, 1) * row(kernel);
        let loss = kernel.sum() + (self.bias.val() * row(bias)).sum();
        Gradients::of(&loss, self)
    }

    fn values(&self) -> [Vec<f64>; 2] {
        let kernel = self.kernel.val().to_data().iter::<f64>().collect();
        [kernel, self.bias.val().to_data().iter::<f64>().collect()]
    }
}

fn row(values: &[f32]) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), &device())
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

/// The paper's algorithm in f64, element by element; `kernel` adapts and decays.
fn naive_lars(
    config: &OptimizerConfig,
    rate: f64,
    p: &mut [f64],
    v: &mut [f64],
    g: &[f32],
    kernel: bool,
) {
    let g = wide(g);
    let decay = f64::from(config.weight_decay);
    let (size, slope) = (norm(p), norm(&g));
    let own = f64::from(config.trust_coefficient) * size / (slope + decay * size);
    let own = if size > 0.0 && slope > 0.0 { own } else { 1.0 };
    for ((p, v), g) in p.iter_mut().zip(v).zip(g) {
        let change = if kernel { own * (g + decay * *p) } else { g };
        *v = f64::from(config.beta1) * *v + rate * change;
        *p -= *v;
    }
}

#[test]
fn lars_agrees_with_a_naive_loop_in_f64() {
    let config = OptimizerConfig {
        kind: OptimizerKind::Lars,
        weight_decay: 0.03,
        trust_coefficient: 0.02,
        ..OptimizerConfig::default()
    };
    // A kernel of zeros, and later gradients of zeros: both have no ratio.
    for start in [1.0, 0.0] {
        let kernel: Vec<f32> = Draws::new(1, "kernel").normals(6, start);
        let bias: Vec<f32> = Draws::new(1, "bias").normals(3, start);
        let mut model = Two::new(&kernel, &bias);
        let mut optimizer = Optimizer::new(config);
        let (mut p, mut b) = (wide(&kernel), wide(&bias));
        let (mut v, mut u) = (vec![0.0; 6], vec![0.0; 3]);
        for t in 0..6 {
            let size = if t == 4 { 0.0 } else { 10.0 };
            let rate = 0.5 + t as f64 / 10.0;
            let g: Vec<f32> = Draws::new(t, "g").normals(6, size);
            let h: Vec<f32> = Draws::new(t, "h").normals(3, size);
            naive_lars(&config, rate, &mut p, &mut v, &g, true);
            naive_lars(&config, rate, &mut b, &mut u, &h, false);
            let gradients = model.gradients(&g, &h);
            model = optimizer.step(model, gradients, rate);
            let [kernel, bias] = model.values();
            for (found, expected) in kernel.iter().zip(&p).chain(bias.iter().zip(&b)) {
                let off = (found - expected).abs();
                assert!(
                    off <= 2e-6 * expected.abs().max(1.0),
                    "{t}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn clipping_scales_all_gradients_to_the_norm_as_torch_defines_it() {
    let (g, h) = ([3.0_f32, -4.0, 12.0], [84.0_f32, 0.5]);
    let model = Two::new(&[1.0; 3], &[1.0; 2]);
    let all = [wide(&g), wide(&h)].concat();
    for largest in [1e-3, 0.5, 10.0, 80.0] {
        let clipped = model.gradients(&g, &h).clipped(largest);
        let found: Vec<f64> = ["bias", "kernel"]
            .iter()
            .flat_map(|name| {
                clipped
                    .get(name)
                    .unwrap()
                    .to_data()
                    .iter::<f64>()
                    .collect::<Vec<_>>()
            })
            .collect();
        let factor = (largest / (norm(&all) + 1e-6)).min(1.0);
        let expected = [wide(&h), wide(&g)].concat();
        for (found, g) in found.iter().zip(expected) {
            assert!((found - factor * g).abs() <= 1e-6 * g.abs(), "{found} {g}");
        }
        assert!((norm(&found) - largest).abs() < 1e-6 * largest, "{largest}");
    }
}

#[test]
fn gradients_within_the_norm_keep_their_bits() {
    let model = Two::new(&[1.0; 3], &[1.0; 2]);
    let gradients = model.gradients(&[0.1, 0.2, 0.3], &[1e-20, 0.7]);
    let clipped = gradients.clone().clipped(1.0);
    for (name, gradient) in gradients.iter() {
        assert_eq!(clipped.get(name).unwrap().to_data(), gradient.to_data());
    }
    assert_eq!(Gradients::default().clipped(1.0).iter().count(), 0);
}

#[test]
fn clipping_to_a_small_norm_keeps_a_huge_gradient_from_the_weights() {
    let config = OptimizerConfig {
        kind: OptimizerKind::Lars,
        clip_norm: Some(1.0),
        ..OptimizerConfig::default()
    };
    let model = Two::new(&[1.0; 3], &[1.0; 2]);
    let gradients = model.gradients(&[0.0; 3], &[3e8, -4e8]);
    let model = Optimizer::new(config).step(model, gradients, 1.0);
    let [_, bias] = model.values();
    assert!(
        (bias[0] - 0.4).abs() < 1e-6 && (bias[1] - 1.8).abs() < 1e-6,
        "{bias:?}"
    );
}
