//! One axis of a resampling, as weights on neighbouring source pixels.

use chipmill_schemas::augment::Filter;

use super::for_each_tap;
use crate::augment::scratch::reserve;

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

/// How a raster of `native` pixels a side is brought to the grid that windows are cut from: one row
/// of weights a grid pixel.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    native: u32,
    /// `(first native pixel, weights)` of every grid pixel.
    rows: Vec<(u32, Vec<f64>)>,
}

impl Grid {
    pub(crate) fn new(native: u32, side: u32, filter: Filter) -> Self {
        let row = |pixel| {
            let (mut first, mut weights) = (0, Vec::new());
            for_each_tap(filter, pixel, side, native, |input, weight| {
                // Zeros at either end, as where sizes are equal, would only widen all sums.
                if weights.is_empty() && weight != 0.0 {
                    first = input;
                }
                if !weights.is_empty() || weight != 0.0 {
                    weights.push(weight);
                }
            });
            let used = weights.iter().rposition(|&w| w != 0.0).map_or(0, |i| i + 1);
            weights.truncate(used);
            (first, weights)
        };
        Self {
            native,
            rows: (0..side).map(row).collect(),
        }
    }

    pub(crate) fn native(&self) -> usize {
        self.native as usize
    }

    /// Pixels of a side of the grid.
    pub(crate) fn side(&self) -> u32 {
        u32::try_from(self.rows.len()).unwrap_or(0)
    }

    /// Native pixels that `span` neighbouring grid pixels touch, at most.
    fn reach(&self, span: usize) -> usize {
        let widest = self.rows.iter().map(|r| r.1.len()).max().unwrap_or(1);
        let steps = (span - 1) * self.native();
        (steps.div_ceil(self.rows.len()) + widest).min(self.native())
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
    /// One output's weights on all native pixels, in double precision.
    dense: Vec<f64>,
}

impl Taps {
    /// Folds mirroring, window, resize and the way from native pixels to the grid into one row of
    /// weights for each of `outputs` pixels. Reuses this value's memory.
    pub(crate) fn set(&mut self, axis: &Axis, grid: &Grid, outputs: u32) {
        let native = grid.native();
        self.width = padded(grid.reach(span(axis, outputs)), native);
        self.starts.clear();
        self.weights.clear();
        self.dense.resize(native, 0.0);
        for output in 0..outputs {
            let output = if axis.reversed_out {
                outputs - 1 - output
            } else {
                output
            };
            let (mut low, mut high) = (native, 0);
            let dense = &mut self.dense;
            for_each_tap(
                axis.filter,
                output,
                outputs,
                axis.length,
                |pixel, weight| {
                    let pixel = axis.start + pixel;
                    let pixel = if axis.reversed_in {
                        grid.side() - 1 - pixel
                    } else {
                        pixel
                    };
                    let (first, row) = &grid.rows[pixel as usize];
                    let first = *first as usize;
                    low = low.min(first);
                    high = high.max(first + row.len());
                    for (sum, w) in dense[first..].iter_mut().zip(row) {
                        *sum += weight * w;
                    }
                },
            );
            self.push(low, high);
        }
    }

    /// Takes the memory for `side` outputs from at most `largest` inputs.
    pub(crate) fn reserve(&mut self, side: usize, largest: usize) {
        reserve(&mut self.starts, side);
        reserve(&mut self.weights, side * WIDEST);
        reserve(&mut self.dense, largest);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let weights = self.weights.capacity() * size_of::<f32>();
        let starts = self.starts.capacity() * size_of::<u32>();
        weights + starts + self.dense.capacity() * size_of::<f64>()
    }

    /// Takes the dense weights in `low..high` as the next output's and clears them.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    fn push(&mut self, low: usize, high: usize) {
        let start = low.min(self.dense.len() - self.width);
        debug_assert!(high <= start + self.width, "the taps fit their width");
        self.starts.push(u32::try_from(start).unwrap_or(0));
        let window = &self.dense[start..start + self.width];
        self.weights.extend(window.iter().map(|&w| w as f32));
        self.dense[low..high].fill(0.0);
    }

    /// The inputs that any output depends on: first, and one past the last.
    pub(crate) fn inputs(&self) -> (usize, usize) {
        let first = self.starts.iter().min().copied().unwrap_or(0) as usize;
        let last = self.starts.iter().max().copied().unwrap_or(0) as usize;
        (first, last + self.width)
    }
}

/// Grid pixels that one output depends on, at most.
fn span(axis: &Axis, outputs: u32) -> usize {
    if axis.length >= 2 * outputs {
        return axis.length.div_ceil(outputs) as usize + 1;
    }
    match axis.filter {
        Filter::Nearest => 1,
        Filter::Bilinear => 2,
        Filter::Bicubic => 4,
    }
}

/// Few different widths, so that each has a loop of its own.
fn padded(width: usize, native: usize) -> usize {
    let wider = match width {
        0..=1 => 1,
        2 => 2,
        3..=4 => 4,
        5..=8 => 8,
        _ => width,
    };
    wider.min(native)
}
