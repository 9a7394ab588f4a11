//! Interpolation weights along one axis.

use chipmill_schemas::augment::Filter;

/// Most inputs of one output: those of 120 pixels averaged to 8, where two are cut.
pub(crate) const MOST_TAPS: usize = 16;

/// A resize of one axis from `inputs` pixels to `outputs`.
///
/// Pixel centres are at half-integers: output `o` samples the input at `(o + 0.5) s - 0.5`, with
/// `s = inputs / outputs`. For `s` below 2:
///
/// - [`Filter::Nearest`]: the pixel that holds the sample point;
/// - [`Filter::Bilinear`]: weight `1 - |d|` for a distance `d` below 1;
/// - [`Filter::Bicubic`]: Keys's kernel with a = -0.5, `1.5|d|^3 - 2.5|d|^2 + 1` below 1 and
///   `-0.5|d|^3 + 2.5|d|^2 - 4|d| + 2` from 1 to 2 (Keys, "Cubic Convolution Interpolation for Digital
///   Image Processing", 1981).
///
/// Inputs beyond the border have no weight, and the others are scaled to add up to 1. There is no
/// antialiasing while `s < 2`. From 2 on, single samples would skip pixels: there every filter gives
/// way to the average over the area `[o s, (o + 1) s)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resize {
    filter: Filter,
    outputs: u32,
    inputs: u32,
}

impl Resize {
    pub(crate) fn new(filter: Filter, outputs: u32, inputs: u32) -> Self {
        // Samples in the middle of pixels: every filter gives that pixel alone, and this one says so.
        let filter = if inputs == outputs {
            Filter::Nearest
        } else {
            filter
        };
        Self {
            filter,
            outputs,
            inputs,
        }
    }

    fn is_area(&self) -> bool {
        self.inputs >= 2 * self.outputs
    }

    /// Inputs that one output depends on, at most.
    pub(crate) fn span(&self) -> usize {
        if self.is_area() {
            return self.inputs.div_ceil(self.outputs) as usize + 1;
        }
        match self.filter {
            Filter::Nearest => 1,
            Filter::Bilinear => 2,
            Filter::Bicubic => 4,
        }
    }

    /// All outputs, one after the other.
    pub(crate) fn walk(self) -> Walk {
        let (whole, step) = (2 * self.outputs, 2 * self.inputs);
        let (floor, rest) = self.point(0);
        Walk {
            resize: self,
            output: 0,
            floor,
            rest,
            step: ((step / whole).cast_signed(), step % whole),
        }
    }

    /// The weights of one output, which add up to 1: gives the first input and how many there are. Those behind
    /// them are as they were, or 0.
    #[inline]
    pub(crate) fn row(&self, output: u32, weights: &mut [f64; MOST_TAPS]) -> (u32, usize) {
        if self.is_area() {
            return self.area(output, weights);
        }
        match self.filter {
            Filter::Nearest => {
                weights[0] = 1.0;
                let holds = (2 * output + 1) * self.inputs / (2 * self.outputs);
                (holds.min(self.inputs - 1), 1)
            }
            Filter::Bilinear => {
                let (floor, part) = self.point_part(output);
                self.inside(floor, [1.0 - part, part], weights)
            }
            Filter::Bicubic => {
                let (floor, part) = self.point_part(output);
                let all = [part + 1.0, part, 1.0 - part, 2.0 - part].map(keys);
                self.inside(floor - 1, all, weights)
            }
        }
    }

    fn point_part(&self, output: u32) -> (i32, f64) {
        let (floor, rest) = self.point(output);
        (floor, f64::from(rest) / f64::from(2 * self.outputs))
    }

    /// The sample point of an output, as an input and the part of the way to the next, in `2 outputs` steps.
    fn point(&self, output: u32) -> (i32, u32) {
        let whole = (2 * self.outputs).cast_signed();
        let point = ((2 * output + 1) * self.inputs).cast_signed() - self.outputs.cast_signed();
        (
            point.div_euclid(whole),
            point.rem_euclid(whole).cast_unsigned(),
        )
    }

