//! Policy `peers` from published crates alone: what a careful user gets without chipmill's kernels.
//!
//! `cargo run --release -- STORE SECONDS` renders two views of each of the store's first 64 patches,
//! round and round on one thread, and prints what it cost as JSON.
//! `fast_image_resize` crops and resizes, `imageproc` flips, turns and blurs, `rand_distr` makes the
//! noise; scaling, jitter and the mean over bands are loops. Bands are brought to 10 m beforehand.

#[path = "../../support/on_cpu.rs"]
mod on_cpu;

use std::error::Error;
use std::time::{Duration, Instant};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_store::{PatchPixels, StoreReader};
use fast_image_resize::images::Image as Plane;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use imageproc::filter::gaussian_blur_f32;
use imageproc::image::{ImageBuffer, Luma, imageops};
use on_cpu::on_cpu;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Normal};

const SIDE: u32 = 120;
const PIXELS: usize = (SIDE * SIDE) as usize;
const BANDS: usize = 12;
const RING: usize = 64;

type Gray = ImageBuffer<Luma<f32>, Vec<f32>>;
type Failure = Box<dyn Error>;

struct Policy {
    /// Gain and offset of every band.
    scales: Vec<[f32; 2]>,
    /// Views rendered so far: two of each chip, in turn.
    rendered: usize,
    rng: SmallRng,
    resizer: Resizer,
    noise: Normal<f32>,
}

/// What one view draws.
struct Draw {
    side: u32,
    left: u32,
    top: u32,
    flips: [bool; 2],
    turns: u8,
    sigma: Option<f32>,
}

impl Policy {
    fn draw(&mut self) -> Draw {
        let rng = &mut self.rng;
        let side = rng.random_range(96..=SIDE);
        Draw {
            side,
            left: rng.random_range(0..=SIDE - side),
            top: rng.random_range(0..=SIDE - side),
            flips: [rng.random_bool(0.5), rng.random_bool(0.5)],
            turns: rng.random_range(0..4),
            sigma: rng.random_bool(0.25).then(|| rng.random_range(0.1..2.0)),
        }
    }

    fn fill(&mut self, chips: &[Vec<Plane<'static>>], ring: &mut [f32]) -> Result<(), Failure> {
        for out in ring.chunks_exact_mut(BANDS * PIXELS) {
            self.view(&chips[self.rendered / 2 % chips.len()], out)?;
            self.rendered += 1;
        }
        Ok(())
    }

    fn view(&mut self, chip: &[Plane<'static>], out: &mut [f32]) -> Result<(), Failure> {
        let draw = self.draw();
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Interpolation(FilterType::Bilinear))
            .crop(
                draw.left.into(),
                draw.top.into(),
                draw.side.into(),
                draw.side.into(),
            );
        let mut planes = Vec::with_capacity(BANDS);
        for (band, plane) in chip.iter().enumerate() {
            let mut resized = Plane::new(SIDE, SIDE, PixelType::F32);
            self.resizer.resize(plane, &mut resized, &options)?;
            let values = resized.typed_image::<fast_image_resize::pixels::F32>();
            let values = values
                .ok_or("float pixels")?
                .pixels()
                .iter()
                .map(|p| p.0)
                .collect();
            let image = Gray::from_raw(SIDE, SIDE, values).ok_or("a whole plane")?;
            planes.push(self.jittered(laid(image, &draw), band));
        }
        if self.rng.random_bool(0.25) {
            drop_color(&mut planes);
        }
        for (plane, out) in planes.iter_mut().zip(out.chunks_exact_mut(PIXELS)) {
            if let Some(sigma) = draw.sigma {
                *plane = gaussian_blur_f32(plane, sigma);
            }
            out.copy_from_slice(plane);
        }
        if self.rng.random_bool(0.25) {
            for value in out {
                *value += self.noise.sample(&mut self.rng);
            }
        }
        Ok(())
    }

    fn jittered(&mut self, mut image: Gray, band: usize) -> Gray {
        let [gain, offset] = self.scales[band];
        let brightness: f32 = self.rng.random_range(0.2..1.8);
        let contrast: f32 = self.rng.random_range(0.2..1.8);
        for value in image.iter_mut() {
            *value = (*value * gain + offset) * brightness;
        }
        let mean = image.iter().sum::<f32>() / PIXELS as f32;
        for value in image.iter_mut() {
            *value = mean + contrast * (*value - mean);
        }
        image
    }
}

fn laid(mut image: Gray, draw: &Draw) -> Gray {
    if draw.flips[0] {
        imageops::flip_horizontal_in_place(&mut image);
    }
    if draw.flips[1] {
        imageops::flip_vertical_in_place(&mut image);
    }
    match draw.turns {
        0 => image,
        1 => imageops::rotate90(&image),
        2 => imageops::rotate180(&image),
        _ => imageops::rotate270(&image),
    }
}

fn drop_color(planes: &mut [Gray]) {
    let mut mean = vec![0.0; PIXELS];
    for plane in &*planes {
        for (mean, value) in mean.iter_mut().zip(plane.iter()) {
            *mean += value / BANDS as f32;
        }
    }
    for plane in planes {
        plane.copy_from_slice(&mean);
    }
}

/// A patch with all bands on the 10 m grid.
fn chip(pixels: &PatchPixels, resizer: &mut Resizer) -> Result<Vec<Plane<'static>>, Failure> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let plane = |band: Band| {
        let side = u32::try_from(band.resolution().side())?;
        let values = pixels.band_slice(band).iter();
        let bytes = values.flat_map(|&v| f32::from(v).to_ne_bytes()).collect();
        let native = Plane::from_vec_u8(side, side, bytes, PixelType::F32)?;
        let mut grid = Plane::new(SIDE, SIDE, PixelType::F32);
        resizer.resize(&native, &mut grid, &options)?;
        Ok(grid)
    };
    Band::ALL.into_iter().map(plane).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "scales in f32")]
