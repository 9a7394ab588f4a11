//! Resampling: from a native band raster, or from a view, to a view, in one pass per axis.

mod kernel;
mod mean;
mod separable;
mod taps;

pub(crate) use mean::{combine, mean_of_view};
pub(crate) use separable::{Affine, Buffers, along_columns, resample_rows, stride};
pub(crate) use taps::{Across, Axis, Grid, Taps};
