//! What every operation means, written down once more: slow, obvious, in double precision.
//!
//! Only the draws are shared with the code under test; whether they are distributed as promised is
//! tested where they are made.

use chipmill_schemas::augment::{
    Augment, Border, Chance, Clip, ColorModel, Filter, GaussianBlur, GaussianNoise, Jitter,
    JitterOrder, Preset, Rot90, Scope, ZoomScale,
};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;

use super::ops::band_drop::drops;
use super::ops::blur::{radius, sigma};
use super::ops::jitter::{Drawn, Step};
use super::{Augmenter, Scratch, crop};
use crate::rng::{NORMALS, OpKey, ViewKey};

/// One band as rows of pixels.
type Plane = Vec<Vec<f64>>;

fn view(
    config: &ViewConfig,
    stats: &SetStatistics,
    pixels: &PatchPixels,
    key: ViewKey,
) -> Vec<Plane> {
    let side = config.side as usize;
    let bands = config.bands.bands();
    let mut image: Vec<Plane> = bands
        .iter()
        .map(|&band| normalised(band, config, stats, pixels))
        .collect();
    for (op, number) in config.operations().iter().zip(0_u32..) {
        let draws = OpKey::new(key, number);
        let is_geometric = matches!(
            op,
            Augment::FlipLeftRight(_)
                | Augment::FlipUpDown(_)
                | Augment::Rot90(_)
                | Augment::ZoomScale(_)
        );
        if !is_geometric {
            bring_to_side(&mut image, side, config.upsample);
        }
        apply(op, &mut image, side, draws);
    }
    bring_to_side(&mut image, side, config.upsample);
    image
}

fn bring_to_side(image: &mut [Plane], side: usize, filter: Filter) {
    for plane in image {
        if plane.len() != side {
            *plane = resized(plane, side, filter);
        }
    }
}

fn normalised(
    band: Band,
    config: &ViewConfig,
    stats: &SetStatistics,
    pixels: &PatchPixels,
) -> Plane {
    let side = band.resolution().side();
    let native: Plane = pixels
        .band_slice(band)
        .chunks(side)
        .map(|row| row.iter().map(|&v| f64::from(v)).collect())
        .collect();
    let (zero, spread) = match config.normalise {
        Normalise::None => (0.0, 1.0),
        Normalise::Unit => {
            let s = stats.bands[band.index()];
            (s.p1, s.p99 - s.p1)
        }
        Normalise::Zscore => (
            stats.bands[band.index()].mean,
            stats.bands[band.index()].std,
        ),
    };
    let spread = if spread > 0.0 { spread } else { 1.0 };
    map(&resized(&native, 120, config.upsample), |v| {
        (v - zero) / spread
    })
}

fn map(plane: &Plane, f: impl Fn(f64) -> f64) -> Plane {
    let row = |row: &Vec<f64>| row.iter().map(|&v| f(v)).collect();
    plane.iter().map(row).collect()
}

fn resized(plane: &Plane, side: usize, filter: Filter) -> Plane {
    let across = along_rows(plane, &weights(plane[0].len(), side, filter));
    transposed(&along_rows(
        &transposed(&across),
        &weights(plane.len(), side, filter),
    ))
}

fn transposed(plane: &Plane) -> Plane {
    (0..plane[0].len())
        .map(|x| plane.iter().map(|row| row[x]).collect())
        .collect()
}

fn along_rows(plane: &Plane, weights: &Plane) -> Plane {
    let sum = |row: &Vec<f64>, w: &Vec<f64>| row.iter().zip(w).map(|(v, w)| v * w).sum();
    let line = |row: &Vec<f64>| weights.iter().map(|w| sum(row, w)).collect();
    plane.iter().map(line).collect()
}