    /// Keeps the weights of those inputs from `first` on that exist, scaled to add up to 1.
    #[inline]
    fn inside<const N: usize>(
        &self,
        first: i32,
        all: [f64; N],
        weights: &mut [f64; MOST_TAPS],
    ) -> (u32, usize) {
        weights[..N].copy_from_slice(&all);
        let missing = usize::try_from(-first).unwrap_or(0);
        let first = u32::try_from(first).unwrap_or(0);
        let count = (N - missing).min((self.inputs - first) as usize);
        if count == N {
            return (first, N);
        }
        weights.copy_within(missing..missing + count, 0);
        let total: f64 = weights[..count].iter().sum();
        weights[..count].iter_mut().for_each(|w| *w /= total);
        weights[count..N].fill(0.0);
        (first, count)
    }

    fn area(&self, output: u32, weights: &mut [f64; MOST_TAPS]) -> (u32, usize) {
        // In units of 1 / outputs: output o covers [o inputs, (o + 1) inputs), input i covers
        // [i outputs, (i + 1) outputs).
        let (inputs, outputs) = (self.inputs, self.outputs);
        let (start, end) = (output * inputs, (output + 1) * inputs);
        let covered = start / outputs..end.div_ceil(outputs);
        for (input, weight) in covered.clone().zip(weights) {
            let overlap = end.min((input + 1) * outputs) - start.max(input * outputs);
            *weight = f64::from(overlap) / f64::from(inputs);
        }
        (covered.start, covered.len())
    }
}

/// A [`Resize`] output by output: sample points are equally far from each other, so that nothing is divided for them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    resize: Resize,
    output: u32,
    /// The sample point, as [`Resize::point`] gives it.
    floor: i32,
    rest: u32,
    /// From one to the next.
    step: (i32, u32),
}

impl Walk {
    /// How many outputs from the next on lie between two inputs, whose weights are as far from both: [`Self::two`]
    /// gives these.
    #[inline(always)]
    pub(crate) fn between(&self) -> u32 {
        let Resize {
            filter,
            outputs,
            inputs,
        } = self.resize;
        if filter != Filter::Bilinear || self.resize.is_area() || self.floor < 0 {
            return 0;
        }
        // The first output at the last input or beyond it: `(2 o + 1) inputs - outputs >= 2 outputs (inputs - 1)`.
        let end = (outputs * (2 * inputs - 1)).div_ceil(inputs) / 2;
        end.min(outputs).saturating_sub(self.output)
    }

    /// The next output, which is one of [`Self::between`]: the first of its two inputs, and their weights with zeros
    /// behind them.
    #[inline(always)]
    pub(crate) fn two<const N: usize>(&mut self) -> (u32, [f64; N]) {
        let whole = 2 * self.resize.outputs;
        let (first, part) = (
            self.floor.cast_unsigned(),
            f64::from(self.rest) / f64::from(whole),
        );
        self.advance();
        let mut weights = [0.0; N];
        weights[0] = 1.0 - part;
        weights[1] = part;
        (first, weights)
    }

    /// [`Resize::row`] of the next output, its first `N` weights with zeros behind them.
    #[inline(always)]
    pub(crate) fn row<const N: usize>(&mut self) -> (u32, u32, [f64; N]) {
        let mut all = [0.0; MOST_TAPS];
        let (first, count) = self.resize.row(self.output, &mut all);
        self.advance();
        let mut weights = [0.0; N];
        for (to, weight) in weights.iter_mut().zip(all) {
            *to = weight;
        }
        (first, u32::try_from(count).unwrap_or(0), weights)
    }

    #[inline(always)]
    fn advance(&mut self) {
        let whole = 2 * self.resize.outputs;
        self.output += 1;
        self.floor += self.step.0;
        self.rest += self.step.1;
        if self.rest >= whole {
            self.rest -= whole;
            self.floor += 1;
        }
    }
}

