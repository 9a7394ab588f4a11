//! One axis of a resampling, as weights on neighbouring source pixels.

use std::ops::Range;

use super::wide::Pair;
use super::zoom::{FEW, GRID_TAPS, Grid, LEAD, Two, Zoom};
use crate::augment::scratch::reserve;
use crate::simd::{LANES, Pick, Row, Simd, kernel};

/// Most weights of one output: 16, for 120 pixels averaged to 8.
const WIDEST: usize = 16;

/// Weights of one axis: output `o` is the sum of `weights[k] * input[first + k]`, with what `line(o)` gives.
///
/// All outputs have equally many weights (zeros fill up), so that loops over them are fixed; of pairs both have as many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Taps {
    pub(crate) width: usize,
    pub(crate) starts: Vec<u32>,
    /// Lines of [`Self::stride`] values, of which the first are weights and the others 0; none where there are pairs.
    pub(super) weights: Vec<f32>,
    /// The weights of two outputs at a time, where a blur is folded in.
    pub(super) pairs: Vec<Pair>,
    /// Where outputs begin without the blur, with those that are mirrored at borders.
    pub(super) around: Vec<u32>,
}

impl Taps {
    /// Folds an axis and the way from native pixels to the grid into one row of weights for each pixel
    /// of the result. Reuses this value's memory.
    pub(crate) fn set(&mut self, simd: Simd, zoom: &Zoom, grid: &Grid) {
        let outputs = zoom.outputs.len();
        self.width = padded(grid.reach(zoom.span), grid.native());
        self.starts.resize(outputs, 0);
        self.weights.resize(outputs * self.stride(), 0.0);
        fold(
            simd,
            zoom,
            grid,
            self.width,
            &mut self.starts,
            &mut self.weights,
        );
    }

    /// Takes the memory for `side` outputs.
    pub(crate) fn reserve(&mut self, side: usize) {
        reserve(&mut self.starts, side);
        reserve(&mut self.weights, side * WIDEST);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let weights =
            self.weights.capacity() * size_of::<f32>() + self.pairs.capacity() * size_of::<Pair>();
        weights + (self.starts.capacity() + self.around.capacity()) * size_of::<u32>()
    }

    /// Values from one output's weights to the next's.
    #[inline(always)]
    pub(super) fn stride(&self) -> usize {
        self.width.max(FEW)
    }

    /// The first input of an output, and its weights from there on.
    #[inline(always)]
    pub(crate) fn line(&self, output: usize) -> (usize, &[f32]) {
        match self.pairs.get(output / 2) {
            Some(pair) => (pair.low as usize, pair.line(output)),
            None => {
                let weights = &self.weights[output * self.stride()..][..self.width];
                (self.starts[output] as usize, weights)
            }
        }
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
}

kernel! {
    /// Adds up the weights of each output's grid rows into `width` weights of native pixels. Numbers one by one, but
    /// compiled for the processor: four of `f64` are one register.
    fn fold(
        _lanes,
        zoom: &Zoom,
        grid: &Grid,
        width: usize,
        starts: &mut [u32],
        weights: &mut [f32],
    ) {
        match (width, zoom.span) {
            (..=FEW, 2) => fold_two(zoom, grid, starts, weights),
            (1, 1) => fold_few::<1, 1>(zoom, grid, starts, weights),
            (2, 1) => fold_few::<2, 1>(zoom, grid, starts, weights),
            (3, 1) => fold_few::<3, 1>(zoom, grid, starts, weights),
            (4, 1) => fold_few::<4, 1>(zoom, grid, starts, weights),
            (2, ..=4) => fold_few::<2, 4>(zoom, grid, starts, weights),
            (3, ..=4) => fold_few::<3, 4>(zoom, grid, starts, weights),
            (4, ..=4) => fold_few::<4, 4>(zoom, grid, starts, weights),
            _ => fold_many(zoom, grid, width, starts, weights),
        }
    }
}

/// For outputs that depend on two grid pixels, whose weights are there for every two neighbours.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold_two(zoom: &Zoom, grid: &Grid, starts: &mut [u32], weights: &mut [f32]) {
    if grid.is_native() {
        return round_two(zoom, grid, starts, weights);
    }
    let twos = &grid.twos[usize::from(zoom.step != 1)];
    let outputs = zoom.outputs.iter().zip(zoom.weights.as_chunks::<FEW>().0);
    let lines = starts.iter_mut().zip(weights.as_chunks_mut::<FEW>().0);
    for ((output, &[first, second, ..]), (start, line)) in outputs.zip(lines) {
        let Two {
            start: begin,
            weights: [of_first, of_second],
        } = twos[output.first as usize];
        *start = begin;
        // In registers of four before any is stored.
        let (mut sums, mut rounded) = ([0.0; FEW], [0.0; FEW]);
        for k in 0..FEW {
            sums[k] = first * of_first[k] + second * of_second[k];
        }
        for k in 0..FEW {
            rounded[k] = sums[k] as f32;
        }
        *line = rounded;
    }
}