fn main() -> Result<(), Failure> {
    // `cargo bench` adds `--bench`; `cargo test --benches` gives nothing, and nothing is measured.
    let args: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let [store, seconds] = args.as_slice() else {
        println!("usage: crates_only STORE SECONDS");
        return Ok(());
    };
    let seconds = Duration::from_secs_f64(seconds.parse()?);
    let store = StoreReader::open(std::path::Path::new(store))?;
    let statistics = store
        .statistics(None)
        .ok_or("the store has no statistics")?;
    let scale = |s: &chipmill_schemas::statistics::BandStatistics| {
        let gain = 1.0 / (s.p99 - s.p1);
        [gain as f32, (-s.p1 * gain) as f32]
    };
    let mut policy = Policy {
        scales: statistics.bands.iter().map(scale).collect(),
        rendered: 0,
        rng: SmallRng::seed_from_u64(1),
        resizer: Resizer::new(),
        noise: Normal::new(0.0, 0.1)?,
    };
    let mut chips = Vec::new();
    for row in (0..64).take(store.len()) {
        let mut pixels = PatchPixels::zeroed();
        store.read(row, &Resolution::ALL, &mut pixels)?;
        chips.push(chip(&pixels, &mut policy.resizer)?);
    }
    let mut ring = vec![0.0; RING * BANDS * PIXELS];
    let (mut views, mut began) = (0_u64, None);
    // The first second warms up.
    for _ in 0.. {
        policy.fill(&chips, &mut ring)?;
        match began {
            None => began = Some((Instant::now(), on_cpu())),
            Some((wall, _)) if wall.elapsed() < seconds => views += RING as u64,
            Some((wall, cpu)) => {
                views += RING as u64;
                let took = (
                    wall.elapsed(),
                    on_cpu().zip(cpu).map(|(after, before)| after - before),
                );
                let moments = moments(&mut policy, &chips, &mut ring)?;
                report(views, took, moments);
                break;
            }
        }
    }
    Ok(())
}

/// Mean and standard deviation of the pixels of sixteen rings of views.
fn moments(
    policy: &mut Policy,
    chips: &[Vec<Plane<'static>>],
    ring: &mut [f32],
) -> Result<[f64; 2], Failure> {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for _ in 0..16 {
        policy.fill(chips, ring)?;
        for &value in &*ring {
            sum += f64::from(value);
            squares += f64::from(value).powi(2);
            count += 1.0;
        }
    }
    let mean = sum / count;
    Ok([mean, (squares / count - mean * mean).sqrt()])
}

fn report(views: u64, (wall, cpu): (Duration, Option<Duration>), [mean, std]: [f64; 2]) {
    let wall_s = wall.as_secs_f64();
    let cpu_s = cpu.map_or(wall_s, |used| used.as_secs_f64());
    println!(
        "{{\"views\": {views}, \"wall_s\": {wall_s}, \"cpu_s\": {cpu_s}, \"mean\": {mean}, \
         \"std\": {std}, \"versions\": \"fast_image_resize 6.1, imageproc 0.27, rand_distr 0.6\"}}"
    );
}