#[inline]
fn keys(d: f64) -> f64 {
    if d <= 1.0 {
        (1.5 * d - 2.5) * d * d + 1.0
    } else {
        ((2.5 - 0.5 * d) * d - 4.0) * d + 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(filter: Filter, output: u32, outputs: u32, inputs: u32) -> Vec<(u32, f64)> {
        let mut weights = [0.0; MOST_TAPS];
        let (first, count) = Resize::new(filter, outputs, inputs).row(output, &mut weights);
        let mut taps: Vec<_> = (first..).zip(weights).take(count).collect();
        taps.retain(|t| t.1 != 0.0);
        taps
    }

    const FILTERS: [Filter; 3] = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic];

    #[test]
    fn weights_add_up_to_1_and_inputs_are_inside() {
        for filter in FILTERS {
            for (outputs, inputs) in [
                (120, 20),
                (120, 60),
                (120, 97),
                (32, 120),
                (64, 120),
                (8, 8),
            ] {
                for output in 0..outputs {
                    let taps = taps(filter, output, outputs, inputs);
                    let sum: f64 = taps.iter().map(|t| t.1).sum();
                    assert!((sum - 1.0).abs() < 1e-12);
                    assert!(taps.iter().all(|t| t.0 < inputs));
                    assert!(taps.windows(2).all(|w| w[1].0 == w[0].0 + 1));
                }
            }
        }
    }

    #[test]
    fn a_walk_gives_every_output_as_it_is_alone() {
        for filter in FILTERS {
            for (outputs, inputs) in (1..=120).flat_map(|i| [7, 60, 120, 240].map(|o| (o, i))) {
                let resize = Resize::new(filter, outputs, inputs);
                let is_two = filter == Filter::Bilinear && !resize.is_area();
                let (mut walk, mut between) = (resize.walk(), 0);
                for output in 0..outputs {
                    let mut alone = [0.0; MOST_TAPS];
                    let (first, count) = resize.row(output, &mut alone);
                    if between == 0 {
                        between = walk.between();
                    }
                    if between > 0 {
                        between -= 1;
                        assert_eq!((walk.two(), count), ((first, alone), 2));
                    } else {
                        assert!(!is_two || count == 1);
                        let count = u32::try_from(count).unwrap();
                        assert_eq!(walk.row(), (first, count, alone));
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        for filter in FILTERS {
            assert!((0..9).all(|o| taps(filter, o, 9, 9) == [(o, 1.0)]));
        }
    }

    #[test]
    fn known_weights_come_out() {
        let bilinear = taps(Filter::Bilinear, 1, 120, 60);
        assert_eq!(bilinear, [(0, 0.75), (1, 0.25)]);
        assert_eq!(taps(Filter::Bilinear, 0, 120, 60), [(0, 1.0)]);
        assert_eq!(taps(Filter::Nearest, 5, 120, 20), [(0, 1.0)]);
        assert_eq!(taps(Filter::Nearest, 6, 120, 20), [(1, 1.0)]);
        // Keys's kernel halfway between two pixels: -1/16, 9/16, 9/16, -1/16. Doubling samples at a
        // quarter: distances 1.25, 0.25, 0.75, 1.75.
        let bicubic = taps(Filter::Bicubic, 5, 8, 4);
        let expected = [-0.070_312_5, 0.867_187_5, 0.226_562_5, -0.023_437_5];
        assert_eq!(bicubic.iter().map(|t| t.0).collect::<Vec<_>>(), [1, 2, 3]);
        let inside: f64 = expected[..3].iter().sum();
        for (tap, weight) in bicubic.iter().zip(expected) {
            assert!((tap.1 - weight / inside).abs() < 1e-12);
        }
        let middle: Vec<f64> = taps(Filter::Bicubic, 8, 16, 8)
            .iter()
            .map(|t| t.1)
            .collect();
        let swapped = [-0.023_437_5, 0.226_562_5, 0.867_187_5, -0.070_312_5];
        assert!(
            middle
                .iter()
                .zip(swapped)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }

    #[test]
    fn a_resize_to_half_or_less_averages_the_area() {
        for filter in FILTERS {
            assert_eq!(taps(filter, 3, 60, 120), [(6, 0.5), (7, 0.5)]);
            let weights = taps(filter, 0, 32, 120);
            assert_eq!(weights.len(), 4);
            assert!((weights[3].1 - 0.75 / 3.75).abs() < 1e-12);
        }
    }
}
