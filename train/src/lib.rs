//! From two-view batches to encoders and probe scores, with Burn.

pub mod device;
mod init;
pub mod loss;
pub mod model;
pub mod optim;
pub mod schedule;

pub use device::{DeviceError, devices, parse_device};
