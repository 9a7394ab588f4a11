//! The windows of a convolution as the columns of a matrix, and back.

use std::ops::Range;

/// Windows of one sample: a square kernel that strides over padded planes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Windows {
    /// Height and width of a plane.
    pub(super) plane: [usize; 2],
    pub(super) channels: usize,
    /// Of the kernel.
    pub(super) side: usize,
    pub(super) stride: usize,
    /// Zeros around a plane.
    pub(super) padding: usize,
}

impl Windows {
    /// Height and width of what the windows give.
    pub(super) fn output(&self) -> [usize; 2] {
        let along = |length: usize| (length + 2 * self.padding - self.side) / self.stride + 1;
        self.plane.map(along)
    }

    /// Values in a window.
    pub(super) fn size(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// For every value of a window its row of the matrix: `channel`, `ky`, `kx` in C order.
    fn taps(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let (channels, side) = (self.channels, self.side);
        (0..channels).flat_map(move |channel| {
            (0..side).flat_map(move |ky| (0..side).map(move |kx| [channel, ky, kx]))
        })
    }

    /// The row of a plane that output row `y` meets with row `ky` of the kernel, unless it is padding.
    pub(super) fn plane_row(&self, y: usize, ky: usize) -> Option<usize> {
        let row = (y * self.stride + ky).checked_sub(self.padding)?;
        (row < self.plane[0]).then_some(row)
    }

    /// The output columns that meet the plane, not padding, with column `kx` of the kernel; and the column
    /// of the plane that the first of them meets.
    pub(super) fn plane_columns(&self, kx: usize, width: usize) -> (Range<usize>, usize) {
        let first = self.padding.saturating_sub(kx).div_ceil(self.stride);
        let end = (self.plane[1] + self.padding).saturating_sub(kx);
        let end = end.div_ceil(self.stride).min(width);
        let first = first.min(end);
        let from = (first * self.stride + kx).saturating_sub(self.padding);
        (first..end, from.min(self.plane[1]))
    }

    /// Writes output rows `rows` of one sample as columns `start..` of a matrix with `width` columns.
    ///
    /// # Shapes
    /// `sample` `[channel, y, x]`; `matrix` `[channel x ky x kx, width]`.
    pub(super) fn im2col(
        &self,
        sample: &[f32],
        rows: Range<usize>,
        matrix: &mut [f32],
        [start, width]: [usize; 2],
    ) {
        let across = self.output()[1];
        let area = self.plane[0] * self.plane[1];
        for ([channel, ky, kx], line) in self.taps().zip(matrix.chunks_exact_mut(width)) {
            let plane = &sample[channel * area..(channel + 1) * area];
            let (columns, from) = self.plane_columns(kx, across);
            let outputs = line[start..].chunks_exact_mut(across);
            for (y, into) in rows.clone().zip(outputs) {
                let Some(row) = self.plane_row(y, ky) else {
                    into.fill(0.0);
                    continue;
                };
                let row = &plane[row * self.plane[1]..][from..self.plane[1]];
                into[..columns.start].fill(0.0);
                into[columns.end..].fill(0.0);
                let into = &mut into[columns.clone()];
                if self.stride == 1 {
                    into.copy_from_slice(&row[..columns.len()]);
                } else {
                    let every = row.iter().step_by(self.stride);
                    into.iter_mut().zip(every).for_each(|(i, v)| *i = *v);
                }
            }
        }
    }

    /// Adds what [`im2col`](Self::im2col) would have taken from each value of the sample to it.
    ///
    /// # Shapes
    /// As those of `im2col`.
    pub(super) fn col2im(
        &self,
        matrix: &[f32],
        rows: Range<usize>,
        sample: &mut [f32],
        [start, width]: [usize; 2],
    ) {
        let across = self.output()[1];
        let area = self.plane[0] * self.plane[1];
        for ([channel, ky, kx], line) in self.taps().zip(matrix.chunks_exact(width)) {
            let plane = &mut sample[channel * area..(channel + 1) * area];
            let (columns, from) = self.plane_columns(kx, across);
            for (y, out) in rows.clone().zip(line[start..].chunks_exact(across)) {
                let Some(row) = self.plane_row(y, ky) else {
                    continue;
                };
                let row = &mut plane[row * self.plane[1]..][from..self.plane[1]];
                let out = &out[columns.clone()];
                if self.stride == 1 {
                    row.iter_mut().zip(out).for_each(|(r, o)| *r += *o);
                } else {
                    let every = row.iter_mut().step_by(self.stride);
                    every.zip(out).for_each(|(r, o)| *r += *o);
                }
            }
        }
    }
}
