//! The two halves of an axis: from native pixels to the grid, and from the grid to the view.

use chipmill_schemas::augment::Filter;

use super::kernel::{MOST_TAPS, Resize};
use crate::augment::scratch::reserve;

/// How the pixels of one axis of a view are made from an image of the patch's full grid.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Axis {
    /// First pixel of the window.
    pub(crate) start: u32,
    /// Pixels of the window.
    pub(crate) length: u32,
    /// The image is mirrored before the window is cut.
    pub(crate) reversed_in: bool,
    /// The result is mirrored.
    pub(crate) reversed_out: bool,
    /// Interpolation from the window to the view.
    pub(crate) filter: Filter,
}

/// Most native pixels that one pixel of the grid depends on.
pub(super) const GRID_TAPS: usize = 4;

/// Grid pixels that an output is made from without asking how many they are.
pub(super) const FEW: usize = 4;

/// Zeros before the weights of a grid pixel, so that they can be read from up to so many native pixels
/// before its first.
pub(super) const LEAD: usize = 4;

/// How a raster of `native` pixels a side is brought to the grid that windows are cut from: one row
/// of weights a grid pixel.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    native: u32,
    /// Native pixels that a grid pixel depends on, at most.
    taps: usize,
    pub(super) rows: Vec<GridRow>,
}

/// Weights of one grid pixel, after [`LEAD`] zeros; those beyond [`Grid::taps`] are 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct GridRow {
    pub(super) first: u32,
    pub(super) weights: [f64; LEAD + GRID_TAPS],
}

impl Grid {
    pub(crate) fn new(native: u32, side: u32, filter: Filter) -> Self {
        let resize = Resize::new(filter, side, native);
        let mut taps = 1;
        let row = |pixel| {
            let mut weights = [0.0; MOST_TAPS];
            let (first, count) = resize.row(pixel, &mut weights);
            // Zeros at either end, as where sizes are equal, would only widen all sums.
            let is_used = |w: &f64| *w != 0.0;
            let used = &weights[..count];
            let low = used.iter().position(is_used).unwrap_or(0);
            let high = used.iter().rposition(is_used).map_or(1, |i| i + 1);
            taps = taps.max(high - low);
            let mut row = GridRow {
                first: first + u32::try_from(low).unwrap_or(0),
                weights: [0.0; _],
            };
            row.weights[LEAD..LEAD + high - low].copy_from_slice(&used[low..high]);
            row
        };
        let rows = (0..side).map(row).collect();
        Self { native, taps, rows }
    }

    pub(crate) fn native(&self) -> usize {
        self.native as usize
    }

    /// Native pixels that `span` neighbouring grid pixels touch, at most.
    pub(super) fn reach(&self, span: usize) -> usize {
        let steps = (span - 1) * self.native();
        (steps.div_ceil(self.rows.len()) + self.taps).min(self.native())
    }
}

/// One axis as weights on pixels of the grid; the same for all resolutions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zoom {
    /// Grid pixels that one output depends on, at most.
    pub(super) span: usize,
    /// Grid pixels of the window.
    pub(super) length: u32,
    /// From each output's first grid pixel to the next: 1, or -1 where the grid is mirrored.
    pub(super) step: u32,
    pub(super) outputs: Vec<Output>,
    /// As many an output as it has grid pixels at most, and [`FEW`] at least; those that it does not have are 0.
    pub(super) weights: Vec<f64>,
}

/// The grid pixels of one output: the first, and how many they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Output {
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Zoom {
    /// Folds mirroring, window and resize of a grid of `side` pixels.
    pub(crate) fn set(&mut self, axis: &Axis, side: u32, outputs: u32) {
        let resize = Resize::new(axis.filter, outputs, axis.length);
        self.span = resize.span();
        self.length = axis.length;
        self.step = if axis.reversed_in { u32::MAX } else { 1 };
        let width = self.span.max(FEW);
        self.outputs.resize(outputs as usize, Output::default());
        self.weights.resize(outputs as usize * width, 0.0);
        let lines = self.weights.chunks_exact_mut(width);
        let mut weights = [0.0; MOST_TAPS];
        for ((place, to), line) in (0..outputs).zip(&mut self.outputs).zip(lines) {
            let output = match axis.reversed_out {
                true => outputs - 1 - place,
                false => place,
            };
            let (first, count) = resize.row(output, &mut weights);
            let first = axis.start + first;
            *to = Output {
                first: match axis.reversed_in {
                    true => side - 1 - first,
                    false => first,
                },
                count: u32::try_from(count).unwrap_or(0),
            };
            for (k, (to, weight)) in line.iter_mut().zip(weights).enumerate() {
                *to = if k < count { weight } else { 0.0 };
            }
        }
    }

    pub(crate) fn reserve(&mut self, side: usize) {
        reserve(&mut self.outputs, side);
        reserve(&mut self.weights, side * MOST_TAPS);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.outputs.capacity() * size_of::<Output>() + self.weights.capacity() * size_of::<f64>()
    }
}

impl Output {
    /// The grid pixel that weight `k` is for.
    #[inline(always)]
    pub(super) fn place(self, k: u32, step: u32) -> usize {
        self.first.wrapping_add(k.wrapping_mul(step)) as usize
    }

    /// The first of `width` native pixels that hold all of those that the grid pixels depend on.
    #[inline(always)]
    pub(super) fn begin(self, step: u32, grid: &Grid, width: usize) -> u32 {
        let last = self.place(self.count - 1, step);
        let lowest = last.min(self.first as usize);
        let furthest = grid.native - u32::try_from(width).unwrap_or(0);
        grid.rows[lowest].first.min(furthest)
    }
}