/// `[output, input]`: the weight of every input in every output.
fn weights(inputs: usize, side: usize, filter: Filter) -> Plane {
    let scale = inputs as f64 / side as f64;
    let output = |o: usize| {
        let (start, end) = (o as f64 * scale, (o as f64 + 1.0) * scale);
        let centre = (start + end) / 2.0 - 0.5;
        let weight = |i: usize| {
            let (left, d) = (i as f64, (centre - i as f64).abs());
            if scale >= 2.0 {
                return (end.min(left + 1.0) - start.max(left)).max(0.0);
            }
            match filter {
                Filter::Nearest => f64::from(i == (centre + 0.5 + 1e-9).floor() as usize),
                Filter::Bilinear => (1.0 - d).max(0.0),
                Filter::Bicubic if d < 1.0 => 1.5 * d.powi(3) - 2.5 * d.powi(2) + 1.0,
                Filter::Bicubic if d < 2.0 => -0.5 * d.powi(3) + 2.5 * d.powi(2) - 4.0 * d + 2.0,
                Filter::Bicubic => 0.0,
            }
        };
        let all: Vec<f64> = (0..inputs).map(weight).collect();
        let total: f64 = all.iter().sum();
        all.iter().map(|w| w / total).collect()
    };
    (0..side).map(output).collect()
}

fn apply(op: &Augment, image: &mut Vec<Plane>, side: usize, draws: OpKey) {
    match op {
        Augment::FlipLeftRight(Chance { p }) => {
            if draws.stream(0).chance(*p) {
                image.iter_mut().flatten().for_each(|row| row.reverse());
            }
        }
        Augment::FlipUpDown(Chance { p }) => {
            if draws.stream(0).chance(*p) {
                image.iter_mut().for_each(|plane| plane.reverse());
            }
        }
        Augment::Rot90(_) => {
            for _ in 0..draws.stream(0).below(4) {
                // Against the clock: the last column becomes the first row.
                for plane in image.iter_mut() {
                    *plane = transposed(plane);
                    plane.reverse();
                }
            }
        }
        Augment::ZoomScale(zoom) => zoomed(zoom, image, side, draws),
        Augment::Jitter(jitter) => jittered(jitter, image, draws),
        Augment::GaussianBlur(blur) => blurred(blur, image, draws),
        Augment::GaussianNoise(noise) => noisy(noise, image, draws),
        Augment::DropColor(Chance { p }) => {
            if draws.stream(0).chance(*p) {
                let mean = mean_over_bands(image);
                image.fill(mean);
            }
        }
        Augment::BandDrop(Chance { p }) => {
            for (band, plane) in image.iter_mut().enumerate() {
                if drops(*p, band, draws) {
                    *plane = map(plane, |_| 0.0);
                }
            }
        }
        Augment::Clip(clip) => clipped(image, Some([clip.min, clip.max])),
    }
}

fn zoomed(zoom: &ZoomScale, image: &mut [Plane], side: usize, draws: OpKey) {
    for plane in image {
        let w = crop::draw(zoom, draws, plane.len() as u32);
        let rows = &plane[w.top as usize..(w.top + w.height) as usize];
        let columns = w.left as usize..(w.left + w.width) as usize;
        let window: Plane = rows.iter().map(|r| r[columns.clone()].to_vec()).collect();
        *plane = resized(&window, side, zoom.filter);
    }
}

fn mean_over_bands(image: &[Plane]) -> Plane {
    let side = image[0].len();
    let pixel = |y: usize, x: usize| {
        image.iter().map(|plane| plane[y][x]).sum::<f64>() / image.len() as f64
    };
    (0..side)
        .map(|y| (0..side).map(|x| pixel(y, x)).collect())
        .collect()
}

fn clipped(image: &mut [Plane], range: Option<[f32; 2]>) {
    if let Some([low, high]) = range {
        for plane in image {
            *plane = map(plane, |v| v.clamp(f64::from(low), f64::from(high)));
        }
    }
}

