//! Views per CPU-second of one thread, for each preset and side.

#[path = "support/cpu_time.rs"]
mod cpu_time;
#[path = "support/on_cpu.rs"]
mod on_cpu;

use std::hint::black_box;

use chipmill_pipeline::schemas::augment::{
    Augment, Chance, Clip, GaussianBlur, GaussianNoise, Jitter, Preset, Rot90, ZoomScale,
};
use chipmill_pipeline::schemas::band::Band;
use chipmill_pipeline::schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_pipeline::schemas::statistics::SetStatistics;
use chipmill_pipeline::{Augmenter, Element, Scratch, SimdPath, ViewKey, philox};
use chipmill_store::PatchPixels;
use cpu_time::CpuTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use half::{bf16, f16};

fn patch() -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for (band, index) in Band::ALL.into_iter().zip(0_u32..) {
        for (value, i) in pixels.band_slice_mut(band).iter_mut().zip(0_u32..) {
            let [word, ..] = philox([i, index, 0, 0], [1, 2]);
            *value = u16::try_from(500 + word % 3_000).unwrap_or(0);
        }
    }
    pixels
}

fn augmenter(
    preset: Preset,
    augment: Option<Vec<Augment>>,
    bands: NamedBands,
    side: u32,
) -> Augmenter {
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let config = ViewConfig {
        preset,
        augment,
        side,
        bands: BandChoice::Named(bands),
        normalise: Normalise::None,
        ..ViewConfig::default()
    };
    match Augmenter::compile(&config, &statistics) {
        Ok(augmenter) => augmenter,
        Err(error) => unreachable!("these configurations compile: {error}"),
    }
}

fn measure(group: &mut BenchmarkGroup<'_, CpuTime>, name: &str, augmenter: &Augmenter) {
    measure_into::<f32>(group, name, augmenter);
}

/// Renders view after view into a ring as large as a batch, so that what is written to is not in
/// cache.
fn measure_into<E: Element>(
    group: &mut BenchmarkGroup<'_, CpuTime>,
    name: &str,
    augmenter: &Augmenter,
) {
    let pixels = patch();
    let mut scratch = Scratch::new();
    // From the first cache line on, as a loader's batches begin.
    let mut ring = vec![E::default(); 64 * augmenter.view_len() + 64];
    let start = ring.as_ptr().align_offset(64).min(64);
    let mut patch = 0;
    group.bench_function(name, |b| {
        b.iter(|| {
            patch += 1;
            let key = ViewKey {
                seed: 1,
                epoch: 0,
                patch,
                view: 0,
            };
            let place = start + (patch % 64) as usize * augmenter.view_len();
            let out = &mut ring[place..][..augmenter.view_len()];
            augmenter.render_into(black_box(&pixels), key, &mut scratch, out);
        });
    });
}

fn presets(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("preset");
    group.throughput(Throughput::Elements(1));
    for preset in Preset::ALL {
        for (bands, side) in [
            (NamedBands::All, 120),
            (NamedBands::All, 32),
            (NamedBands::Rgb, 120),
        ] {
            let augmenter = augmenter(preset, None, bands, side);
            let name = format!("{preset}/{}x{side}x{side}", augmenter.bands());
            measure(&mut group, &name, &augmenter);
        }
    }
    group.finish();
}

/// Each path of vector instructions that this processor has, and each element.
fn paths(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("path");
    group.throughput(Throughput::Elements(1));
    for preset in [Preset::Peers, Preset::Notes] {
        let augmenter = augmenter(preset, None, NamedBands::All, 120);
        for path in SimdPath::ALL {
            if let Ok(augmenter) = augmenter.clone().with_simd(path) {
                measure(&mut group, &format!("{preset}/{path}"), &augmenter);
            }
        }
        measure_into::<f16>(&mut group, &format!("{preset}/f16"), &augmenter);
        measure_into::<bf16>(&mut group, &format!("{preset}/bf16"), &augmenter);
    }
    group.finish();
}

/// Each operation alone, always done, on top of what an un-augmented view costs.
fn operations(c: &mut Criterion<CpuTime>) {
    let mut group = c.benchmark_group("operation");
    let chance = Chance { p: 1.0 };
    let unclipped = Jitter {
        clip: None,
        ..Jitter::default()
    };
    let operations = [
        ("nothing", None),
        ("rot90", Some(Augment::Rot90(Rot90 {}))),
        ("zoom_scale", Some(Augment::ZoomScale(ZoomScale::default()))),
        ("jitter", Some(Augment::Jitter(Jitter::default()))),
        ("jitter, no clip", Some(Augment::Jitter(unclipped))),
        (
            "gaussian_blur",
            Some(Augment::GaussianBlur(GaussianBlur {
                p: 1.0,
                ..GaussianBlur::default()
            })),
        ),
        (
            "gaussian_noise",
            Some(Augment::GaussianNoise(GaussianNoise { p: 1.0, std: 0.1 })),
        ),
        ("drop_color", Some(Augment::DropColor(chance))),
        ("clip", Some(Augment::Clip(Clip::default()))),
    ];
    for (name, op) in operations {
        let augment = Some(op.into_iter().collect());
        let augmenter = augmenter(Preset::None, augment, NamedBands::All, 120);
        measure(&mut group, name, &augmenter);
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(20);
    targets = presets, paths, operations
}
criterion_main!(benches);
