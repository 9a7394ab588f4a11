//! Configurations: defaults, then a TOML file, then `--set key=value`; unknown keys are errors.

mod loader;
mod optimizer;
mod resolve;
mod view;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::selection::Selection;

pub use loader::{LoaderConfig, OnCorrupt, OrderKind};
pub use optimizer::{OptimizerConfig, OptimizerKind};
pub use resolve::{ConfigError, resolve};
pub use view::{BandChoice, NamedBands, Normalise, ViewChange, ViewConfig, ViewType};

/// Encoder family.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKind {
    /// Four convolutions for the CPU: `width`, 2, 4 and 4 `width` channels.
    Small,
    /// `ResNet-18`.
    #[default]
    Resnet18,
    /// `ResNet-34`.
    Resnet34,
    /// `ResNet-50`.
    Resnet50,
}

/// First layers of a `ResNet`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stem {
    /// 7 x 7 convolution with stride 2, then max pooling with stride 2.
    #[default]
    Standard,
    /// 3 x 3 convolution with stride 1 and no pooling, for small images.
    SmallImage,
}

/// The encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderConfig {
    /// Family.
    pub kind: EncoderKind,
    /// Channels of the first stage (64 in the papers; 16 is usual for `small`).
    pub width: u32,
    /// First layers.
    pub stem: Stem,
}

impl Default for EncoderConfig {
    fn default() -> Self {
        Self {
            kind: EncoderKind::Resnet18,
            width: 64,
            stem: Stem::Standard,
        }
    }
}

/// What the projection head sees of the encoder's last feature map.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeadInput {
    /// Its spatial mean: the features.
    #[default]
    Mean,
    /// All of it, flattened: the notes' original. The first dense layer then has as many times more
    /// weights as the map has pixels, and fits `view.side` alone.
    Flatten,
}

/// The projection head: dense, batch norm, `ReLU`, dense without bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectionConfig {
    /// What the head sees. Probes and `embed` use the spatial mean in any case.
    pub input: HeadInput,
    /// Width of the hidden layer.
    pub hidden: u32,
    /// Width of the projections.
    pub output: u32,
}

impl Default for ProjectionConfig {
    fn default() -> Self {
        Self {
            input: HeadInput::Mean,
            hidden: 2_048,
            output: 256,
        }
    }
}

/// Which loss.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// `SimCLR`'s normalised temperature-scaled cross entropy.
    #[default]
    NtXent,
    /// Decoupled contrastive learning: the positive leaves the denominator.
    Dcl,
    /// DCL with the negative von Mises-Fisher weight.
    Dclw,
}

/// Whether the weight of `dclw` is differentiated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WeightGradient {
    /// The weight is a constant.
    #[default]
    Stop,
    /// The gradient passes through the weight.
    Pass,
}

/// The contrastive loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LossConfig {
    /// Which.
    pub kind: LossKind,
    /// Temperature, > 0.
    pub temperature: f32,
    /// Concentration of the weight of `dclw`, > 0.
    pub sigma: f32,
    /// Gradient of the weight of `dclw`.
    pub weight_gradient: WeightGradient,
}

impl Default for LossConfig {
    fn default() -> Self {
        Self {
            kind: LossKind::NtXent,
            temperature: 0.1,
            sigma: 0.5,
            weight_gradient: WeightGradient::Stop,
        }
    }
}

/// Learning rate over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// As it is.
    #[default]
    Constant,
    /// Linear from 0 over `warmup_steps`, then half a cosine to 0.
    WarmupCosine,
}

/// The schedule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ScheduleConfig {
    /// Which.
    pub kind: ScheduleKind,
    /// Steps of the linear part.
    pub warmup_steps: u64,
}

/// Views of a patch that the loss compares.
const VIEWS: usize = 2;

/// A pretraining run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PretrainConfig {
    /// Seed of initial weights, order and augmentation.
    pub seed: u64,
    /// Optimiser steps.
    pub max_steps: u64,
    /// A metrics row every so many steps.
    pub log_every_steps: u64,
    /// A checkpoint every so many steps; one more at the end and at an interrupt.
    pub checkpoint_every_steps: u64,
    /// How many checkpoints are kept.
    pub keep_checkpoints: u32,
    /// Patches that are encoded at a time, 0 for the whole batch: memory grows with these, while the loss
    /// sees all of `loader.batch_size`, at the price of a second forward pass. Divides the batch size; 2
    /// or more, for batch norm takes its statistics from these.
    pub micro_batch_size: u32,
    /// Which patches.
    pub selection: Selection,
    /// How patches become views.
    pub view: ViewConfig,
    /// How batches are read.
    pub loader: LoaderConfig,
    /// The encoder.
    pub encoder: EncoderConfig,
    /// The projection head.
    pub projection: ProjectionConfig,
    /// The loss.
    pub loss: LossConfig,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// Learning rate over time.
    pub schedule: ScheduleConfig,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            max_steps: 1_000,
            log_every_steps: 10,
            checkpoint_every_steps: 200,
            keep_checkpoints: 2,
            micro_batch_size: 0,
            selection: Selection::default(),
            view: ViewConfig::default(),
            loader: LoaderConfig::default(),
            encoder: EncoderConfig::default(),
            projection: ProjectionConfig::default(),
            loss: LossConfig::default(),
            optimizer: OptimizerConfig::default(),
            schedule: ScheduleConfig::default(),
        }
    }
}

