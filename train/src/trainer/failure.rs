//! Losses and weights that are not finite, and what is said of them.

use super::Trainer;
use super::losses::NonFinite;
use crate::error::TrainError;
use crate::monitors;

/// How many patch ids an error spells out.
const NAMED_PATCHES: usize = 16;

impl Trainer<'_> {
    /// The losses since the last reading; the last of them.
    pub(super) fn read_losses(&mut self) -> Result<Option<f32>, TrainError> {
        self.pending.read()?.map_err(|bad| self.non_finite(&bad))
    }

    fn non_finite(&self, bad: &NonFinite) -> TrainError {
        let table = self.setting.store.table();
        let id = |&row: &u32| Some(table.id(row as usize)?.to_owned());
        let named = bad.patches.iter().take(NAMED_PATCHES);
        let mut ids: Vec<String> = named.filter_map(id).collect();
        if bad.patches.len() > NAMED_PATCHES {
            ids.push(format!("{} more", bad.patches.len() - NAMED_PATCHES));
        }
        let patches = format!("; the batch was {}", ids.join(", "));
        self.diverged(bad.step, "the loss", f64::from(bad.loss), patches)
    }

    fn diverged(
        &self,
        step: u64,
        quantity: &'static str,
        value: f64,
        patches: String,
    ) -> TrainError {
        TrainError::NonFinite {
            step,
            quantity,
            value,
            checkpoint: match self.saved {
                Some(step) => format!("checkpoint step-{step} is kept"),
                None => "there is no checkpoint yet".to_owned(),
            },
            patches,
        }
    }

    /// A finite loss can still give an update that is not.
    pub(super) fn check_weights(&self) -> Result<(), TrainError> {
        let norm = monitors::weight_norm(&self.state.model)?;
        if norm.is_finite() {
            return Ok(());
        }
        let quantity = "the norm of the weights after the update";
        Err(self.diverged(self.state.step, quantity, norm, String::new()))
    }
}

/// An error with its causes, each once: a transparent error says the same as its cause.
pub(super) fn chain(error: &TrainError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    text
}
