//! Resampling: from a native band raster, or from a view, to a view, in one pass per axis.

mod blurred;
mod columns;
mod gray;
mod kernel;
mod mean;
mod rows;
mod separable;
mod taps;
mod wide;
mod zoom;

pub(crate) use blurred::padded_len;
pub(crate) use columns::{Columns, along_columns, along_columns_to_view, gapless};
pub(crate) use gray::gray_to_view;
pub(crate) use mean::{BANDS_AT_ONCE, combine, means_of_view};
pub(crate) use separable::{Affine, Buffers, Raster, SHARP, stride};
pub(crate) use taps::{Across, Taps};
pub(crate) use zoom::{Axis, Grid, Zoom};
