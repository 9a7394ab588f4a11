//! How gradients change weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ConfigError, bad, positive};

/// Which optimiser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerKind {
    /// Adam with coupled L2 on kernels only: `weight_decay` is added to the gradient (the notes).
    #[default]
    Adam,
    /// Adam with decoupled weight decay, on kernels only.
    Adamw,
    /// Momentum with a learning rate of its own for each kernel, in proportion to the kernel's norm over
    /// its gradient's: for batches of a thousand and more. Biases and batch norm get plain momentum
    /// without weight decay. Its learning rates are hundreds of times those of Adam.
    Lars,
}

/// The optimiser.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Which.
    pub kind: OptimizerKind,
    /// Learning rate, > 0.
    pub learning_rate: f64,
    /// Decay of the first moment, 0 or more and below 1; the momentum of `lars`.
    pub beta1: f32,
    /// Decay of the second moment, 0 or more and below 1; not used by `lars`.
    pub beta2: f32,
    /// Added to the root of the corrected second moment; not used by `lars`.
    pub epsilon: f32,
    /// Weight decay, on convolution and dense kernels only, 0 or more.
    pub weight_decay: f32,
    /// Trust coefficient of `lars`, > 0: a kernel's update is this share of the kernel's norm, times the
    /// learning rate.
    pub trust_coefficient: f32,
    /// Gradients are scaled down to this norm, of all of them together, when theirs is larger; absent:
    /// never. The norm in the metrics is that before.
    pub clip_norm: Option<f32>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 1e-6,
            trust_coefficient: 1e-3,
            clip_norm: None,
        }
    }
}

impl OptimizerConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("optimizer.learning_rate", self.learning_rate)?;
        positive("optimizer.epsilon", f64::from(self.epsilon))?;
        let trust = f64::from(self.trust_coefficient);
        positive("optimizer.trust_coefficient", trust)?;
        if let Some(norm) = self.clip_norm {
            positive("optimizer.clip_norm", f64::from(norm))?;
        }
        for (key, beta) in [("beta1", self.beta1), ("beta2", self.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                let message = format!("is {beta}, expected 0 or more and below 1");
                return Err(bad(&format!("optimizer.{key}"), message));
            }
        }
        if self.weight_decay.is_finite() && self.weight_decay >= 0.0 {
            return Ok(());
        }
        let message = format!("is {}, expected 0 or more", self.weight_decay);
        Err(bad("optimizer.weight_decay", message))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PretrainConfig, resolve};

    fn resolved(setting: &str) -> PretrainConfig {
        resolve(None, &[setting.to_owned()]).unwrap()
    }

    #[test]
    fn what_cannot_be_optimised_is_refused_by_the_key() {
        let cases = [
            ("optimizer.clip_norm=0", "`optimizer.clip_norm`: is 0"),
            ("optimizer.clip_norm=nan", "`optimizer.clip_norm`: is NaN"),
            ("optimizer.beta1=1", "`optimizer.beta1`: is 1"),
            ("optimizer.beta2=-0.1", "`optimizer.beta2`: is -0.1"),
            (
                "optimizer.weight_decay=-1",
                "`optimizer.weight_decay`: is -1",
            ),
            (
                "optimizer.trust_coefficient=0",
                "`optimizer.trust_coefficient`: is 0",
            ),
            (
                "micro_batch_size=1",
                "`micro_batch_size`: is 1, expected 0, or 2",
            ),
            ("micro_batch_size=48", "`micro_batch_size`: is 48"),
            ("micro_batch_size=256", "`micro_batch_size`: is 256"),
        ];
        for (setting, expected) in cases {
            let refused = resolved(setting).validate();
            let text = refused.unwrap_err().to_string();
            assert!(text.starts_with(expected), "{text}");
        }
        resolved("micro_batch_size=32").validate().unwrap();
        resolved("optimizer.clip_norm=1").validate().unwrap();
    }
}