fn jittered(jitter: &Jitter, image: &mut [Plane], draws: OpKey) {
    let drawn = Drawn::new(jitter, draws);
    for step in drawn.steps() {
        let factor = |band| f64::from(drawn.factor(step, band));
        match (step, jitter.model) {
            (Step::Brightness, _) | (Step::Hue, ColorModel::Bands) => {
                for (band, plane) in image.iter_mut().enumerate() {
                    *plane = map(plane, |v| v * factor(band));
                }
            }
            (Step::Contrast, _) => {
                for (band, plane) in image.iter_mut().enumerate() {
                    let pixels = (plane.len() * plane.len()) as f64;
                    let mean = plane.iter().flatten().sum::<f64>() / pixels;
                    *plane = map(plane, |v| mean + (v - mean) * factor(band));
                }
            }
            (Step::Saturation, ColorModel::Bands) => {
                let mean = mean_over_bands(image);
                for plane in image.iter_mut() {
                    for (row, means) in plane.iter_mut().zip(&mean) {
                        for (v, m) in row.iter_mut().zip(means) {
                            *v = m + (*v - m) * factor(0);
                        }
                    }
                }
            }
            (Step::Saturation, ColorModel::Hsv) => {
                in_hsv(image, |[h, s, v]| [h, (s * factor(0)).clamp(0.0, 1.0), v]);
            }
            (Step::Hue, ColorModel::Hsv) => {
                in_hsv(image, |[h, s, v]| [(h + factor(0)).rem_euclid(1.0), s, v]);
            }
        }
        clipped(image, jitter.clip);
    }
}

/// The textbook conversion, for values in [0, 1].
fn in_hsv(image: &mut [Plane], f: impl Fn([f64; 3]) -> [f64; 3]) {
    for y in 0..image[0].len() {
        for x in 0..image[0].len() {
            let [r, g, b] = [0, 1, 2].map(|band: usize| image[band][y][x]);
            let v = r.max(g).max(b);
            let c = v - r.min(g).min(b);
            let h = if c == 0.0 {
                0.0
            } else if v == r {
                ((g - b) / c).rem_euclid(6.0) / 6.0
            } else if v == g {
                ((b - r) / c + 2.0) / 6.0
            } else {
                ((r - g) / c + 4.0) / 6.0
            };
            let [h, s, v] = f([h, if v > 0.0 { c / v } else { 0.0 }, v]);
            let (sextant, part) = ((h * 6.0).floor(), (h * 6.0).fract());
            let (p, q, t) = (
                v * (1.0 - s),
                v * (1.0 - s * part),
                v * (1.0 - s * (1.0 - part)),
            );
            let rgb = match sextant as u32 % 6 {
                0 => [v, t, p],
                1 => [q, v, p],
                2 => [p, v, t],
                3 => [p, q, v],
                4 => [t, p, v],
                _ => [v, p, q],
            };
            (0..3).for_each(|band| image[band][y][x] = rgb[band]);
        }
    }
}

fn blurred(blur: &GaussianBlur, image: &mut [Plane], draws: OpKey) {
    let Some(sigma) = sigma(blur, draws) else {
        return;
    };
    let side = image[0].len() as i64;
    let reach = radius(image[0].len()) as i64;
    let weight = |d: i64| (-(d as f64).powi(2) / (2.0 * sigma * sigma)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    let at = |plane: &Plane, y: i64, x: i64| {
        let mirror = |i: i64| if i < 0 { -i } else { i.min(2 * (side - 1) - i) };
        let inside = (0..side).contains(&y) && (0..side).contains(&x);
        match blur.border {
            Border::Zero if !inside => 0.0,
            _ => plane[mirror(y) as usize][mirror(x) as usize],
        }
    };
    for plane in image {
        let pixel = |y: i64, x: i64| {
            let mut sum = 0.0;
            for dy in -reach..=reach {
                for dx in -reach..=reach {
                    sum += weight(dy) * weight(dx) * at(plane, y + dy, x + dx);
                }
            }
            sum / (total * total)
        };
        *plane = (0..side)
            .map(|y| (0..side).map(|x| pixel(y, x)).collect())
            .collect();
    }
}

fn noisy(noise: &GaussianNoise, image: &mut [Plane], draws: OpKey) {
    if !draws.stream(0).chance(noise.p) {
        return;
    }
    let values = image.iter_mut().flatten().flatten();
    for (i, v) in values.enumerate() {
        let normals = draws.normals((i / NORMALS) as u32);
        *v += f64::from(noise.std) * f64::from(normals[i % NORMALS]);
    }
}

// ---- Comparison ----

/// A patch with structure, noise, a saturated and an empty corner, from a counter.
fn patch(seed: u32) -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for band in Band::ALL {
        let side = band.resolution().side();
        let index = band.index() as u32;
        for (i, value) in pixels.band_slice_mut(band).iter_mut().enumerate() {
            let (y, x) = (i / side, i % side);
            let word = crate::philox([i as u32, index, seed, 0], [1, 2])[0];
            let ground =
                800 + 150 * index + (3_000 * y / side) as u32 + 900 * u32::from(x % 7 == 0);
            *value = (ground + word % 700) as u16;
            if y * 6 < side && x * 6 < side {
                *value = u16::MAX;
            } else if y * 6 > side * 5 && x * 6 > side * 5 {
                *value = 0;
            }
        }
    }
    pixels
}

