//! What every operation means, written down once more: slow, obvious, in double precision.
//!
//! Only the draws are shared with the code under test; whether they are distributed as promised is
//! tested where they are made.

mod agreement;
mod torchvision_tests;

use chipmill_schemas::augment::{
    Augment, Border, Chance, ColorModel, Filter, GaussianBlur, GaussianNoise, Jitter, ZoomScale,
};
use chipmill_schemas::band::Band;
use chipmill_schemas::config::{Normalise, ViewConfig};
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

use super::ops::band_drop::drops;
use super::ops::blur::{radius, sigma};
use super::ops::jitter::{Drawn, Step};
use super::{Augmenter, Scratch, crop};
use crate::rng::{NORMALS, NORMALS_RUN, OpKey, ViewKey};
use crate::simd::Scalar;

/// One band as rows of pixels.
type Plane = Vec<Vec<f64>>;

/// Renders both ways; panics where they differ by more than 1e-5 of the larger of the value and
/// the view's typical magnitude.
pub(super) fn compare(
    config: &ViewConfig,
    stats: &SetStatistics,
    pixels: &PatchPixels,
    keys: impl Iterator<Item = ViewKey>,
) {
    let augmenter = Augmenter::compile(config, stats).unwrap();
    let (mut scratch, mut out) = (Scratch::new(), vec![f32::NAN; augmenter.view_len()]);
    for key in keys {
        augmenter.render(pixels, key, &mut scratch, &mut out);
        let expected = view(config, stats, pixels, key);
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

fn apply(op: &Augment, image: &mut [Plane], side: usize, draws: OpKey) {
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
    // Every band begins with a new seed of numbers.
    let pixels = image[0].len() * image[0].len();
    for (band, plane) in image.iter_mut().enumerate() {
        let run = NORMALS_RUN as usize;
        let first = band * pixels.div_ceil(NORMALS).next_multiple_of(run);
        let mut normals = draws.normals(Scalar, first as u32);
        let mut block = Vec::new();
        for (i, v) in plane.iter_mut().flatten().enumerate() {
            if i % NORMALS == 0 {
                block = normals.next(Scalar).concat();
            }
            *v += f64::from(noise.std) * f64::from(block[i % NORMALS]);
        }
    }
}
