//! Gradients by name, and Adam.
//!
//! Our own, over parameters by name: decay applies to kernels only, the state is saved to the last
//! bit under names that outlive a process, and nothing passes through Burn's default device.

mod adam;
mod gradients;
#[cfg(test)]
mod tests;

pub use adam::{Adam, OptimizerError};
pub use gradients::Gradients;
