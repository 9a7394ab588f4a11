//! Adam with coupled L2 or decoupled weight decay, on kernels only.
//!
//! Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>; `AdamW`: Loshchilov and Hutter 2019,
//! <https://arxiv.org/abs/1711.05101>. At step `t`, with gradient `g` and learning rate `r`:
//!
//! ```text
//! adam, kernels:   g = g + decay p
//! adamw, kernels:  p = p (1 - r decay)
//! m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g²
//! p = p - r m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
//! ```
//! Scalars are computed in f64, tensors in f32. Epsilon stands where `PyTorch` has it; Keras adds
//! it to the uncorrected root.

use burn::tensor::Tensor;
use chipmill_schemas::config::{OptimizerConfig, OptimizerKind};

use super::optimizer::{Moments, Role};

/// The scalars of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct AdamStep {
    beta1: f64,
    beta2: f64,
    /// `r / (1 - beta1^t)`.
    rate: f64,
    /// `1 / sqrt(1 - beta2^t)`.
    root_scale: f64,
    epsilon: f64,
    /// Added to a kernel's gradient, times the kernel.
    coupled: f64,
    /// Factor on a kernel.
    shrink: f64,
}

impl AdamStep {
    pub(super) fn new(config: &OptimizerConfig, step: u64, learning_rate: f64) -> Self {
        let (beta1, beta2) = (f64::from(config.beta1), f64::from(config.beta2));
        let decay = f64::from(config.weight_decay);
        let (coupled, shrink) = match config.kind {
            OptimizerKind::Adam | OptimizerKind::Lars => (decay, 1.0),
            OptimizerKind::Adamw => (0.0, 1.0 - learning_rate * decay),
        };
        let t = step as f64;
        Self {
            beta1,
            beta2,
            rate: learning_rate / (1.0 - libm::pow(beta1, t)),
            root_scale: 1.0 / (1.0 - libm::pow(beta2, t)).sqrt(),
            epsilon: f64::from(config.epsilon),
            coupled,
            shrink,
        }
    }

    /// The parameter and its moments after the step, all flattened.
    pub(super) fn apply(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
        role: Role,
    ) -> (Tensor<1>, Moments) {
        let kernel = role == Role::Kernel;
        let gradient = if kernel && self.coupled != 0.0 {
            gradient + param.clone().mul_scalar(self.coupled)
        } else {
            gradient
        };
        let squares = gradient.clone().square().mul_scalar(1.0 - self.beta2);
        let gradient = gradient.mul_scalar(1.0 - self.beta1);
        let (first, second) = match moments {
            Some(Moments {
                first,
                second: Some(second),
            }) => (
                first.mul_scalar(self.beta1) + gradient,
                second.mul_scalar(self.beta2) + squares,
            ),
            _ => (gradient, squares),
        };
        let root = second
            .clone()
            .sqrt()
            .mul_scalar(self.root_scale)
            .add_scalar(self.epsilon);
        let change = first.clone().mul_scalar(self.rate) / root;
        let param = if kernel && self.shrink != 1.0 {
            param.mul_scalar(self.shrink)
        } else {
            param
        };
        let moments = Moments {
            first,
            second: Some(second),
        };
        (param - change, moments)
    }
}
