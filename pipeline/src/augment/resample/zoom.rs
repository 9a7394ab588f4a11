//! The two halves of an axis: from native pixels to the grid, and from the grid to the view.

use chipmill_schemas::augment::Filter;

use super::kernel::{MOST_TAPS, Resize, Walk};
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
    /// Of every grid pixel and its neighbour, the next and the one before, where they have [`FEW`] weights together.
    pub(super) twos: [Vec<Two>; 2],
    /// Of every native pixel the grid pixels that depend on it, from the first on.
    columns: Vec<(usize, Vec<f64>)>,
}

/// The weights of two grid pixels, from the same native pixel on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Two {
    pub(super) start: u32,
    /// Of the pixel itself, and of its neighbour.
    pub(super) weights: [[f64; FEW]; 2],
}

impl Two {
    /// Zeros where there is no neighbour.
    fn new(grid: &[GridRow], pixel: usize, neighbour: usize, furthest: u32) -> Self {
        let rows = [grid.get(pixel), grid.get(neighbour)];
        let first = rows.iter().flatten().map(|row| row.first).min();
        let start = first.unwrap_or(0).min(furthest);
        let weights = rows.map(|row| {
            let mut weights = [0.0; FEW];
            if let Some(row) = row {
                let to = &mut weights[(row.first - start) as usize..];
                for (to, weight) in to.iter_mut().zip(&row.weights[LEAD..]) {
                    *to = *weight;
                }
            }
            weights
        });
        Self { start, weights }
    }
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
        let rows: Vec<_> = (0..side).map(row).collect();
        let mut grid = Self {
            native,
            taps,
            rows,
            twos: Default::default(),
            columns: Vec::new(),
        };
        grid.columns = (0..native).map(|pixel| grid.column(pixel)).collect();
        let width = grid.reach(2);
        if width <= FEW {
            let furthest = grid.furthest(width);
            let rows = &grid.rows;
            let two = |pixel: usize, other| Two::new(rows, pixel, other, furthest);
            let pixels = 0..rows.len();
            let next = pixels.clone().map(|pixel| two(pixel, pixel + 1));
            let twos = [
                next.collect(),
                pixels.map(|p| two(p, p.wrapping_sub(1))).collect(),
            ];
            grid.twos = twos;
        }
        grid
    }

    /// The weights of a native pixel in the grid pixels that depend on it, from the first on.
    fn column(&self, pixel: u32) -> (usize, Vec<f64>) {
        let weight = |row: &GridRow| {
            let place = pixel.checked_sub(row.first).map(|k| LEAD + k as usize);
            let weight = place.and_then(|place| row.weights.get(place));
            weight.copied().unwrap_or(0.0)
        };
        let weights: Vec<f64> = self.rows.iter().map(weight).collect();
        let is_used = |w: &f64| *w != 0.0;
        let first = weights.iter().position(is_used).unwrap_or(0);
        let end = weights.iter().rposition(is_used).map_or(0, |last| last + 1);
        (first, weights[first..end.max(first)].to_vec())
    }

    /// How often each native pixel counts over all outputs of an axis: the sum of its weights.
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
    pub(crate) fn totals(&self, zoom: &Zoom, to: &mut [f32]) {
        if self.is_native() {
            for (to, total) in to.iter_mut().zip(&zoom.totals) {
                *to = *total as f32;
            }
            return;
        }
        for (to, (first, weights)) in to.iter_mut().zip(&self.columns) {
            let mut total = 0.0;
            for (of_grid, weight) in zoom.totals[*first..].iter().zip(weights) {
                total += of_grid * weight;
            }
            *to = total as f32;
        }
    }

    /// Whether the grid's pixels are the native ones.
    pub(super) fn is_native(&self) -> bool {
        self.taps == 1 && self.rows.len() == self.native()
    }

    /// The last native pixel that `width` weights can begin at.
    pub(super) fn furthest(&self, width: usize) -> u32 {
        self.native - u32::try_from(width).unwrap_or(0)
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
    /// [`Self::line`] an output; those that it does not have are 0.
    pub(super) weights: Vec<f64>,
    /// How often each grid pixel counts over all outputs: the sum of its weights.
    totals: Vec<f64>,
    /// Those of every fourth output: a sum waits for the one before it, where that is of the same pixel.
    partial: Vec<[f64; PARTS]>,
}

/// Sums of which no two are in a row.
const PARTS: usize = 4;

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
        self.outputs.resize(outputs as usize, Output::default());
        self.weights.resize(outputs as usize * self.line(), 0.0);
        self.partial.clear();
        self.partial.resize(side as usize, [0.0; PARTS]);
        match self.line() {
            FEW => self.lay::<FEW>(axis, side, resize.walk()),
            _ => self.lay::<MOST_TAPS>(axis, side, resize.walk()),
        }
        self.totals.clear();
        let total = |[a, b, c, d]: &[f64; PARTS]| (a + b) + (c + d);
        self.totals.extend(self.partial.iter().map(total));
    }

    /// Values from one output's weights to the next's.
    pub(super) fn line(&self) -> usize {
        if self.span <= FEW { FEW } else { MOST_TAPS }
    }

    fn lay<const LINE: usize>(&mut self, axis: &Axis, side: u32, mut walk: Walk) {
        let outputs = self.outputs.len();
        let mut output = 0;
        while output < outputs {
            // Most outputs of most views, without a question for each.
            for _ in 0..walk.between() {
                let (first, weights) = walk.two();
                self.put::<LINE>(axis, side, output, (first, 2), weights);
                output += 1;
            }
            if output < outputs {
                let (first, count, weights) = walk.row();
                self.put::<LINE>(axis, side, output, (first, count), weights);
                output += 1;
            }
        }
    }

    #[inline(always)]
    fn put<const LINE: usize>(
        &mut self,
        axis: &Axis,
        side: u32,
        output: usize,
        (first, count): (u32, u32),
        weights: [f64; LINE],
    ) {
        let place = match axis.reversed_out {
            true => self.outputs.len() - 1 - output,
            false => output,
        };
        let first = axis.start + first;
        let at = Output {
            first: match axis.reversed_in {
                true => side - 1 - first,
                false => first,
            },
            count,
        };
        self.outputs[place] = at;
        self.weights.as_chunks_mut().0[place] = weights;
        for (k, weight) in (0..count).zip(weights) {
            self.partial[at.place(k, self.step)][output % PARTS] += weight;
        }
    }

    /// Takes the memory for `side` outputs of a grid of so many pixels.
    pub(crate) fn reserve(&mut self, side: usize, grid: usize) {
        reserve(&mut self.outputs, side);
        reserve(&mut self.weights, side * MOST_TAPS);
        reserve(&mut self.totals, grid);
        reserve(&mut self.partial, grid);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let partial = self.partial.capacity() * PARTS;
        let numbers = self.weights.capacity() + self.totals.capacity() + partial;
        self.outputs.capacity() * size_of::<Output>() + numbers * size_of::<f64>()
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
        grid.rows[lowest].first.min(grid.furthest(width))
    }
}
