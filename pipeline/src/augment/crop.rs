//! How the window of `zoom_scale` is drawn.

use chipmill_schemas::augment::{CropSampler, ZoomScale};

use crate::math::{exp, ln};
use crate::rng::{OpKey, Stream};

/// A window of a square image, in its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) top: u32,
    pub(crate) left: u32,
    pub(crate) height: u32,
    pub(crate) width: u32,
}

impl Window {
    /// The whole image.
    pub(crate) fn whole(side: u32) -> Self {
        Self {
            top: 0,
            left: 0,
            height: side,
            width: side,
        }
    }
}

/// Tries of the height sampler before it takes the whole image.
const HEIGHT_TRIES: usize = 100;
/// Tries of the area sampler before it takes the largest centred window of an allowed aspect.
const AREA_TRIES: usize = 10;

/// Draws the window of one view from an image of `side` x `side` pixels.
pub(crate) fn draw(zoom: &ZoomScale, key: OpKey, side: u32) -> Window {
    let mut stream = key.stream(0);
    match zoom.sampler {
        CropSampler::HeightUniform => by_height(zoom, &mut stream, side),
        CropSampler::AreaUniform => by_area(zoom, &mut stream, side),
    }
}

/// The sampler of the notes' original: aspect `a` uniform; height uniform among the integers from
/// `rint(sqrt(least area / a))` to `rint(sqrt(largest area / a))`, the latter lowered so that the
/// window fits; width `rint(height a)`; the height gives way by one pixel where rounding leaves the
/// area's limits; the corner is uniform, but the last offset is never drawn.
fn by_height(zoom: &ZoomScale, stream: &mut Stream, side: u32) -> Window {
    for _ in 0..HEIGHT_TRIES {
        let aspect = stream.between(zoom.aspect[0].into(), zoom.aspect[1].into());
        if let Some((height, width)) = height_and_width(zoom, stream, side, aspect) {
            return Window {
                top: stream.below(side - height),
                left: stream.below(side - width),
                height,
                width,
            };
        }
    }
    Window::whole(side)
}

fn height_and_width(
    zoom: &ZoomScale,
    stream: &mut Stream,
    side: u32,
    aspect: f64,
) -> Option<(u32, u32)> {
    let [least, largest] = areas(zoom, side);
    let width_of = |height: u32| rounded(f64::from(height) * aspect);
    let low = rounded((least / aspect).sqrt());
    let mut high = rounded((largest / aspect).sqrt()).min(side);
    while high > 1 && width_of(high) > side {
        high -= 1;
    }
    let low = low.min(high);
    let mut height = low + stream.below(high - low + 1);
    let area_of = |height: u32| f64::from(height) * f64::from(width_of(height));
    if area_of(height) < least {
        height += 1;
    }
    if area_of(height) > largest {
        height = height.saturating_sub(1);
    }
    let (area, width) = (area_of(height), width_of(height));
    let fits = (1..=side).contains(&height) && (1..=side).contains(&width);
    (fits && (least..=largest).contains(&area)).then_some((height, width))
}

/// The sampler of torchvision's `RandomResizedCrop`: area uniform, aspect log-uniform, ten tries,
/// then the largest centred window whose aspect is allowed.
fn by_area(zoom: &ZoomScale, stream: &mut Stream, side: u32) -> Window {
    let [least, largest] = areas(zoom, side);
    let [narrow, wide] = zoom.aspect.map(f64::from);
    for _ in 0..AREA_TRIES {
        let area = stream.between(least, largest);
        let aspect = exp(stream.between(ln(narrow), ln(wide)));
        let width = rounded((area * aspect).sqrt());
        let height = rounded((area / aspect).sqrt());
        if (1..=side).contains(&width) && (1..=side).contains(&height) {
            return Window {
                top: stream.below(side - height + 1),
                left: stream.below(side - width + 1),
                height,
                width,
            };
        }
    }
    let height = rounded(f64::from(side) / narrow.max(1.0)).clamp(1, side);
    let width = rounded(f64::from(side) * wide.min(1.0)).clamp(1, side);
    Window {
        top: (side - height) / 2,
        left: (side - width) / 2,
        height,
        width,
    }
}

fn areas(zoom: &ZoomScale, side: u32) -> [f64; 2] {
    let whole = f64::from(side) * f64::from(side);
    // In f32 a limit such as 0.64 lies a little below or above its decimal value; a crop that meets
    // it exactly must not fail for that.
    [
        f64::from(zoom.area[0]) * whole - 1e-3,
        f64::from(zoom.area[1]) * whole + 1e-3,
    ]
}

