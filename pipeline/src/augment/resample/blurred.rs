//! Weights along columns with a blur of the view folded into them.

use super::taps::Taps;
use super::wide::Pair;
use super::zoom::{Grid, Zoom};
use crate::augment::scratch::reserve;
use crate::simd::{LANES, Row, Simd, kernel};

/// Most weights of an output with its blur: one vector.
pub(super) const MOST_BLURRED: usize = LANES;

/// Values of a line of weights with zeros on both sides, so that any sixteen that hold some of them can be read.
const PADDED: usize = 2 * LANES;

/// Values of the memory that [`Taps::set_blurred`] works in.
pub(crate) fn padded_len(side: usize) -> usize {
    side * PADDED
}

impl Zoom {
    /// Whether an axis of `side` outputs can take in a blur that reaches `radius` of them: outputs depend on few
    /// enough pixels then, and pixels are no more than outputs.
    pub(crate) fn takes_blur(&self, grid: &Grid, radius: usize) -> bool {
        let (length, side) = (self.length as usize, self.outputs.len());
        let span = self.span + (2 * radius * length).div_ceil(side.max(1));
        length <= side && grid.reach(span) <= MOST_BLURRED
    }
}

impl Taps {
    /// Takes the memory for the pairs of `side` outputs.
    pub(crate) fn reserve_pairs(&mut self, side: usize) {
        reserve(&mut self.pairs, side / 2);
    }

    /// These outputs, each with those around it, weighted by `half[k]` those `k` before and behind: mirrored at the
    /// borders, whose outputs are not repeated. The weights are made in `f32`.
    ///
    /// `memory` is [`padded_len`] values.
    pub(crate) fn set_blurred(
        &mut self,
        simd: Simd,
        sharp: &Self,
        half: &[f32],
        native: usize,
        memory: &mut [f32],
    ) {
        let (side, reach) = (sharp.starts.len(), half.len() - 1);
        self.starts.resize(side, 0);
        let mut farthest = 0;
        for (o, start) in self.starts.iter_mut().enumerate() {
            // Outputs run along the inputs, up or down.
            let low = sharp.starts[o.saturating_sub(reach)];
            let high = sharp.starts[(o + reach).min(side - 1)];
            *start = low.min(high);
            farthest = farthest.max(low.abs_diff(high));
        }
        self.width = (farthest as usize + sharp.width).min(native);
        debug_assert!(self.width <= MOST_BLURRED, "{} weights", self.width);
        let follow = |two: &[u32; 2]| two[0].abs_diff(two[1]) <= 1;
        debug_assert!(self.starts.array_windows().all(follow), "{:?}", self.starts);
        let last = u32::try_from(native - self.width).unwrap_or(0);
        for start in &mut self.starts {
            *start = (*start).min(last);
        }
        self.weights.resize(side * self.stride(), 0.0);
        let pair = |starts: &[u32; 2]| Pair {
            low: starts[0].min(starts[1]),
            count: starts[0].abs_diff(starts[1]) + u32::try_from(self.width).unwrap_or(0),
            factors: [[0.0; _]; 2],
        };
        self.pairs.clear();
        self.pairs
            .extend(self.starts.as_chunks().0.iter().map(pair));
        blur_weights(
            simd,
            sharp,
            half,
            self.stride(),
            &self.starts,
            memory,
            &mut self.weights,
            &mut self.pairs,
        );
    }
}

kernel! {
    fn blur_weights(
        lanes,
        sharp: &Taps,
        half: &[f32],
        stride: usize,
        starts: &[u32],
        memory: &mut [f32],
        weights: &mut [f32],
        pairs: &mut [Pair],
    ) {
        let padded = &mut memory.as_chunks_mut::<PADDED>().0[..sharp.starts.len()];
        for (to, (_, from)) in padded.iter_mut().zip(sharp.outputs()) {
            *to = [0.0; PADDED];
            for (to, from) in to[LANES..].iter_mut().zip(from) {
                *to = *from;
            }
        }
        let last = starts.len() - 1;
        for (o, &start) in starts.iter().enumerate() {
            let line = |o: usize| from_start(&padded[o], sharp.starts[o], start);
            let mut sum = lanes.mul(lanes.load(line(o)), lanes.splat(half[0]));
            for (k, &weight) in half.iter().enumerate().skip(1) {
                let (before, behind) = (o.abs_diff(k), (last - o).abs_diff(k));
                let pair = lanes.add(lanes.load(line(before)), lanes.load(line(last - behind)));
                sum = lanes.mul_add(pair, lanes.splat(weight), sum);
            }
            if let Some(pair) = pairs.get_mut(o / 2)
                && let Some(to) = pair.factors[o % 2][(start - pair.low) as usize..].first_chunk_mut()
            {
                lanes.store(sum, to);
            }
            let to = &mut weights[o * stride..];
            if let Some(to) = to.first_chunk_mut() {
                // The next output comes over what is too much.
                lanes.store(sum, to);
            } else {
                let mut line = [0.0; LANES];
                lanes.store(sum, &mut line);
                for (to, from) in to.iter_mut().zip(line) {
                    *to = from;
                }
            }
        }
    }
}

