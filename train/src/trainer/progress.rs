//! What a run tells while it is at work.

use std::path::Path;

use chipmill_schemas::run::MetricsRow;

/// Told of a run's progress, from the thread that trains. All methods do nothing by default.
pub trait TrainProgress: Sync {
    /// The run begins or goes on at a step.
    fn started(&self, step: u64, max_steps: u64) {
        let _ = (step, max_steps);
    }

    /// A step is done.
    fn step(&self, step: u64, max_steps: u64) {
        let _ = (step, max_steps);
    }

    /// A metrics row is written.
    fn metrics(&self, row: &MetricsRow) {
        let _ = row;
    }

    /// Something that a person should know, in a sentence.
    fn notice(&self, text: &str) {
        let _ = text;
    }

    /// A checkpoint is written.
    fn checkpoint(&self, step: u64, path: &Path) {
        let _ = (step, path);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl TrainProgress for Silent {}

/// A row for people: epoch, loss, contrastive accuracy, pairs a second, share of time spent waiting for
/// data, and the probe's score where there is one. Nothing of what was not measured.
#[must_use]
pub fn sentence(row: &MetricsRow) -> String {
    let mut parts = Vec::new();
    if row.loss.is_finite() {
        parts.push(format!("epoch {}", row.epoch));
        parts.push(format!("loss {:.4}", row.loss));
        parts.push(format!("accuracy {:.2}", row.contrastive_accuracy));
        parts.push(format!("{} pairs/s", rounded(row.pairs_per_s)));
        parts.push(format!("data wait {:.0} %", 100.0 * row.data_wait));
    }
    if let Some(score) = row.probe_accuracy {
        parts.push(format!("probe {score:.3}"));
    }
    if let Some(score) = row.probe_macro_ap {
        parts.push(format!("probe mAP {score:.3}"));
    }
    if row.collapsed.is_some() {
        parts.push("COLLAPSED".to_owned());
    }
    parts.join(", ")
}

/// Three digits where the number is small.
fn rounded(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use chipmill_schemas::run::Collapse;

    use super::*;

    #[test]
    fn a_row_reads_as_a_sentence_of_what_was_measured() {
        let row = MetricsRow {
            epoch: 3,
            loss: 2.25,
            contrastive_accuracy: 0.5,
            pairs_per_s: 12.34,
            data_wait: 0.031,
            ..MetricsRow::default()
        };
        let text = "epoch 3, loss 2.2500, accuracy 0.50, 12.3 pairs/s, data wait 3 %";
        assert_eq!(sentence(&row), text);
        let probed = MetricsRow {
            probe_accuracy: Some(0.875),
            collapsed: Some(Collapse::Point),
            ..row
        };
        assert_eq!(sentence(&probed), format!("{text}, probe 0.875, COLLAPSED"));
        let initial = MetricsRow {
            probe_accuracy: Some(0.5),
            ..MetricsRow::unmeasured(0, 0)
        };
        assert_eq!(sentence(&initial), "probe 0.500");
    }
}