fn statistics() -> SetStatistics {
    let band = |band: Band| {
        let index = band.index() as f64;
        BandStatistics {
            band,
            count: 1,
            mean: 2_400.0 + 150.0 * index,
            std: 1_100.0 + 20.0 * index,
            min: 0,
            p1: 700.0 + 140.0 * index,
            p2: 0.0,
            p50: 0.0,
            p98: 0.0,
            p99: 4_600.5 + 150.0 * index,
            max: u16::MAX,
            zeros: 0,
        }
    };
    SetStatistics {
        split: None,
        patches: 1,
        bands: Band::ALL.map(band).to_vec(),
    }
}

fn key(seed: u64, view: u32) -> ViewKey {
    ViewKey {
        seed,
        epoch: 2,
        patch: 9,
        view,
    }
}

/// Renders both ways; panics where they differ by more than 1e-5 of the larger of the value and
/// the view's typical magnitude.
fn compare(config: &ViewConfig, pixels: &PatchPixels, keys: impl Iterator<Item = ViewKey>) {
    let augmenter = Augmenter::compile(config, &statistics()).unwrap();
    let (mut scratch, mut out) = (Scratch::new(), vec![f32::NAN; augmenter.view_len()]);
    for key in keys {
        augmenter.render(pixels, key, &mut scratch, &mut out);
        let expected = view(config, &statistics(), pixels, key);
        let expected: Vec<f64> = expected.into_iter().flatten().flatten().collect();
        assert_eq!(out.len(), expected.len());
        let size = expected.iter().map(|v| v.abs()).sum::<f64>() / expected.len() as f64;
        for (i, (&found, &e)) in out.iter().zip(&expected).enumerate() {
            let error = (f64::from(found) - e).abs() / e.abs().max(size).max(1e-3);
            assert!(
                error < 1e-5,
                "{config:?}\n{key:?}: value {i} is {found}, expected {e}: {:?}",
                augmenter.draws(key)
            );
        }
    }
}

fn with(side: u32, bands: NamedBands, augment: Vec<Augment>) -> ViewConfig {
    ViewConfig {
        side,
        bands: BandChoice::Named(bands),
        augment: Some(augment),
        ..ViewConfig::default()
    }
}

const FILTERS: [Filter; 3] = [Filter::Nearest, Filter::Bilinear, Filter::Bicubic];

#[test]
fn unaugmented_views_agree_at_every_side_and_upsampling() {
    let normalise = [Normalise::Unit, Normalise::Zscore, Normalise::None];
    let mut normalise = normalise.into_iter().cycle();
    for upsample in FILTERS {
        for side in [8, 32, 60, 64, 100, 120, 133, 240] {
            let config = ViewConfig {
                side,
                upsample,
                normalise: normalise.next().unwrap(),
                bands: BandChoice::List(vec![Band::B12, Band::B01, Band::B02]),
                preset: Preset::None,
                augment: None,
            };
            compare(&config, &patch(1), [key(0, 0)].into_iter());
        }
    }
}

#[test]
fn an_unaugmented_ten_metre_band_is_the_digital_numbers_themselves() {
    let config = ViewConfig {
        normalise: Normalise::None,
        bands: BandChoice::List(vec![Band::B08]),
        preset: Preset::None,
        ..ViewConfig::default()
    };
    let augmenter = Augmenter::compile(&config, &statistics()).unwrap();
    assert_eq!(augmenter.groups(), [Resolution::M10]);
    let (pixels, mut out) = (patch(2), vec![0.0; 14_400]);
    augmenter.render(&pixels, key(0, 0), &mut Scratch::new(), &mut out);
    let same = |(v, p): (&f32, &u16)| *v == f32::from(*p);
    assert!(out.iter().zip(pixels.band_slice(Band::B08)).all(same));
}