/// The same where the grid's pixels are the native ones.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn round_two(zoom: &Zoom, grid: &Grid, starts: &mut [u32], weights: &mut [f32]) {
    let furthest = grid.furthest(2);
    let outputs = zoom.outputs.iter().zip(zoom.weights.as_chunks::<FEW>().0);
    let lines = starts.iter_mut().zip(weights.as_chunks_mut::<FEW>().0);
    for ((output, &[first, second, ..]), (start, line)) in outputs.zip(lines) {
        let (first, second) = (first as f32, second as f32);
        // Where the border leaves no neighbour, that has no weight, and stands on the other side.
        *start = match zoom.step {
            1 => output.first.min(furthest),
            _ => output.first.saturating_sub(1),
        };
        *line = match *start == output.first {
            true => [first, second, 0.0, 0.0],
            false => [second, first, 0.0, 0.0],
        };
    }
}

/// For outputs that depend on up to `S` grid pixels and `W` native ones, four at most.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold_few<const W: usize, const S: usize>(
    zoom: &Zoom,
    grid: &Grid,
    starts: &mut [u32],
    weights: &mut [f32],
) {
    let outputs = zoom.outputs.iter().zip(zoom.weights.as_chunks::<FEW>().0);
    let lines = starts.iter_mut().zip(weights.as_chunks_mut::<FEW>().0);
    for ((output, weights), (start, line)) in outputs.zip(lines) {
        *start = output.begin(zoom.step, grid, W);
        *line = [0.0; FEW];
        // The sums stay in registers: what moves is where they are added from.
        let mut sums = [0.0; LEAD];
        for (k, weight) in (0..).zip(&weights[..S]) {
            // Those that are missing at a border have no weight, and stand where the last one does.
            let row = &grid.rows[output.place((output.count - 1).min(k), zoom.step)];
            let shift = (row.first - *start) as usize;
            if let Some(added) = row.weights[LEAD - shift..].first_chunk::<LEAD>() {
                for (sum, w) in sums.iter_mut().zip(added) {
                    *sum += weight * w;
                }
            }
        }
        for (to, sum) in line[..W].iter_mut().zip(sums) {
            *to = sum as f32;
        }
    }
}

/// The same for any number of either.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn fold_many(zoom: &Zoom, grid: &Grid, width: usize, starts: &mut [u32], weights: &mut [f32]) {
    let of_zoom = zoom.weights.chunks_exact(zoom.line());
    let lines = weights.chunks_exact_mut(width.max(FEW));
    let lines = starts.iter_mut().zip(lines);
    for ((output, weights), (start, line)) in zoom.outputs.iter().zip(of_zoom).zip(lines) {
        line.fill(0.0);
        *start = output.begin(zoom.step, grid, width);
        let mut sums = [0.0; WIDEST + GRID_TAPS];
        for (k, weight) in (0..output.count).zip(weights) {
            let row = &grid.rows[output.place(k, zoom.step)];
            let sums = &mut sums[(row.first - *start) as usize..];
            for (sum, w) in sums.iter_mut().zip(&row.weights[LEAD..]) {
                *sum += weight * w;
            }
        }
        for (to, sum) in line[..width].iter_mut().zip(sums) {
            *to = sum as f32;
        }
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

kernel! {
    /// Exchanges outputs and weights of every sixteen outputs.
    fn arrange(_lanes, taps: &Taps, picks: &mut [Pick], to: &mut [Row<f32>]) {
        let blocks = taps.starts.chunks(LANES).zip(taps.weights.chunks(LANES * taps.stride()));
        for ((starts, lines), (pick, to)) in blocks.zip(picks.iter_mut().zip(to.chunks_exact_mut(taps.width))) {
            *pick = Pick::new(starts);
            if let (FEW, Some(lines)) = (taps.stride(), lines.as_chunks::<FEW>().0.first_chunk()) {
                let lines: &Row<[f32; FEW]> = lines;
                for (k, to) in to.iter_mut().enumerate().take(FEW) {
                    for l in 0..LANES {
                        to[l] = lines[l][k];
                    }
                }
                continue;
            }
            for (k, to) in to.iter_mut().enumerate() {
                *to = [0.0; LANES];
                for (to, line) in to.iter_mut().zip(lines.chunks_exact(taps.stride())) {
                    *to = line[k];
                }
            }
        }
    }
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
    pub(crate) fn set(&mut self, simd: Simd, taps: &Taps) {
        let blocks = taps.starts.len().div_ceil(LANES);
        self.picks.resize(blocks, Pick::default());
        self.weights.resize(blocks * taps.width, [0.0; LANES]);
        arrange(simd, taps, &mut self.picks, &mut self.weights);
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
    use chipmill_schemas::augment::Filter;

    use super::super::zoom::Axis;
    use super::*;

    /// Weights are cut to as many as an output can have: none may be lost.
    #[test]
    fn weights_add_up_to_1_for_every_output_and_to_totals_for_every_input() {
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
                    taps.set(Simd::best(), &zoom, &grid);
                    let mut counts = vec![0.0; grid.native()];
                    for (start, weights) in (0..taps.starts.len()).map(|o| taps.line(o)) {
                        for (count, &weight) in counts[start..].iter_mut().zip(weights) {
                            *count += weight;
                        }
                        let sum: f32 = weights.iter().sum();
                        assert!(
                            (sum - 1.0).abs() < 1e-5,
                            "{axis:?} to {outputs} from {native}: {sum}"
                        );
                    }
                    // What means are told with.
                    let mut totals = vec![0.0; grid.native()];
                    grid.totals(&zoom, &mut totals);
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-4 * b.abs().max(1.0);
                    assert!(
                        totals.iter().zip(&counts).all(near),
                        "{axis:?} to {outputs} from {native}"
                    );
                }
            }
        }
    }
}
