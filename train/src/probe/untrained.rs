//! The run that trains nothing: the control that an experiment has as an arm of its own.

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::probe::{ProbeConfig, ProbeReport};
use chipmill_schemas::run::{Environment, RunState, RunStatus};

use super::run::Probe;
use super::targets::ProbeTarget;
use crate::environment;
use crate::error::TrainError;
use crate::run_dir::RunDir;

impl Probe<'_> {
    /// Makes a run folder that is finished at step 0, and scores the encoder that training would begin
    /// with, its batch norms set to the train rows. The folder may hold such a run already, cut short.
    ///
    /// # Errors
    /// [`TrainError`]; as [`Probe::score`], and [`TrainError::ConfigDiffers`] when the folder holds a run
    /// of another configuration.
    pub fn score_untrained(
        &self,
        pretrain: &PretrainConfig,
        target: &ProbeTarget,
        config: &ProbeConfig,
    ) -> Result<ProbeReport, TrainError> {
        pretrain.validate()?;
        let (run, _lock) = match RunDir::open(self.run) {
            Ok(run) => {
                let lock = run.lock()?;
                (run, lock)
            }
            Err(_) => RunDir::create(self.run, pretrain)?,
        };
        if run.config()? != *pretrain {
            return Err(TrainError::ConfigDiffers {
                run: run.root().to_owned(),
                keys: "the folder holds a run of another configuration".to_owned(),
            });
        }
        run.write_environment(&Environment {
            store_digest: self.store.digest().to_owned(),
            config_digest: environment::config_digest(pretrain),
            ..environment::of_this_process(self.device)
        })?;
        let report = self.report_untrained(&run, pretrain, target, config)?;
        // Last: a run that is finished has been scored.
        run.write_status(&RunStatus {
            state: RunState::Finished,
            step: 0,
            max_steps: 0,
            attempt: 0,
            checkpoint: None,
            message: None,
            collapsed_since: None,
        })?;
        Ok(report)
    }
}
