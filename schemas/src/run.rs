//! Files of a run folder.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
///
/// After a resume, steps may be logged again with a higher `attempt`: readers keep the last row of a
/// step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricsRow {
    /// Optimiser steps done, from 1.
    pub step: u64,
    /// Which start of the run wrote the row, from 0.
    pub attempt: u32,
    /// Epochs begun, from 0.
    pub epoch: u64,
    /// The loss of this step's batch.
    pub loss: f64,
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Share of the 2B anchors whose positive is more similar than every negative.
    pub contrastive_accuracy: f64,
    /// Mean squared distance between the two views' unit projections.
    pub alignment: f64,
    /// Log of the mean of `exp(-2 d²)` over pairs of unit projections.
    pub uniformity: f64,
    /// Mean over dimensions of the standard deviation of unit projections; 0 means collapse.
    pub embedding_std: f64,
    /// Norm of all parameters.
    pub weight_norm: f64,
    /// Norm of all gradients.
    pub gradient_norm: f64,
    /// Image pairs a second since the last row.
    pub pairs_per_s: f64,
    /// Share of wall time spent waiting for the loader since the last row, 0..=1.
    pub data_wait: f64,
}

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// At work, or killed.
    Running,
    /// Stopped on request, with a checkpoint.
    Interrupted,
    /// Stopped by an error.
    Failed,
    /// All steps done.
    Finished,
}

/// `status.json`, rewritten atomically.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunStatus {
    /// State.
    pub state: RunState,
    /// Steps done.
    pub step: u64,
    /// Steps to do.
    pub max_steps: u64,
    /// Starts so far, from 0.
    pub attempt: u32,
    /// Step of the newest checkpoint.
    pub checkpoint: Option<u64>,
    /// Why it failed.
    pub message: Option<String>,
}

/// `environment.json`: where and with what a run was made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Environment {
    /// Program and version.
    pub program: String,
    /// Features the program was built with.
    pub features: Vec<String>,
    /// Command line.
    pub command: Vec<String>,
    /// Device asked for, such as `cpu`.
    pub device: String,
    /// Processor.
    pub cpu: String,
    /// Logical cores available.
    pub cores: u32,
    /// Operating system.
    pub os: String,
    /// Digest of the store's manifest.
    pub store_digest: String,
    /// Digest of the resolved configuration.
    pub config_digest: String,
    /// Patches selected.
    pub patches: u64,
    /// Parameters of encoder and projection head.
    pub parameters: u64,
}
