//! Memory that rendering works in.

use super::floats::Floats;
use super::ops::blur;
use super::program::Program;
use super::resample::{Across, Affine, Buffers, Grid, Taps, Zoom, padded_len};
use super::run::{block_len, plane_len};
use crate::rng::Left;
use crate::simd::Simd;

/// Weights of rows and columns.
#[derive(Debug, Default)]
pub(super) struct Axes {
    pub(super) y: Taps,
    /// `y` with a blur folded into it, where a view has one.
    pub(super) blurred: Taps,
    pub(super) x: Taps,
    /// Those of `x`, arranged for vectors.
    pub(super) across: Across,
}

impl Axes {
    pub(super) fn set(&mut self, simd: Simd, (rows, columns): (&Zoom, &Zoom), grid: &Grid) {
        self.y.set(simd, rows, grid);
        self.x.set(simd, columns, grid);
        self.across.set(simd, &self.x);
    }

    /// Weights along columns.
    pub(super) fn along_columns(&self, is_blurred: bool) -> &Taps {
        if is_blurred { &self.blurred } else { &self.y }
    }
}

/// Working memory of [`Augmenter::render`](super::Augmenter::render), one for each thread.
///
/// It grows once, when the first view is rendered, to less than
/// [`Augmenter::scratch_bytes`](super::Augmenter::scratch_bytes); after that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Rows and columns on the grid.
    pub(super) zooms: (Zoom, Zoom),
    /// For each resolution and for views.
    pub(super) axes: [Axes; 4],
    pub(super) resample: Buffers,
    /// How often each native row and column counts in a view.
    pub(super) totals: Vec<f32>,
    pub(super) program: Program,
    /// The program's maps, with what only running it tells.
    pub(super) maps: Vec<Affine>,
    /// The view while it is being made: a plane for each band.
    pub(super) planes: Floats,
    pub(super) block: Floats,
    /// A row with its border, or bands added up.
    pub(super) line: Floats,
    /// The first row of those in `resample.rows`.
    pub(super) top: usize,
    /// What there is memory for.
    extent: Option<Extent>,
    /// One a band.
    pub(super) sums: Vec<f64>,
    /// Where each band's normal numbers were left.
    pub(super) left: Vec<Left>,
}

/// What the size of a [`Scratch`] depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) side: usize,
    pub(super) bands: usize,
    /// Side of the largest image that is resampled.
    pub(super) largest: usize,
    pub(super) operations: usize,
}

impl Scratch {
    /// Empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all memory that views of this extent may need.
    pub(super) fn reserve(&mut self, extent: &Extent) {
        if self.extent.replace(*extent) == Some(*extent) {
            return;
        }
        let Extent {
            side,
            bands,
            largest,
            operations,
        } = *extent;
        for Axes {
            y,
            blurred,
            x,
            across,
        } in &mut self.axes
        {
            y.reserve(side);
            blurred.reserve_blurred(side, blur::radius(side));
            x.reserve(side);
            across.reserve(side);
        }
        self.zooms.0.reserve(side, largest);
        self.zooms.1.reserve(side, largest);
        self.resample.reserve(side, largest, blur::radius(side));
        self.program.reserve(operations, bands);
        reserve(&mut self.maps, Program::most_maps(operations, bands));
        reserve(&mut self.sums, bands);
        reserve(&mut self.left, bands);
        self.left.resize(bands, Left::default());
        reserve(&mut self.totals, 2 * largest);
        self.totals.resize(2 * largest, 0.0);
        self.planes.resize(bands * plane_len(side));
        self.block.resize(block_len(side));
        self.line.resize(
            blur::line_len(side)
                .max(largest * largest)
                .max(padded_len(side, blur::radius(side))),
        );
    }
}

/// Grows the capacity to `len` and no further.
pub(super) fn reserve<T>(values: &mut Vec<T>, len: usize) {
    values.reserve_exact(len.saturating_sub(values.len()));
}

#[cfg(test)]
impl Scratch {
    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        let axes = self.axes.iter();
        let axes = axes.map(|a| a.y.bytes() + a.blurred.bytes() + a.x.bytes() + a.across.bytes());
        let floats = [&self.planes, &self.block, &self.line];
        let floats = floats.iter().map(|v| v.bytes());
        axes.sum::<usize>()
            + floats.sum::<usize>()
            + self.totals.capacity() * size_of::<f32>()
            + self.zooms.0.bytes()
            + self.zooms.1.bytes()
            + self.resample.bytes()
            + self.program.bytes()
            + self.maps.capacity() * size_of::<Affine>()
            + self.sums.capacity() * size_of::<f64>()
            + self.left.capacity() * size_of::<Left>()
    }
}
