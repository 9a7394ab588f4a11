//! Adam over five steps with given gradients.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use chipmill_schemas::config::{OptimizerConfig, OptimizerKind};
use chipmill_train::optim::{Gradients, Optimizer};
use serde_json::Value;

use crate::shared::{assert_close, device, json, numbers};

/// One parameter of two axes, so that it counts as a kernel.
#[derive(Module, Debug)]
struct Kernel {
    weight: Param<Tensor<2>>,
}

fn row(values: &[f64], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
    let shape = [1, values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

fn config(case: &Value) -> Option<OptimizerConfig> {
    let kind = match case["decay_mode"].as_str()? {
        "none" | "coupled" => OptimizerKind::Adam,
        "decoupled" => OptimizerKind::Adamw,
        _ => return None,
    };
    let number = |key: &str| case[key].as_f64();
    (case["eps_placement"] == "torch").then_some(())?;
    Some(OptimizerConfig {
        kind,
        learning_rate: number("lr")?,
        beta1: number("beta1")? as f32,
        beta2: number("beta2")? as f32,
        epsilon: number("eps")? as f32,
        weight_decay: number("weight_decay")? as f32,
        ..OptimizerConfig::default()
    })
}

#[test]
fn five_steps_of_adam_and_adamw_agree_with_the_reference() {
    let Some(reference) = json("adam.json") else {
        return;
    };
    let device = device();
    let mut compared = 0;
    for case in reference["cases"].as_array().unwrap() {
        let Some(config) = config(case) else { continue };
        let start = row(&numbers(&reference["p0"]), &device);
        let mut model = Kernel {
            weight: Param::from_tensor(start),
        };
        let mut adam = Optimizer::new(config);
        for (t, gradient) in reference["grads"].as_array().unwrap().iter().enumerate() {
            // The loss whose gradient is the given one.
            let gradient = row(&numbers(gradient), &device);
            let loss = (model.weight.val() * gradient).sum();
            let gradients = Gradients::of(&loss, &model);
            model = adam.step(model, gradients, config.learning_rate);
            let found: Vec<f64> = model.weight.to_data().iter::<f64>().collect();
            let expected = numbers(&case["params_after_step"][t]);
            assert_close(&format!("{config:?} step {t}"), &found, &expected, 3e-7);
        }
        compared += 1;
    }
    assert_eq!(compared, 10);
}
