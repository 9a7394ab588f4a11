//! Layer-wise adaptive rates for large batches.
//!
//! You, Gitman and Ginsburg 2017, <https://arxiv.org/abs/1708.03888>, algorithm 1. With gradient `g`,
//! learning rate `r`, momentum `m` (`beta1`), weight decay `b` and trust coefficient `c`:
//!
//! ```text
//! kernels:           l = c |p| / (|g| + b |p|), 1 where |p| or |g| is 0;   v = m v + r l (g + b p)
//! biases and norms:                                                       v = m v + r g
//! p = p - v
//! ```
//! Biases and batch norm are exempt from decay and adaptation, as in `SimCLR` (Chen et al. 2020, appendix
//! B.6), whose code divides by `|g + b p|` instead: the same for the small decays in use.

use burn::tensor::Tensor;
use chipmill_schemas::config::OptimizerConfig;

use super::optimizer::{Moments, Role};

/// The scalars of one step.
#[derive(Debug, Clone, Copy)]
pub(super) struct LarsStep {
    learning_rate: f64,
    momentum: f64,
    decay: f64,
    trust: f64,
}

impl LarsStep {
    pub(super) fn new(config: &OptimizerConfig, learning_rate: f64) -> Self {
        Self {
            learning_rate,
            momentum: f64::from(config.beta1),
            decay: f64::from(config.weight_decay),
            trust: f64::from(config.trust_coefficient),
        }
    }

    /// The parameter and its velocity after the step, all flattened.
    pub(super) fn apply(
        &self,
        param: Tensor<1>,
        gradient: Tensor<1>,
        moments: Option<Moments>,
        role: Role,
    ) -> (Tensor<1>, Moments) {
        let change = match role {
            Role::Exempt => gradient,
            Role::Kernel => {
                let rate = self.rate(&param, &gradient);
                (gradient + param.clone().mul_scalar(self.decay)) * rate
            }
        };
        let change = change.mul_scalar(self.learning_rate);
        let first = match moments {
            Some(moments) => moments.first.mul_scalar(self.momentum) + change,
            None => change,
        };
        let moments = Moments {
            first: first.clone(),
            second: None,
        };
        (param - first, moments)
    }

    /// The kernel's own rate, `[1]`; it stays on the device.
    fn rate(&self, param: &Tensor<1>, gradient: &Tensor<1>) -> Tensor<1> {
        let norm = |t: &Tensor<1>| t.clone().square().sum().sqrt();
        let (param, gradient) = (norm(param), norm(gradient));
        let none = param.clone().equal_elem(0.0);
        let none = none.bool_or(gradient.clone().equal_elem(0.0));
        let below = gradient + param.clone().mul_scalar(self.decay);
        (param.mul_scalar(self.trust) / below).mask_fill(none, 1.0)
    }
}
