//! Interpolation weights along one axis.

use chipmill_schemas::augment::Filter;

/// Visits `(input, weight)` for every input that output `output` depends on when `inputs` pixels are
/// resized to `outputs`; the weights add up to 1.
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
pub(crate) fn for_each_tap(
    filter: Filter,
    output: u32,
    outputs: u32,
    inputs: u32,
    mut visit: impl FnMut(u32, f64),
) {
    if inputs >= 2 * outputs {
        return area(output, outputs, inputs, visit);
    }
    match filter {
        Filter::Nearest => visit(nearest(output, outputs, inputs), 1.0),
        Filter::Bilinear => interpolate(output, outputs, inputs, 0..=1, |d| 1.0 - d, visit),
        Filter::Bicubic => interpolate(output, outputs, inputs, -1..=2, keys, visit),
    }
}

fn nearest(output: u32, outputs: u32, inputs: u32) -> u32 {
    ((2 * output + 1) * inputs / (2 * outputs)).min(inputs - 1)
}

fn keys(d: f64) -> f64 {
    if d <= 1.0 {
        (1.5 * d - 2.5) * d * d + 1.0
    } else {
        ((2.5 - 0.5 * d) * d - 4.0) * d + 2.0
    }
}

fn interpolate(
    output: u32,
    outputs: u32,
    inputs: u32,
    reach: std::ops::RangeInclusive<i64>,
    kernel: impl Fn(f64) -> f64,
    mut visit: impl FnMut(u32, f64),
) {
    // The sample point is (floor + part / whole), in exact integers.
    let whole = 2 * i64::from(outputs);
    let point = i64::from(2 * output + 1) * i64::from(inputs) - i64::from(outputs);
    let floor = point.div_euclid(whole);
    let part =
        f64::from(u32::try_from(point.rem_euclid(whole)).unwrap_or(0)) / f64::from(2 * outputs);
    let inside = reach.filter_map(|step| {
        let input = u32::try_from(floor + step).ok().filter(|&i| i < inputs)?;
        let distance = match step {
            -1 => part + 1.0,
            0 => part,
            1 => 1.0 - part,
            _ => 2.0 - part,
        };
        Some((input, kernel(distance)))
    });
    let total: f64 = inside.clone().map(|(_, weight)| weight).sum();
    inside.for_each(|(input, weight)| visit(input, weight / total));
}

fn area(output: u32, outputs: u32, inputs: u32, mut visit: impl FnMut(u32, f64)) {
    // In units of 1 / outputs: output o covers [o inputs, (o + 1) inputs), input i covers
    // [i outputs, (i + 1) outputs).
    let (start, end) = (output * inputs, (output + 1) * inputs);
    for input in start / outputs..end.div_ceil(outputs) {
        let overlap = end.min((input + 1) * outputs) - start.max(input * outputs);
        visit(input, f64::from(overlap) / f64::from(inputs));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taps(filter: Filter, output: u32, outputs: u32, inputs: u32) -> Vec<(u32, f64)> {
        let mut taps = Vec::new();
        for_each_tap(filter, output, outputs, inputs, |i, w| taps.push((i, w)));
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
