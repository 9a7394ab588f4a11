//! Weights along columns with a blur of the view folded into them.

use std::iter::repeat_n;

use super::taps::Taps;
use super::wide::{MOST_ROWS, Pair};
use super::zoom::{FEW, Grid, Zoom};
use crate::augment::scratch::reserve;
use crate::simd::{LANES, Row, Simd, kernel};

/// Most weights of an output with its blur: two that follow one another begin with the same row, or one further.
const MOST_BLURRED: usize = MOST_ROWS - 1;

/// Values of a line of weights with zeros on both sides, so that any sixteen that hold some of them can be read.
const PADDED: usize = 2 * LANES;

/// Outputs with those that are mirrored at the borders of `side` outputs, for a blur that reaches `reach` of them; and
/// one more, so that the last can be the first of two.
fn mirrored_len(side: usize, reach: usize) -> usize {
    side + 2 * reach + 1
}

/// Values of the memory that [`Taps::set_blurred`] works in, for a blur that reaches so many outputs.
pub(crate) fn padded_len(side: usize, reach: usize) -> usize {
    mirrored_len(side, reach) * PADDED
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
    /// Takes the memory for a blur of `side` outputs that reaches `reach` of them.
    pub(crate) fn reserve_blurred(&mut self, side: usize, reach: usize) {
        reserve(&mut self.starts, side);
        reserve(&mut self.around, mirrored_len(side, reach));
        reserve(&mut self.pairs, side.div_ceil(2));
    }

    /// These outputs, each with those around it, weighted by `half[k]` those `k` before and behind: mirrored at the
    /// borders, whose outputs are not repeated. The weights are made in `f32`, for two outputs at a time.
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
        blur_weights(simd, sharp, half, native, self, memory);
        debug_assert!(self.width <= MOST_BLURRED, "{} weights", self.width);
        let follow = |two: &[u32; 2]| two[0].abs_diff(two[1]) <= 1;
        debug_assert!(self.starts.array_windows().all(follow), "{:?}", self.starts);
    }

    /// Where outputs begin, and how many weights they have.
    #[inline(always)]
    fn set_reached(&mut self, sharp: &Self, reach: usize, native: usize) {
        let (own, side) = (&sharp.starts, sharp.starts.len());
        self.around.clear();
        self.around.extend(own[1..=reach].iter().rev());
        self.around.extend_from_slice(own);
        self.around
            .extend(own[side - reach - 2..side - 1].iter().rev());
        // Outputs run along the inputs, up or down: the first and last around one tell what it depends on, and those
        // at borders depend on no more than others.
        let (before, behind) = (&own[..side - 2 * reach], &own[2 * reach..]);
        let mut farthest = 0;
        for (before, behind) in before.iter().zip(behind) {
            farthest = farthest.max(before.abs_diff(*behind));
        }
        self.width = (farthest as usize + sharp.width).min(native);
        let furthest = u32::try_from(native - self.width).unwrap_or(0);
        let start = |(before, behind): (&u32, &u32)| (*before).min(*behind).min(furthest);
        let (first, last) = (repeat_n(&own[0], reach), repeat_n(&own[side - 1], reach));
        self.starts.clear();
        self.starts.extend(first.zip(&own[reach..]).map(start));
        self.starts.extend(before.iter().zip(behind).map(start));
        self.starts
            .extend(own[side - 2 * reach..].iter().zip(last).map(start));
    }
}

