//! One patch from its plan: the ground, then what the sensor sees of it in each band.

use chipmill_schemas::band::Band;
use chipmill_schemas::label::LabelSet;

use super::ground::Ground;
use super::landscape::{self, Landscape};
use super::noise::{AREA, Field, Grain, SIDE, smoothstep};
use super::plan::{PatchPlan, Sparse, Weather};
use super::random::{Purpose, Stream};
use super::relief::{self, Sun};
use super::spectra::{BANDS, Material, Palette, greenness};
use super::{airfield, burn, radar, tip};

/// Largest value that is written; real values go to about 20,000.
const BRIGHTEST: f32 = 20_000.0;

/// A rendered patch.
#[derive(Debug)]
pub(super) struct Scene {
    /// Digital numbers, bands in the order of [`Band::ALL`], each row by row at its own resolution.
    pub(super) bands: Vec<Vec<u16>>,
    /// CLC code of each pixel of 10 m, row by row.
    pub(super) codes: Vec<u16>,
    /// 43-class labels.
    pub(super) labels: LabelSet,
}

/// Renders a patch. Depends on the seed and the plan alone.
pub(super) fn render(seed: u64, plan: &PatchPlan) -> Scene {
    let sky = Sky::new(seed, plan);
    let mut ground = ground(seed, plan, sky.sun);
    let labels = ground.labels();
    let codes = ground.codes().to_vec();
    overcast(&mut ground, seed, plan);
    let mut stream = Stream::new(seed, plan.key, Purpose::Palette);
    let palette = Palette::new(&mut stream, sky.greenness);
    let mut noise = Stream::new(seed, plan.key, Purpose::Noise);
    let band = |&band: &Band| {
        let radiance = radiance(&ground, &palette, &sky, band);
        record(&radiance, band.resolution().side(), &mut noise)
    };
    Scene {
        bands: Band::ALL.iter().map(band).collect(),
        codes,
        labels,
    }
}

/// Renders what the radar sees of the same ground. Depends on the seed and the plan alone.
pub(super) fn render_radar(seed: u64, plan: &PatchPlan) -> Vec<f32> {
    let sky = Sky::new(seed, plan);
    radar::render(seed, plan, &ground(seed, plan, sky.sun))
}

/// Light and air above a patch: most of it common to the acquisition, some of it the patch's own.
struct Sky {
    sun: Sun,
    greenness: f32,
    gain: [f32; BANDS],
    haze: [f32; BANDS],
}

impl Sky {
    fn new(seed: u64, plan: &PatchPlan) -> Self {
        let mut of_scene = Stream::new(seed, plan.acquisition as u64, Purpose::Sky);
        let mut of_patch = Stream::new(seed, plan.key, Purpose::Sky);
        let month = plan.acquisition().month();
        // Noon heights from about 15 degrees in midwinter to 60 in midsummer.
        let season = (f32::from(month) - 6.5) / 6.0 * std::f32::consts::PI;
        let height = 0.66 + 0.38 * season.cos();
        let brightness = 0.18 * of_scene.normal() + 0.18 * of_patch.normal();
        let thickness = of_scene.range(0.0, 220.0) * of_patch.range(0.3, 1.8);
        let mut gain = [1.0; BANDS];
        let mut haze = [0.0; BANDS];
        for band in 0..BANDS {
            gain[band] = (brightness + 0.02 * of_scene.normal()).exp();
            // Scattering falls with the wavelength.
            haze[band] = thickness * (-(band as f32) / 2.5).exp();
        }
        Self {
            sun: Sun::new(of_scene.range(2.3, 2.9), height),
            greenness: greenness(month),
            gain,
            haze,
        }
    }
}

fn ground(seed: u64, plan: &PatchPlan, sun: Sun) -> Ground {
    let mut stream = Stream::new(seed, plan.key, Purpose::Land);
    let [first, second, third] = plan.acquisition().landscapes;
    let around = [(first, 0.55), (second, 0.3), (third, 0.15)];
    let drawn = stream.weighted(&around).unwrap_or(first);
    let sparse = plan.sparse.iter().flatten();
    let landscape = if plan.sparse[0].is_some() && !drawn.is_open() {
        Landscape::Lowland
    } else {
        drawn
    };
    let mut ground = Ground::new();
    landscape::paint(&mut ground, &mut stream, landscape, sun);
    for class in sparse {
        match class {
            Sparse::Airport => airfield::paint(&mut ground, &mut stream),
            Sparse::BareRock => relief::bare_rock(&mut ground, &mut stream, sun),
            Sparse::Burnt => burn::paint(&mut ground, &mut stream),
            Sparse::Dump => tip::dump(&mut ground, &mut stream),
        }
    }
    ground
}

/// Lays snow over the ground, or clouds and their shadows. Labels stay those of the ground.
fn overcast(ground: &mut Ground, seed: u64, plan: &PatchPlan) {
    let mut stream = Stream::new(seed, plan.key, Purpose::Weather);
    match plan.weather {
        Weather::Clear => {}
        Weather::Snow => {
            let depth = Field::random(&mut stream, Grain::new(18.0, 5).rough(0.7));
            let edge = depth.quantile(1.0 - stream.range(0.3, 0.9));
            for index in 0..AREA {
                let share = smoothstep(edge - 0.2, edge + 0.2, depth.at(index));
                ground.cover(index, Material::Snow, 0.9 * share);
            }
        }
        Weather::Cloud => {
            let mass = Field::random(&mut stream, Grain::new(40.0, 4));
            let edge = mass.quantile(1.0 - stream.range(0.15, 0.5));
            let (east, south) = (3 + stream.below(8), 3 + stream.below(8));
            for index in 0..AREA {
                // The shadow falls to the north-west, so the cloud that throws it lies south-east.
                let (x, y) = (index % SIDE + east, index / SIDE + south);
                if x < SIDE && y < SIDE && mass.at(y * SIDE + x) > edge {
                    ground.shade(index, 0.5);
                }
                let share = smoothstep(edge - 0.1, edge + 0.4, mass.at(index));
                ground.cover(index, Material::Cloud, share);
            }
        }
    }
}

/// What reaches the sensor from each pixel of 10 m.
fn radiance(ground: &Ground, palette: &Palette, sky: &Sky, band: Band) -> Vec<f32> {
    let band = band.index();
    let (gain, haze) = (sky.gain[band], sky.haze[band]);
    let seen = ground.surfaces().iter().map(|surface| {
        let first = palette.value(surface.first, band);
        let second = palette.value(surface.second, band);
        (first + (second - first) * surface.share) * surface.shade * gain + haze
    });
    seen.collect()
}

/// Averages over the band's own pixels, adds the sensor's noise and rounds.
fn record(radiance: &[f32], side: usize, noise: &mut Stream) -> Vec<u16> {
    let block = SIDE / side;
    let weight = 1.0 / (block * block) as f32;
    let mut numbers = Vec::with_capacity(side * side);
    for y in 0..side {
        for x in 0..side {
            let rows = (0..block).map(|row| (y * block + row) * SIDE + x * block);
            let sum: f32 = rows.flat_map(|at| &radiance[at..at + block]).sum();
            let mean = sum * weight;
            numbers.push(digital_number(mean + (6.0 + 0.008 * mean) * noise.normal()));
        }
    }
    numbers
}

/// 0 means "no data", so the darkest value is 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the range of u16"
)]
fn digital_number(value: f32) -> u16 {
    (value + 0.5).clamp(1.0, BRIGHTEST) as u16
}
