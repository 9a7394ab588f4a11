//! One axis of a resampling, as weights on neighbouring source pixels.

use std::ops::Range;

use chipmill_schemas::augment::Filter;

use super::kernel::{MOST_TAPS, Resize};
use crate::augment::scratch::reserve;
use crate::simd::{LANES, Pick, Row};

/// Most weights of one output: 16, for 120 pixels averaged to 8.
const WIDEST: usize = 16;

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
const GRID_TAPS: usize = 4;

/// Zeros before the weights of a grid pixel, so that they can be read from up to so many native pixels
/// before its first.
const LEAD: usize = 4;

/// How a raster of `native` pixels a side is brought to the grid that windows are cut from: one row
/// of weights a grid pixel.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    native: u32,
    /// Native pixels that a grid pixel depends on, at most.
    taps: usize,
    rows: Vec<GridRow>,
}

/// Weights of one grid pixel, after [`LEAD`] zeros; those beyond [`Grid::taps`] are 0.
#[derive(Debug, Clone, Copy)]
struct GridRow {
    first: u32,
    weights: [f64; LEAD + GRID_TAPS],
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
    fn reach(&self, span: usize) -> usize {
        let steps = (span - 1) * self.native();
        (steps.div_ceil(self.rows.len()) + self.taps).min(self.native())
    }
}

/// Weights of one axis: output `o` is the sum of `weights[o][k] * input[starts[o] + k]`.
///
/// All outputs have equally many weights (zeros fill up), so that loops over them are fixed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taps {
    pub(crate) width: usize,
    pub(crate) starts: Vec<u32>,
    pub(crate) weights: Vec<f32>,
}

/// One axis as weights on pixels of the grid; the same for all resolutions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Zoom {
    /// Grid pixels that one output depends on, at most.
    span: usize,
    /// From each output's first grid pixel to the next: 1, or -1 where the grid is mirrored.
    step: u32,
    rows: Vec<ZoomRow>,
}

/// Weights of one output, of which the first `count` mean something.
#[derive(Debug, Clone, Copy)]
struct ZoomRow {
    first: u32,
    count: usize,
    weights: [f64; MOST_TAPS],
}

impl ZoomRow {
    const NONE: Self = Self {
        first: 0,
        count: 0,
        weights: [0.0; MOST_TAPS],
    };
}

impl Zoom {
    /// Folds mirroring, window and resize of a grid of `side` pixels.
    pub(crate) fn set(&mut self, axis: &Axis, side: u32, outputs: u32) {
        let resize = Resize::new(axis.filter, outputs, axis.length);
        self.span = resize.span();
        self.step = if axis.reversed_in { u32::MAX } else { 1 };
        // Rows of the view before are written over where they lie: most of their memory is not touched.
        self.rows.resize(outputs as usize, ZoomRow::NONE);
        for (place, row) in (0..outputs).zip(&mut self.rows) {
            let output = match axis.reversed_out {
                true => outputs - 1 - place,
                false => place,
            };
            let (first, count) = resize.row(output, &mut row.weights);
            let first = axis.start + first;
            (row.first, row.count) = match axis.reversed_in {
                true => (side - 1 - first, count),
                false => (first, count),
            };
        }
    }

    pub(crate) fn reserve(&mut self, side: usize) {
        reserve(&mut self.rows, side);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<ZoomRow>()
    }
}

impl Taps {
    /// Folds an axis and the way from native pixels to the grid into one row of weights for each pixel
    /// of the result. Reuses this value's memory.
    pub(crate) fn set(&mut self, zoom: &Zoom, grid: &Grid) {
        let native = grid.native();
        let outputs = zoom.rows.len();
        self.width = padded(grid.reach(zoom.span), native);
        self.starts.clear();
        self.weights.clear();
        self.weights.resize(outputs * self.width, 0.0);
        let lines = self.weights.chunks_exact_mut(self.width);
        for (row, line) in zoom.rows.iter().zip(lines) {
            let furthest = u32::try_from(row.count - 1)
                .unwrap_or(0)
                .wrapping_mul(zoom.step);
            let lowest = row.first.min(row.first.wrapping_add(furthest));
            let low = grid.rows[lowest as usize].first as usize;
            let begin = low.min(native - self.width);
            self.starts.push(u32::try_from(begin).unwrap_or(0));
            fold(grid, row, zoom.step, begin, line);
        }
    }

    /// Takes the memory for `side` outputs.
    pub(crate) fn reserve(&mut self, side: usize) {
        reserve(&mut self.starts, side);
        reserve(&mut self.weights, side * WIDEST);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let weights = self.weights.capacity() * size_of::<f32>();
        weights + self.starts.capacity() * size_of::<u32>()
    }

    /// The inputs that some outputs depend on, one at least: first, and one past the last. Outputs run
    /// along the inputs, up or down.
    pub(crate) fn inputs(&self, outputs: Range<usize>) -> Range<usize> {
        match self.starts.get(outputs) {
            Some([first, .., last]) => {
                let (low, high) = (*first.min(last), *first.max(last));
                low as usize..high as usize + self.width
            }
            Some([only]) => *only as usize..*only as usize + self.width,
            _ => 0..0,
        }
    }

    /// The inputs that any output depends on.
    pub(crate) fn all_inputs(&self) -> Range<usize> {
        self.inputs(0..self.starts.len())
    }