/// The nearest integer, halves to even, of a small number that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u32 first"
)]
fn rounded(x: f64) -> u32 {
    x.round_ties_even().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::ViewKey;
    use crate::testing::{chi_square_p, ks_p};

    const SIDE: u32 = 120;

    fn windows(zoom: ZoomScale, count: u32) -> impl Iterator<Item = Window> {
        (0..count).map(move |patch| {
            let key = ViewKey {
                seed: 1,
                epoch: 0,
                patch,
                view: 0,
            };
            draw(&zoom, OpKey::new(key, 3), SIDE)
        })
    }

    fn area(w: Window) -> f64 {
        f64::from(w.height * w.width) / f64::from(SIDE * SIDE)
    }

    #[test]
    fn windows_lie_within_the_image_and_the_limits() {
        for sampler in [CropSampler::HeightUniform, CropSampler::AreaUniform] {
            let zoom = ZoomScale {
                sampler,
                ..ZoomScale::default()
            };
            for w in windows(zoom, 20_000) {
                assert!(
                    w.top + w.height <= SIDE && w.left + w.width <= SIDE,
                    "{w:?}"
                );
                assert!((0.19..=1.0).contains(&area(w)), "{w:?}");
                let aspect = f64::from(w.width) / f64::from(w.height);
                assert!((0.73..1.37).contains(&aspect), "{w:?}");
            }
        }
    }

    #[test]
    fn uniform_heights_give_the_originals_mean_and_median_area() {
        let mut areas: Vec<f64> = windows(ZoomScale::default(), 40_000).map(area).collect();
        let mean = areas.iter().sum::<f64>() / 40_000.0;
        assert!((mean - 0.495).abs() < 0.005, "mean {mean}");
        areas.sort_by(f64::total_cmp);
        assert!((areas[20_000] - 0.472).abs() < 0.008, "{}", areas[20_000]);
        let small = areas.iter().filter(|&&a| a < 0.5).count() as f64 / 40_000.0;
        assert!((small - 0.54).abs() < 0.01, "P(< 0.5) = {small}");
    }

    #[test]
    fn uniform_areas_give_torchvisions_mean() {
        let zoom = ZoomScale {
            sampler: CropSampler::AreaUniform,
            ..ZoomScale::default()
        };
        let areas: Vec<f64> = windows(zoom, 40_000).map(area).collect();
        let mean = areas.iter().sum::<f64>() / 40_000.0;
        assert!((mean - 0.542).abs() < 0.006, "mean {mean}");
        let small = areas.iter().filter(|&&a| a < 0.5).count() as f64 / 40_000.0;
        assert!((small - 0.44).abs() < 0.01, "P(< 0.5) = {small}");
    }

    #[test]
    fn square_windows_have_uniform_sides_and_corners() {
        let zoom = ZoomScale {
            area: [0.64, 1.0],
            aspect: [1.0, 1.0],
            ..ZoomScale::default()
        };
        let mut counts = [0_u64; 25];
        let mut corners = Vec::new();
        for w in windows(zoom, 50_000) {
            assert_eq!(w.height, w.width);
            counts[(w.height - 96) as usize] += 1;
            if w.height == 100 {
                corners.push(w.top);
            }
        }
        assert!(
            chi_square_p(&counts, &[1.0 / 25.0; 25]) > 1e-3,
            "{counts:?}"
        );
        let mut tops = [0_u64; 20];
        corners.iter().for_each(|&t| tops[t as usize] += 1);
        assert!(chi_square_p(&tops, &[0.05; 20]) > 1e-3, "{tops:?}");
    }

    #[test]
    fn aspects_are_uniform_before_rounding() {
        // At small areas hardly any window is turned down, so the aspect keeps its distribution;
        // rounding to whole pixels is smoothed by the test's size.
        let zoom = ZoomScale {
            area: [0.2, 0.3],
            ..ZoomScale::default()
        };
        let ratio = |w: Window| f64::from(w.width) / f64::from(w.height);
        let mut sample: Vec<f64> = windows(zoom, 1_500).map(ratio).collect();
        let uniform = |x: f64| ((x - 0.75) / (4.0 / 3.0 - 0.75)).clamp(0.0, 1.0);
        assert!(ks_p(&mut sample, uniform) > 1e-3);
    }

    #[test]
    fn impossible_aspects_fall_back_to_a_window_that_exists() {
        let zoom = |sampler| ZoomScale {
            area: [0.9, 1.0],
            aspect: [3.0, 3.0],
            sampler,
            ..ZoomScale::default()
        };
        let whole = windows(zoom(CropSampler::HeightUniform), 1).next();
        assert_eq!(whole, Some(Window::whole(SIDE)));
        let centred = windows(zoom(CropSampler::AreaUniform), 1).next().unwrap();
        assert_eq!((centred.height, centred.width, centred.top), (40, 120, 40));
    }
}