kernel! {
    fn blur_weights(
        lanes,
        sharp: &Taps,
        half: &[f32],
        native: usize,
        blurred: &mut Taps,
        memory: &mut [f32],
    ) {
        let (side, reach) = (sharp.starts.len(), half.len() - 1);
        blurred.set_reached(sharp, reach, native);
        let padded = &mut memory.as_chunks_mut().0[..mirrored_len(side, reach)];
        pad(sharp, reach, padded);
        // With a zero on both sides: those for the second of two outputs are one place further.
        let mut whole = [0.0; PADDED];
        for (k, weight) in whole[1..].iter_mut().enumerate().take(2 * reach + 1) {
            *weight = half[k.abs_diff(reach)];
        }
        let Taps { width, starts, pairs, around, .. } = blurred;
        pairs.resize(side.div_ceil(2), Pair::default());
        for (p, (pair, starts)) in pairs.iter_mut().zip(starts.chunks(2)).enumerate() {
            let (first, second) = (starts[0], starts[starts.len() - 1]);
            let low = first.min(second);
            let places = 2 * p..2 * (p + 1 + reach);
            let (padded, around) = (padded[places.clone()].as_chunks::<2>().0, around[places].as_chunks::<2>().0);
            // Every second line for itself: a sum waits for the one before it.
            let mut sums = [[lanes.splat(0.0); 2]; 2];
            for ((lines, own), weights) in padded.iter().zip(around).zip(whole.array_windows::<3>().step_by(2)) {
                for k in 0..2 {
                    let line = lanes.load(from_start(&lines[k], own[k], low));
                    sums[0][k] = lanes.mul_add(line, lanes.splat(weights[k + 1]), sums[0][k]);
                    sums[1][k] = lanes.mul_add(line, lanes.splat(weights[k]), sums[1][k]);
                }
            }
            pair.low = low;
            pair.count = first.abs_diff(second) + u32::try_from(*width).unwrap_or(0);
            for ([even, odd], to) in sums.into_iter().zip(&mut pair.factors) {
                lanes.store(lanes.add(even, odd), to);
            }
        }
    }
}

/// Weights with zeros before and behind them, and with those of the outputs that are mirrored at borders.
#[inline(always)]
fn pad(sharp: &Taps, reach: usize, to: &mut [[f32; PADDED]]) {
    let (last, stride) = (sharp.starts.len() - 1, sharp.stride());
    let few = sharp.weights.as_chunks::<FEW>().0;
    for (place, to) in to.iter_mut().enumerate() {
        let output = place.abs_diff(reach);
        let output = output.min((2 * last).saturating_sub(output));
        *to = [0.0; PADDED];
        if stride == FEW {
            to[LANES..LANES + FEW].copy_from_slice(&few[output]);
        } else {
            let from = &sharp.weights[output * stride..][..stride];
            to[LANES..LANES + stride].copy_from_slice(from);
        }
    }
}

/// Sixteen weights of a line that begins at `own`, from the pixel `start` on.
#[inline(always)]
fn from_start(padded: &[f32; PADDED], own: u32, start: u32) -> &Row<f32> {
    let place = (LANES + start as usize).wrapping_sub(own as usize);
    match padded.get(place..).and_then(|line| line.first_chunk()) {
        Some(line) => line,
        None => &[0.0; LANES],
    }
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
        let line = |output| {
            let (start, weights) = taps.line(output);
            let mut line = vec![0.0; native];
            for (to, &weight) in line[start..][..weights.len()].iter_mut().zip(weights) {
                *to += f64::from(weight);
            }
            line
        };
        (0..taps.starts.len()).map(line).collect()
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
        let mut memory = vec![0.0; padded_len(240, radius(240))];
        let upsamplings = filters
            .into_iter()
            .flat_map(|f| [20, 60, 120].map(|n| (n, f)));
        let grids: Vec<_> = upsamplings
            .map(|(native, filter)| Grid::new(native, GRID, filter))
            .collect();
        let windows = (1..=GRID).step_by(7).flat_map(|l| filters.map(|f| (l, f)));
        for (length, filter) in windows {
            let axis = Axis {
                start: (GRID - length) * (length % 5) / 4,
                length,
                reversed_in: length % 2 == 0,
                reversed_out: length % 3 == 0,
                filter,
            };
            for (grid, side) in grids
                .iter()
                .flat_map(|g| [9, 33, 40, 120, 133, 240].map(|s| (g, s)))
            {
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
                    let nothing_behind = |output: usize| {
                        let pair = &blurred.pairs[output / 2];
                        let behind = &pair.factors[output % 2][pair.count as usize..];
                        behind.iter().all(|&weight| weight == 0.0)
                    };
                    assert!((0..blurred.starts.len()).all(nothing_behind), "{axis:?}");
                }
            }
        }
        assert!(taken > 2_000, "{taken}");
    }
}
