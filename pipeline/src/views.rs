//! The views of a patch, each compiled from its own part of the configuration.

use chipmill_schemas::config::{ViewConfig, ViewType};
use chipmill_schemas::statistics::SetStatistics;

use crate::augment::{AugmentError, Augmenter};
use crate::error::LoaderError;
use crate::simd::SimdPath;
use crate::values::Values;

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
        simd: Option<SimdPath>,
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
            compiled.push(match simd {
                Some(path) => augmenter.with_simd(path)?,
                None => augmenter,
            });
            configs.push(one);
        }
        Ok(Self {
            compiled,
            of_view,
            dtype: config.dtype,
        })
    }

    /// Views that are compiled already, one augmenter each.
    pub(crate) fn compiled(
        compiled: Vec<Augmenter>,
        views: usize,
        dtype: ViewType,
    ) -> Result<Self, LoaderError> {
        let bad = |found: String, expected: String| {
            Err(LoaderError::Spec {
                field: "augmenters",
                found,
                expected,
            })
        };
        if compiled.len() != views {
            return bad(
                compiled.len().to_string(),
                format!("one for each of {views} views"),
            );
        }
        let of = |a: &Augmenter| (a.bands(), a.side(), a.groups().to_vec());
        let shape = compiled.first().map(of);
        if let Some(other) = compiled.iter().map(of).find(|s| Some(s) != shape.as_ref()) {
            let (bands, side, _) = other;
            return bad(
                format!("views of {bands} bands and side {side} beside others"),
                "views of the same bands and side".to_owned(),
            );
        }
        Ok(Self {
            of_view: (0..compiled.len()).collect(),
            compiled,
            dtype,
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
        Values::bytes_of(self.dtype, values.saturating_mul(samples))
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
