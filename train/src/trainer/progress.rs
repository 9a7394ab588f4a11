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

    /// A checkpoint is written.
    fn checkpoint(&self, step: u64, path: &Path) {
        let _ = (step, path);
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl TrainProgress for Silent {}