impl PretrainConfig {
    /// Checks ranges that types cannot hold.
    ///
    /// # Errors
    /// [`ConfigError::BadValue`] naming the first key that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let at_least = |key: &str, value: u64, least: u64| {
            if value >= least {
                Ok(())
            } else {
                Err(bad(key, format!("is {value}, expected {least} or more")))
            }
        };
        positive("loss.temperature", f64::from(self.loss.temperature))?;
        positive("loss.sigma", f64::from(self.loss.sigma))?;
        self.optimizer.validate()?;
        at_least("max_steps", self.max_steps, 1)?;
        at_least("log_every_steps", self.log_every_steps, 1)?;
        at_least("checkpoint_every_steps", self.checkpoint_every_steps, 1)?;
        at_least("keep_checkpoints", self.keep_checkpoints.into(), 1)?;
        at_least("encoder.width", self.encoder.width.into(), 1)?;
        at_least("projection.hidden", self.projection.hidden.into(), 1)?;
        at_least("projection.output", self.projection.output.into(), 1)?;
        self.loader.validate()?;
        self.check_micro_batches()?;
        self.view.validate()?;
        let own = self.view.each.len();
        if own != 0 && own != VIEWS {
            let message = format!(
                "has {own} entries, expected none or {VIEWS}: the loss compares {VIEWS} views"
            );
            return Err(bad("view.each", message));
        }
        Ok(())
    }

    fn check_micro_batches(&self) -> Result<(), ConfigError> {
        let (batch, part) = (self.loader.batch_size, self.micro_batch_size);
        if part == 0 || (part >= 2 && batch.is_multiple_of(part)) {
            return Ok(());
        }
        let message = format!(
            "is {part}, expected 0, or 2 or more that `loader.batch_size` = {batch} is a multiple of"
        );
        Err(bad("micro_batch_size", message))
    }
}

fn bad(key: &str, message: String) -> ConfigError {
    ConfigError::BadValue {
        key: key.to_owned(),
        message,
    }
}

fn positive(key: &str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(bad(key, format!("is {value}, expected a number above 0")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::band::Band;

    fn resolved(text: &str, overrides: &[&str]) -> Result<PretrainConfig, ConfigError> {
        let overrides: Vec<String> = overrides.iter().map(|&s| s.to_owned()).collect();
        resolve(Some(("test.toml", text)), &overrides)
    }

    #[test]
    fn overrides_win_over_the_file_and_the_file_over_defaults() {
        let config = resolved(
            "seed = 3\n[loss]\nkind = \"dcl\"",
            &["loss.temperature=0.5", "seed=4"],
        );
        let config = config.unwrap();
        assert_eq!((config.seed, config.loss.kind), (4, LossKind::Dcl));
        assert_eq!((config.loss.temperature, config.loss.sigma), (0.5, 0.5));
        config.validate().unwrap();
    }

    #[test]
    fn an_unknown_key_is_an_error_with_the_nearest_key() {
        let error = resolved("[loss]\ntemprature = 0.1", &[]).unwrap_err();
        let ConfigError::UnknownKey { key, nearest, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(
            (key.as_str(), nearest.as_str()),
            ("loss.temprature", "temperature")
        );
        let error = resolved("", &["max_step=3"]).unwrap_err();
        let ConfigError::UnknownKey { key, nearest, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((key.as_str(), nearest.as_str()), ("max_step", "max_steps"));
    }

    #[test]
    fn a_wrong_type_names_the_key() {
        let error = resolved("[loss]\ntemperature = \"hot\"", &[]).unwrap_err();
        assert!(
            error.to_string().starts_with("`loss.temperature`"),
            "{error}"
        );
        let error = resolved("max_steps = 0", &[])
            .unwrap()
            .validate()
            .unwrap_err();
        assert!(error.to_string().starts_with("`max_steps`"), "{error}");
    }

    #[test]
    fn bands_are_named_or_listed() {
        let config = resolved("[view]\nbands = \"rgb\"", &[]).unwrap();
        assert_eq!(config.view.bands.bands(), [Band::B04, Band::B03, Band::B02]);
        let config = resolved("", &["view.bands=[\"B8A\",\"B01\"]"]).unwrap();
        assert_eq!(config.view.bands.bands(), [Band::B8A, Band::B01]);
    }

    #[test]
    fn a_resolved_configuration_reads_back_the_same() {
        let config = resolved("[view]\npreset = \"simclr\"", &[]).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(resolved(&text, &[]).unwrap(), config);
    }
}
