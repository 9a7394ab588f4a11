//! A collapsed run is named as such: when it happens, and at the end.

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::{Collapse, MetricsRow};

/// Follows the rows of a run.
#[derive(Debug)]
pub(super) struct CollapseWatch {
    output: u32,
    batch_size: u32,
    since: Option<u64>,
    news: Option<String>,
}

impl CollapseWatch {
    /// `since`: as an earlier attempt of the run left it.
    pub(super) fn new(config: &PretrainConfig, since: Option<u64>) -> Self {
        Self {
            output: config.projection.output,
            batch_size: config.loader.batch_size,
            since,
            news: None,
        }
    }

    /// How the row's projections have collapsed, if they have.
    pub(super) fn judge(&mut self, row: &MetricsRow) -> Option<Collapse> {
        let collapse = row.collapse(self.output, self.batch_size);
        let step = row.step;
        self.news = match (self.since, collapse) {
            (None, Some(collapse)) => Some(self.fallen(collapse, row)),
            (Some(since), None) => Some(format!(
                "the projections are spread again at step {step}; they were collapsed since step {since}"
            )),
            _ => None,
        };
        self.since = collapse.map(|_| self.since.unwrap_or(step));
        collapse
    }

    fn fallen(&self, collapse: Collapse, row: &MetricsRow) -> String {
        let shape = match collapse {
            Collapse::Point => "point",
            Collapse::Line => "line",
        };
        let even = f64::from(self.output).sqrt().recip();
        format!(
            "collapsed: at step {} all projections lie at nearly the same {shape} (standard deviation \
             {:.2e}, an even spread has {even:.2e}; RankMe {:.2}). The loss says nothing here; try a \
             smaller `optimizer.learning_rate`, a smaller `loss.temperature`, or a larger batch",
            row.step,
            row.embedding_std,
            row.rank_me.unwrap_or(f64::NAN),
        )
    }

    /// What the last row changed, once.
    pub(super) fn news(&mut self) -> Option<String> {
        self.news.take()
    }

    /// The step since which every row has been collapsed.
    pub(super) const fn since(&self) -> Option<u64> {
        self.since
    }

    /// What the end of a run has to say.
    pub(super) fn at_the_end(&self) -> Option<String> {
        let since = self.since?;
        Some(format!(
            "the run has collapsed: its projections have been so since step {since}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapse_and_recovery_are_told_once_each() {
        let mut watch = CollapseWatch::new(&PretrainConfig::default(), None);
        let mut after = |step, embedding_std| {
            let row = MetricsRow {
                step,
                embedding_std,
                ..MetricsRow::default()
            };
            let collapse = watch.judge(&row);
            (collapse, watch.news().is_some(), watch.since())
        };
        assert_eq!(after(10, 0.05), (None, false, None));
        assert_eq!(after(20, 0.0), (Some(Collapse::Point), true, Some(20)));
        assert_eq!(after(30, 1e-4), (Some(Collapse::Point), false, Some(20)));
        assert_eq!(after(40, 0.05), (None, true, None));
        assert_eq!(after(50, 0.0), (Some(Collapse::Point), true, Some(50)));
    }
}
