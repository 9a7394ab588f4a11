//! Probes of frozen features, and their controls.

mod bootstrap;
pub mod controls;
mod during;
mod error;
mod fair;
mod judged;
pub mod knn;
pub mod linear;
mod methods;
mod run;
pub mod scores;
pub mod split;
#[cfg(test)]
mod split_properties;
mod supervised;
pub mod targets;
mod tested;
mod untrained;

pub use during::ProbeDuring;
pub(crate) use during::Watch;
pub use error::ProbeError;
pub use run::Probe;
pub use targets::{ProbeTarget, TargetRows, Truth};
pub use tested::Tested;
