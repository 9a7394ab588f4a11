//! From an experiment to its runs: names and configurations.

use super::{Arm, Base, ExperimentConfig, Family};
use crate::config::{ConfigError, PretrainConfig, resolve};

/// One run of an experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedRun<'a> {
    /// Its family.
    pub family: &'a Family,
    /// Its arm.
    pub arm: &'a Arm,
    /// Its seed.
    pub seed: u64,
}

impl PlannedRun<'_> {
    /// The run folder's name inside `runs/`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}-s{}", self.family.name, self.arm.name, self.seed)
    }
}

impl ExperimentConfig {
    /// The arms of a family, in the experiment's order.
    pub fn arms_of<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Arm> {
        let wanted = |arm: &&Arm| family.arms.is_empty() || family.arms.contains(&arm.name);
        self.arms.iter().filter(wanted)
    }

    /// All runs: seed by seed, so that the first seeds of every arm are done first and a comparison
    /// cut short is a smaller one, not a lopsided one.
    pub fn runs(&self) -> impl Iterator<Item = PlannedRun<'_>> {
        self.seeds.iter().flat_map(move |&seed| {
            self.families.iter().flat_map(move |family| {
                let run = move |arm| PlannedRun { family, arm, seed };
                self.arms_of(family).map(run)
            })
        })
    }

    /// Runs of this family are probed every so many steps during training; 0 means not.
    #[must_use]
    pub fn probe_every(&self, family: &Family) -> u64 {
        family.probe_every_steps.unwrap_or(self.probe.every_steps)
    }

    /// The family of that name.
    #[must_use]
    pub fn family(&self, name: &str) -> Option<&Family> {
        self.families.iter().find(|f| f.name == name)
    }

    /// The arm of that name.
    #[must_use]
    pub fn arm(&self, name: &str) -> Option<&Arm> {
        self.arms.iter().find(|a| a.name == name)
    }

    /// The file that the base configuration is to be read from, if any.
    #[must_use]
    pub fn base_file(&self) -> Option<&str> {
        match &self.base {
            Base::File(path) => Some(path),
            Base::Table(_) => None,
        }
    }

    /// The same experiment with the text of its base file in place.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`] naming `source_name` when the text is not TOML.
    pub fn with_base(self, source_name: &str, text: &str) -> Result<Self, ConfigError> {
        let table = text
            .parse::<toml::Table>()
            .map_err(|e| ConfigError::Syntax {
                source_name: source_name.to_owned(),
                message: e.to_string(),
            })?;
        Ok(Self {
            base: Base::Table(table),
            ..self
        })
    }

    /// The configuration of one run.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key, of the base or of a change to it; [`ConfigError::BadValue`] when
    /// the base is still a file.
    pub fn run_config(&self, run: &PlannedRun<'_>) -> Result<PretrainConfig, ConfigError> {
        let Base::Table(base) = &self.base else {
            return Err(ConfigError::BadValue {
                key: "base".to_owned(),
                message: "names a file that was not read".to_owned(),
            });
        };
        let text = toml::to_string(base).map_err(|e| ConfigError::Syntax {
            source_name: "base".to_owned(),
            message: e.to_string(),
        })?;
        let mut overrides = [&self.set[..], &run.family.set, &run.arm.set].concat();
        overrides.push(format!("seed={}", run.seed));
        let config: PretrainConfig = resolve(Some(("base", &text)), &overrides)?;
        config.validate()?;
        Ok(config)
    }
}

/// Whether two configurations give the same numbers: how often things are logged or kept, and with how
/// many threads batches are read, has no part in them.
#[must_use]
pub fn same_experiment(a: &PretrainConfig, b: &PretrainConfig) -> bool {
    let of = |config: &PretrainConfig| {
        let mut config = config.clone();
        let default = PretrainConfig::default();
        config.log_every_steps = default.log_every_steps;
        config.checkpoint_every_steps = default.checkpoint_every_steps;
        config.keep_checkpoints = default.keep_checkpoints;
        config.loader.workers = default.loader.workers;
        config.loader.budget_mib = default.loader.budget_mib;
        config
    };
    of(a) == of(b)
}