#[test]
fn geometric_operations_agree_in_any_order() {
    let flip = Augment::FlipLeftRight(Chance { p: 0.5 });
    let updown = Augment::FlipUpDown(Chance { p: 0.5 });
    let turn = Augment::Rot90(Rot90 {});
    for (filter, side) in FILTERS.into_iter().zip([120, 32, 64]).chain([
        (Filter::Bicubic, 120),
        (Filter::Bilinear, 24),
        (Filter::Nearest, 200),
    ]) {
        let zoom = Augment::ZoomScale(ZoomScale {
            filter,
            ..ZoomScale::default()
        });
        let orders = [
            vec![flip.clone(), updown.clone(), turn.clone(), zoom.clone()],
            vec![zoom.clone(), turn.clone(), flip.clone()],
            vec![turn.clone(), zoom.clone(), updown.clone(), turn.clone()],
            vec![turn.clone(), flip.clone()],
            vec![zoom.clone(), zoom.clone(), turn.clone()],
            vec![
                flip.clone(),
                Augment::Clip(Clip::default()),
                turn.clone(),
                zoom.clone(),
                updown.clone(),
            ],
        ];
        for order in orders {
            let config = ViewConfig {
                bands: BandChoice::List(vec![Band::B03, Band::B11, Band::B09]),
                ..with(side, NamedBands::All, order)
            };
            compare(&config, &patch(3), (0..5).map(|seed| key(seed, 1)));
        }
    }
}

#[test]
fn jitter_agrees_in_both_models_scopes_and_orders() {
    for scope in [Scope::Shared, Scope::PerChannel] {
        for order in [JitterOrder::Random, JitterOrder::Fixed] {
            for clip in [None, Some([0.0, 1.0])] {
                for model in [ColorModel::Bands, ColorModel::Hsv] {
                    let jitter = Jitter {
                        scope,
                        order,
                        clip,
                        model,
                        ..Jitter::default()
                    };
                    // Within [0, 1] the textbook's HSV is defined; without clipping only the steps of
                    // `bands` are compared beyond it.
                    let first = Augment::Clip(Clip { min: 0.0, max: 0.5 });
                    let ops = match model {
                        ColorModel::Bands => vec![Augment::Jitter(jitter)],
                        ColorModel::Hsv if clip.is_none() => {
                            let jitter = Jitter {
                                brightness: 0.0,
                                contrast: 0.0,
                                ..jitter
                            };
                            vec![first, Augment::Jitter(jitter)]
                        }
                        ColorModel::Hsv => vec![first, Augment::Jitter(jitter)],
                    };
                    let config = with(32, NamedBands::Rgb, ops);
                    compare(&config, &patch(4), (0..12).map(|seed| key(seed, 0)));
                }
            }
        }
    }
}

#[test]
fn blur_agrees_at_both_borders_and_every_radius() {
    for border in [Border::Reflect, Border::Zero] {
        for side in [8, 30, 64, 120] {
            let blur = GaussianBlur {
                p: 1.0,
                border,
                ..GaussianBlur::default()
            };
            let config = ViewConfig {
                bands: BandChoice::List(vec![Band::B04]),
                ..with(side, NamedBands::All, vec![Augment::GaussianBlur(blur)])
            };
            compare(&config, &patch(5), (0..3).map(|seed| key(seed, 0)));
        }
    }
}

#[test]
fn presets_agree_on_all_bands() {
    for preset in Preset::ALL {
        for (side, seeds) in [(120, 2), (32, 12)] {
            let config = ViewConfig {
                side,
                preset,
                ..ViewConfig::default()
            };
            compare(&config, &patch(6), (0..seeds).map(|seed| key(seed, 0)));
        }
    }
}

#[test]
fn constant_empty_and_saturated_patches_agree() {
    for value in [0, 1, 4_321, u16::MAX] {
        let mut pixels = PatchPixels::zeroed();
        for group in Resolution::ALL {
            pixels.group_slice_mut(group).fill(value);
        }
        for preset in Preset::ALL {
            let config = ViewConfig {
                side: 32,
                preset,
                ..ViewConfig::default()
            };
            compare(&config, &pixels, (0..4).map(|seed| key(seed, 0)));
        }
    }
}
