//! Resampling: from a native band raster, or from a view, to a view, in one pass per axis.

mod kernel;
mod separable;
mod taps;

pub(crate) use kernel::for_each_tap;
pub(crate) use separable::{Affine, Buffers, resample};
pub(crate) use taps::{Axis, Grid, Taps};
