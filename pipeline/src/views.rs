//! The views of a patch, each compiled from its own part of the configuration.

use chipmill_schemas::config::{ViewConfig, ViewType};
use chipmill_schemas::statistics::SetStatistics;

use crate::augment::{AugmentError, Augmenter};
use crate::error::LoaderError;

/// As many views as a batch has.
#[derive(Debug)]
pub(crate) struct Views {
    /// Views that are drawn alike share one.
    compiled: Vec<Augmenter>,
    /// Which of them each view takes.
    of_view: Vec<usize>,
    dtype: ViewType,
}

impl Views {
    /// Compiles `views` views of a configuration.
    pub(crate) fn compile(
        config: &ViewConfig,
        views: usize,
        statistics: &SetStatistics,
    ) -> Result<Self, LoaderError> {
        let own = config.each.len();
        if own != 0 && own != views {
            return Err(LoaderError::Spec {
                field: "view.each",
                found: format!("{own} entries"),
                expected: format!("none, or one for each of {views} views"),
            });
        }
        let mut configs: Vec<ViewConfig> = Vec::new();
        let mut compiled = Vec::new();
        let mut of_view = Vec::with_capacity(views);
        for view in 0..views {
            let one = config.of_view(view);
            if let Some(known) = configs.iter().position(|c| *c == one) {
                of_view.push(known);
                continue;
            }
            let augmenter = Augmenter::compile(&one, statistics)
                .map_err(|error| LoaderError::Augment(of_entry(error, config, view)))?;
            of_view.push(compiled.len());
            compiled.push(augmenter);
            configs.push(one);
        }
        Ok(Self {
            compiled,
            of_view,
            dtype: config.dtype,
        })
    }

    /// Number of views.
    pub(crate) fn len(&self) -> usize {
        self.of_view.len()
    }

    pub(crate) fn dtype(&self) -> ViewType {
        self.dtype
    }

    /// What makes view number `view`, which is below [`Self::len`].
    pub(crate) fn of(&self, view: usize) -> &Augmenter {
        &self.compiled[self.of_view[view]]
    }

    /// One of them, for all that views have in common: bands, side, what has to be read.
    pub(crate) fn common(&self) -> &Augmenter {
        &self.compiled[0]
    }

    /// Bytes of one batch of so many samples.
    pub(crate) fn batch_bytes(&self, samples: usize) -> usize {
        let values = self.len().saturating_mul(self.common().view_len());
        values.saturating_mul(samples * self.dtype.bytes())
    }

    /// Bytes that a worker needs to render.
    pub(crate) fn scratch_bytes(&self) -> usize {
        let scratch = self.compiled.iter().map(Augmenter::scratch_bytes).max();
        scratch.unwrap_or(0)
    }
}

/// Names the key where it stands: operations of a view of its own stand in that view's entry.
fn of_entry(mut error: AugmentError, config: &ViewConfig, view: usize) -> AugmentError {
    let own = config.each.get(view);
    let own = own.is_some_and(|c| c.preset.is_some() || c.augment.is_some());
    if let AugmentError::Parameter { key, .. } | AugmentError::HsvBands { key, .. } = &mut error
        && own
        && let Some(rest) = key.strip_prefix("view.augment")
    {
        *key = format!("view.each[{view}].augment{rest}");
    }
    error
}
