//! Views per CPU-second of one thread, for each preset and side.

#[path = "support/cpu_time.rs"]
mod cpu_time;

use std::hint::black_box;

use chipmill_pipeline::schemas::augment::Preset;
use chipmill_pipeline::schemas::band::Band;
use chipmill_pipeline::schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_pipeline::schemas::statistics::SetStatistics;
use chipmill_pipeline::{Augmenter, Scratch, ViewKey, philox};
use chipmill_store::PatchPixels;
use cpu_time::CpuTime;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

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

fn augmenter(preset: Preset, bands: NamedBands, side: u32) -> Augmenter {
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let config = ViewConfig {
        preset,
        side,
        bands: BandChoice::Named(bands),
        normalise: Normalise::None,
        ..ViewConfig::default()
    };
    match Augmenter::compile(&config, &statistics) {
        Ok(augmenter) => augmenter,
        Err(error) => unreachable!("presets compile: {error}"),
    }
}

fn render(c: &mut Criterion<CpuTime>) {
    let pixels = patch();
    let mut group = c.benchmark_group("render");
    group.throughput(Throughput::Elements(1));
    for preset in [Preset::None, Preset::Notes, Preset::Simclr, Preset::Peers] {
        for (bands, side) in [
            (NamedBands::All, 120),
            (NamedBands::All, 32),
            (NamedBands::Rgb, 120),
        ] {
            let augmenter = augmenter(preset, bands, side);
            let mut scratch = Scratch::new();
            // A ring of views, as in a batch: the memory written to is not in cache.
            let mut ring = vec![0.0; 64 * augmenter.view_len()];
            let mut patch = 0;
            let name = format!("{preset}/{}x{side}x{side}", augmenter.bands());
            group.bench_function(name, |b| {
                b.iter(|| {
                    patch += 1;
                    let key = ViewKey {
                        seed: 1,
                        epoch: 0,
                        patch,
                        view: 0,
                    };
                    let place = (patch % 64) as usize * augmenter.view_len();
                    let out = &mut ring[place..][..augmenter.view_len()];
                    augmenter.render(black_box(&pixels), key, &mut scratch, out);
                });
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime).sample_size(20);
    targets = render
}
criterion_main!(benches);
