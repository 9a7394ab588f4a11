//! Probes of frozen features, and their controls.

pub mod controls;
mod error;
mod fair;
pub mod knn;
pub mod linear;
mod run;
pub mod scores;
pub mod split;
pub mod targets;

pub use error::ProbeError;
pub use run::Probe;
pub use targets::{ProbeTarget, TargetRows, Truth};
