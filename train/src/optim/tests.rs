use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{
    EncoderConfig, EncoderKind, OptimizerConfig, OptimizerKind, ProjectionConfig, Stem,
};

use super::{Adam, Gradients};
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
        },
        2,
        0,
        &device(),
    )
}

fn step(model: ContrastiveModel, adam: &mut Adam, number: u64) -> (ContrastiveModel, f32) {
    let [z1, z2] = [0, 1].map(|view| {
        let values = Draws::new(number, ["first", "second"][view]).normals(6 * 2 * 64, 1.0);
        let view = Tensor::from_data(TensorData::new(values, [6, 2, 8, 8]), &device());
        model.forward(view).projections
    });
    let loss = nt_xent(z1, z2, 0.5).unwrap();
    let gradients = Gradients::of(&loss, &model);
    (adam.step(model, gradients, 1e-2), loss.into_scalar())
}

fn values<M: Module>(model: &M) -> BTreeMap<String, HostTensor> {
    read(&to_safetensors(model).unwrap()).unwrap().0
}

#[test]
fn four_steps_equal_two_steps_a_save_a_load_and_two_steps_to_the_bit() {
    let config = OptimizerConfig::default();
    let (mut straight, mut adam) = (model(), Adam::new(config));
    let mut losses = Vec::new();
    for number in 0..4 {
        let (next, loss) = step(straight, &mut adam, number);
        straight = next;
        losses.push(loss);
    }
    let (mut cut, mut first) = (model(), Adam::new(config));
    for number in 0..2 {
        cut = step(cut, &mut first, number).0;
    }
    let (weights, state) = (
        to_safetensors(&cut).unwrap(),
        first.to_safetensors().unwrap(),
    );
    let mut cut = from_safetensors(model(), &weights).unwrap();
    let mut second = Adam::from_safetensors(config, &state, &device()).unwrap();
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
        adam.to_safetensors().unwrap()
    );
}

#[test]
fn training_lowers_the_loss() {
    let (mut model, mut adam) = (model(), Adam::new(OptimizerConfig::default()));
    let mut losses = Vec::new();
    for _ in 0..30 {
        // Always the same batch, whose views have nothing in common but their number.
        let (next, loss) = step(model, &mut adam, 0);
        model = next;
        losses.push(loss);
    }
    assert!(losses[29] < 0.7 * losses[0], "{losses:?}");
}

#[test]
fn weight_decay_is_on_kernels_only() {
    for kind in [OptimizerKind::Adam, OptimizerKind::Adamw] {
        let trained = |weight_decay| {
            let config = OptimizerConfig {
                kind,
                weight_decay,
                ..OptimizerConfig::default()
            };
            values(&step(model(), &mut Adam::new(config), 0).0)
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
    let mut adam = Adam::new(OptimizerConfig::default());
    let trained = step(model(), &mut adam, 0).0;
    let state = adam.to_safetensors().unwrap();
    let read = |bytes: &[u8]| {
        Adam::from_safetensors(OptimizerConfig::default(), bytes, &device())
            .unwrap_err()
            .to_string()
    };
    assert!(read(&state[..state.len() / 2]).contains("not a whole"));
    assert!(read(&to_safetensors(&trained).unwrap()).contains("`steps`"));
}
