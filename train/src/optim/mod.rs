//! Gradients by name, and what makes updates of them: Adam, `AdamW`, LARS.
//!
//! Our own, over parameters by name: decay applies to kernels only, the state is saved to the last
//! bit under names that outlive a process, and nothing passes through Burn's default device.

mod adam;
mod gradients;
mod lars;
mod optimizer;
#[cfg(test)]
mod tests;

pub use gradients::Gradients;
pub use optimizer::{Optimizer, OptimizerError};
