//! Maxima of windows.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::flex::{dims, tensor, values};
use super::im2col::Windows;

/// Shapes and settings of one layer and batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    /// Of what comes out.
    shape: [usize; 4],
    windows: Windows,
}

/// For every maximum its index in its plane.
pub(super) type Indices = Vec<u32>;

/// The maximum of each column of pixels over the height of a window, and its index in the plane.
type Columns = (Vec<f32>, Indices);

impl Pool {
    /// `x` `[sample, channel, y, x]`.
    pub(super) fn of(x: &FlexTensor, side: usize, stride: usize, padding: usize) -> Self {
        let [samples, channels, height, width] = dims(x);
        let windows = Windows {
            plane: [height, width],
            channels: 1,
            side,
            stride,
            padding,
        };
        let [y, x] = windows.output();
        Self {
            shape: [samples, channels, y, x],
            windows,
        }
    }

    fn planes(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Maxima, padding left out, and where they are: of equal ones the first, and of those with a NaN a NaN.
    pub(super) fn forward(&self, x: &FlexTensor) -> (FlexTensor, Indices) {
        let x = x.to_contiguous();
        let [height, width] = self.windows.plane;
        let area = (self.shape[2] * self.shape[3]).max(1);
        let mut y = vec![f32::NEG_INFINITY; self.planes() * area];
        let mut indices = vec![u32::MAX; y.len()];
        y.par_chunks_mut(area)
            .zip(indices.par_chunks_mut(area))
            .zip(values(&x).par_chunks((height * width).max(1)))
            .for_each_init(Columns::default, |columns, (found, plane)| {
                self.pool_plane(plane, found, columns);
            });
        (tensor(y, self.shape), indices)
    }

    /// Row by row: first the maxima of each column of pixels, then of neighbouring columns. Nothing branches
    /// on what pixels are, which no processor could foresee.
    fn pool_plane(
        &self,
        plane: &[f32],
        (y, indices): (&mut [f32], &mut [u32]),
        columns: &mut Columns,
    ) {
        let across = self.shape[3].max(1);
        let rows = y
            .chunks_exact_mut(across)
            .zip(indices.chunks_exact_mut(across));
        for (row, (y, indices)) in rows.enumerate() {
            self.pool_columns(plane, row, columns);
            self.pool_neighbours(columns, y, indices);
        }
    }

    /// The maxima over the height of the windows of output row `row`.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "planes are far smaller than 2^32"
    )]
    fn pool_columns(&self, plane: &[f32], row: usize, (maxima, indices): &mut Columns) {
        let width = self.windows.plane[1];
        maxima.resize(width, 0.0);
        indices.resize(width, 0);
        let rows = (0..self.windows.side).filter_map(|ky| self.windows.plane_row(row, ky));
        for (number, from) in rows.enumerate() {
            let (start, is_first) = (from * width, number == 0);
            let offered = (start as u32..).zip(&plane[start..start + width]);
            for ((y, index), (at, &v)) in maxima.iter_mut().zip(indices.iter_mut()).zip(offered) {
                let is_larger = is_first | (v > *y) | v.is_nan();
                *index = if is_larger { at } else { *index };
                *y = if is_larger { v } else { *y };
            }
        }
    }

    /// Of equal maxima the one that comes first in the plane: columns are not met in that order.
    fn pool_neighbours(
        &self,
        (maxima, from_indices): &Columns,
        y: &mut [f32],
        indices: &mut [u32],
    ) {
        let Windows { side, stride, .. } = self.windows;
        for kx in 0..side {
            let (columns, from) = self.windows.plane_columns(kx, y.len());
            let found = y[columns.clone()].iter_mut().zip(&mut indices[columns]);
            let offered = maxima[from..]
                .iter()
                .zip(&from_indices[from..])
                .step_by(stride);
            for ((y, index), (&v, &at)) in found.zip(offered) {
                let is_first = (v > *y) | v.is_nan() | ((v == *y) & (at < *index));
                *index = if is_first { at } else { *index };
                *y = if is_first { v } else { *y };
            }
        }
    }

    /// The gradient of `x` from that of the maxima.
    pub(super) fn backward(&self, output: &FlexTensor, indices: &Indices) -> FlexTensor {
        let output = output.to_contiguous();
        let [height, width] = self.windows.plane;
        let area = (self.shape[2] * self.shape[3]).max(1);
        let mut x = vec![0.0f32; self.planes() * height * width];
        x.par_chunks_mut((height * width).max(1))
            .zip(values(&output).par_chunks(area))
            .zip(indices.par_chunks(area))
            .for_each(|((x, gradients), indices)| {
                for (gradient, &index) in gradients.iter().zip(indices) {
                    x[index as usize] += gradient;
                }
            });
        tensor(x, [self.shape[0], self.shape[1], height, width])
    }
}