    /// How often each input counts over all outputs: the sum of its weights.
    pub(crate) fn totals(&self, totals: &mut [f32]) {
        totals.fill(0.0);
        for (&start, weights) in self
            .starts
            .iter()
            .zip(self.weights.chunks_exact(self.width))
        {
            for (total, weight) in totals[start as usize..].iter_mut().zip(weights) {
                *total += weight;
            }
        }
    }
}

/// Adds up the weights of an output's grid rows into those of the native pixels from `begin` on.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold(grid: &Grid, zoom: &ZoomRow, step: u32, begin: usize, line: &mut [f32]) {
    if grid.taps > 1 {
        return match line.len() {
            ..=LEAD => fold_few(grid, zoom, step, begin, line),
            _ => fold_many(grid, zoom, step, begin, line),
        };
    }
    // Every grid pixel is one native pixel, and another one each.
    let mut at = zoom.first;
    for weight in &zoom.weights[..zoom.count] {
        let row = &grid.rows[at as usize];
        line[row.first as usize - begin] += (weight * row.weights[LEAD]) as f32;
        at = at.wrapping_add(step);
    }
}

/// [`fold`] in `f64`, where several grid pixels depend on one native pixel, into up to [`LEAD`] weights.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold_few(grid: &Grid, zoom: &ZoomRow, step: u32, begin: usize, line: &mut [f32]) {
    let mut sums = [0.0; LEAD];
    let mut at = zoom.first;
    for weight in &zoom.weights[..zoom.count] {
        let row = &grid.rows[at as usize];
        // The sums stay in registers: what moves is where they are added from.
        let shift = row.first as usize - begin;
        if let Some(added) = row.weights[LEAD - shift..].first_chunk::<LEAD>() {
            for (sum, w) in sums.iter_mut().zip(added) {
                *sum += weight * w;
            }
        }
        at = at.wrapping_add(step);
    }
    for (to, sum) in line.iter_mut().zip(sums) {
        *to = sum as f32;
    }
}

/// The same into any number of weights.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold_many(grid: &Grid, zoom: &ZoomRow, step: u32, begin: usize, line: &mut [f32]) {
    let mut sums = [0.0; WIDEST + GRID_TAPS];
    let mut at = zoom.first;
    for weight in &zoom.weights[..zoom.count] {
        let row = &grid.rows[at as usize];
        let sums = &mut sums[row.first as usize - begin..];
        for (sum, w) in sums.iter_mut().zip(&row.weights[LEAD..]) {
            *sum += weight * w;
        }
        at = at.wrapping_add(step);
    }
    for (to, sum) in line.iter_mut().zip(sums) {
        *to = sum as f32;
    }
}

/// Few different widths, so that each has a loop of its own.
fn padded(width: usize, native: usize) -> usize {
    let wider = match width {
        0..=4 => width.max(1),
        5..=8 => 8,
        _ => width,
    };
    wider.min(native)
}

/// The weights of an axis along rows, arranged for sixteen outputs at a time. Outputs beyond the last
/// have the weight 0.
#[derive(Debug, Clone, Default)]
pub(crate) struct Across {
    pub(crate) picks: Vec<Pick>,
    /// `[sixteen outputs][tap]`, each a row of sixteen.
    pub(crate) weights: Vec<Row<f32>>,
}

impl Across {
    pub(crate) fn set(&mut self, taps: &Taps) {
        self.picks.clear();
        self.weights.clear();
        let width = taps.width;
        let blocks = taps
            .starts
            .chunks(LANES)
            .zip(taps.weights.chunks(LANES * width));
        for (starts, weights) in blocks {
            self.picks.push(Pick::new(starts));
            for k in 0..width {
                let mut row = [0.0; LANES];
                for (to, weights) in row.iter_mut().zip(weights.chunks_exact(width)) {
                    *to = weights[k];
                }
                self.weights.push(row);
            }
        }
    }

    pub(crate) fn reserve(&mut self, side: usize) {
        reserve(&mut self.picks, side.div_ceil(LANES));
        reserve(&mut self.weights, side.div_ceil(LANES) * WIDEST);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let picks = self.picks.capacity() * size_of::<Pick>();
        picks + self.weights.capacity() * size_of::<Row<f32>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights are cut to as many as an output can have: none may be lost.
    #[test]
    fn the_weights_of_every_output_add_up_to_1_for_all_windows_and_grids() {
        let filters = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic];
        let (mut zoom, mut taps) = (Zoom::default(), Taps::default());
        for (native, upsampling) in [20, 60, 120]
            .into_iter()
            .flat_map(|n| filters.map(|f| (n, f)))
        {
            let grid = Grid::new(native, 120, upsampling);
            for (length, filter) in (1..=120).flat_map(|l| filters.map(|f| (l, f))) {
                for (outputs, start) in [120, 64, 8]
                    .into_iter()
                    .flat_map(|o| [(o, 0), (o, 60), (o, 120)])
                {
                    let axis = Axis {
                        start: start.min(120 - length),
                        length,
                        reversed_in: start == 60,
                        reversed_out: length % 2 == 0,
                        filter,
                    };
                    zoom.set(&axis, 120, outputs);
                    taps.set(&zoom, &grid);
                    for weights in taps.weights.chunks_exact(taps.width) {
                        let sum: f32 = weights.iter().sum();
                        assert!(
                            (sum - 1.0).abs() < 1e-5,
                            "{axis:?} to {outputs} from {native}: {sum}"
                        );
                    }
                }
            }
        }
    }
}
