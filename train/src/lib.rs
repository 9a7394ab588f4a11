//! From two-view batches to encoders and probe scores, with Burn.

pub mod checkpoint;
pub mod device;
pub mod embed;
pub mod environment;
mod error;
pub mod exchange;
pub mod features;
mod init;
mod kernels;
pub mod loss;
pub mod model;
pub mod monitors;
pub mod optim;
pub mod plane;
pub mod pretrain;
pub mod probe;
pub mod resume;
pub mod run_dir;
pub mod schedule;
pub mod study;
pub mod trainer;
pub mod workload;

pub use device::{DeviceError, devices, parse_device, parse_devices};
pub use error::TrainError;