/// Sixteen weights of a line that begins at `own`, from the pixel `start` on.
#[inline(always)]
fn from_start(padded: &[f32; PADDED], own: u32, start: u32) -> &Row<f32> {
    let place = LANES.saturating_sub((own - start) as usize);
    padded[place..].first_chunk().unwrap_or(&[0.0; LANES])
}

#[cfg(test)]
mod tests {
    use chipmill_schemas::augment::{Border, Filter};

    use super::super::zoom::Axis;
    use super::*;
    use crate::augment::ops::blur::{HalfKernel, radius};

    const GRID: u32 = 120;

    /// Each output's weights on all pixels.
    fn dense(taps: &Taps, native: usize) -> Vec<Vec<f64>> {
        let line = |(start, weights): (usize, &[f32])| {
            let mut line = vec![0.0; native];
            for (to, &weight) in line[start..].iter_mut().zip(weights) {
                *to += f64::from(weight);
            }
            line
        };
        taps.outputs().map(line).collect()
    }

    /// The same of pairs.
    fn dense_pairs(taps: &Taps, native: usize) -> Vec<Vec<f64>> {
        let line = |pair: &Pair, half: usize| {
            let mut line = vec![0.0; native];
            let (used, rest) = pair.factors[half].split_at(pair.count as usize);
            for (to, &weight) in line[pair.low as usize..][..used.len()].iter_mut().zip(used) {
                *to += f64::from(weight);
            }
            assert!(rest.iter().all(|&weight| weight == 0.0));
            line
        };
        let both = |pair| [line(pair, 0), line(pair, 1)];
        taps.pairs.iter().flat_map(both).collect()
    }

    /// Mirrored outputs around each, one by one.
    fn plain(sharp: &[Vec<f64>], half: &[f32]) -> Vec<Vec<f64>> {
        let last = sharp.len() - 1;
        let blurred = |o: usize| {
            let mut line = sharp[o].clone();
            line.iter_mut().for_each(|v| *v *= f64::from(half[0]));
            for (k, &weight) in half.iter().enumerate().skip(1) {
                let (before, behind) = (o.abs_diff(k), last - (last - o).abs_diff(k));
                let pairs = sharp[before].iter().zip(&sharp[behind]);
                for (to, (before, behind)) in line.iter_mut().zip(pairs) {
                    *to += f64::from(weight) * (before + behind);
                }
            }
            line
        };
        (0..=last).map(blurred).collect()
    }

    fn assert_near(found: &[Vec<f64>], expected: &[Vec<f64>], axis: &Axis) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let near = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-6;
            assert!(found.iter().zip(expected).all(near), "{axis:?}");
        }
    }

    #[test]
    fn blurred_weights_are_those_of_the_outputs_around_for_all_windows_and_grids() {
        let filters = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic];
        let [mut sharp, mut blurred] = [Taps::default(), Taps::default()];
        let (mut zoom, mut taken) = (Zoom::default(), 0);
        let mut memory = vec![0.0; padded_len(240)];
        let upsamplings = filters
            .into_iter()
            .flat_map(|f| [20, 60, 120].map(|n| (n, f)));
        let grids: Vec<_> = upsamplings
            .map(|(native, filter)| Grid::new(native, GRID, filter))
            .collect();
        let windows = (1..=GRID).step_by(7).flat_map(|l| filters.map(|f| (l, f)));
        for (length, filter) in windows {
            let axis = Axis {
                start: (GRID - length) / 2,
                length,
                reversed_in: length % 2 == 0,
                reversed_out: length % 3 == 0,
                filter,
            };
            for (grid, side) in grids.iter().flat_map(|g| [40, 120, 240].map(|s| (g, s))) {
                zoom.set(&axis, GRID, side);
                sharp.set(Simd::best(), &zoom, grid);
                for sigma in [0.1, 0.6, 3.0] {
                    let radius = radius(zoom.outputs.len());
                    let kernel = HalfKernel::new(sigma, radius, Border::Reflect);
                    if !zoom.takes_blur(grid, kernel.radius()) {
                        continue;
                    }
                    taken += 1;
                    let (half, native) = (kernel.weights(), grid.native());
                    blurred.set_blurred(Simd::best(), &sharp, half, native, &mut memory);
                    let expected = plain(&dense(&sharp, native), half);
                    assert_near(&dense(&blurred, native), &expected, &axis);
                    assert_near(&dense_pairs(&blurred, native), &expected, &axis);
                }
            }
        }
        assert!(taken > 2_000, "{taken}");
    }
}
