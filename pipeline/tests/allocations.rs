//! Rendering takes its memory once.

#![cfg(test)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use chipmill_pipeline::augment::{Augmenter, Scratch};
use chipmill_pipeline::{Element, SimdPath, ViewKey};
use chipmill_schemas::augment::{
    Augment, Chance, ColorModel, GaussianBlur, GaussianNoise, Jitter, Preset, Rot90, ZoomScale,
};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

/// The system's allocator, counting what each thread asks for.
struct Counting;

thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

fn asked() -> u64 {
    ASKED.with(Cell::get)
}

fn count() {
    ASKED.with(|asked| asked.set(asked.get() + 1));
}

#[expect(unsafe_code, reason = "an allocator cannot be written otherwise")]
// SAFETY: everything is handed on to the system's allocator unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn check<E: Element>(config: &ViewConfig, views: u32) {
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    let augmenter = Augmenter::compile(config, &statistics).unwrap();
    let pixels = PatchPixels::zeroed();
    let mut out = vec![E::default(); augmenter.view_len()];
    for path in SimdPath::ALL {
        let Ok(augmenter) = augmenter.clone().with_simd(path) else {
            continue;
        };
        let mut scratch = Scratch::new();
        let mut render = |patch| {
            let key = ViewKey {
                seed: 3,
                epoch: 0,
                patch,
                view: 1,
            };
            augmenter.render_into(&pixels, key, &mut scratch, &mut out);
        };
        render(0);
        let before = asked();
        (1..views).for_each(&mut render);
        assert_eq!(asked(), before, "{path}, {}: {config:?}", E::NAME);
    }
}

#[test]
fn nothing_is_allocated_for_a_view_after_the_first() {
    let jitter = Augment::Jitter(Jitter {
        model: ColorModel::Hsv,
        ..Jitter::default()
    });
    let turn = Augment::Rot90(Rot90 {});
    let zoom = Augment::ZoomScale(ZoomScale::default());
    let drop = Augment::DropColor(Chance { p: 0.5 });
    let mixed = vec![
        jitter.clone(),
        drop.clone(),
        zoom.clone(),
        drop,
        turn,
        jitter,
    ];
    let blur = Augment::GaussianBlur(GaussianBlur {
        p: 0.5,
        ..GaussianBlur::default()
    });
    let noise = Augment::GaussianNoise(GaussianNoise { p: 0.5, std: 0.1 });
    for side in [24, 120] {
        let views = if side == 24 { 200 } else { 12 };
        for preset in Preset::ALL {
            let config = ViewConfig {
                side,
                preset,
                normalise: Normalise::None,
                ..ViewConfig::default()
            };
            check::<f32>(&config, views);
            check::<half::f16>(&config, views);
        }
        let config = ViewConfig {
            side,
            bands: BandChoice::Named(NamedBands::Rgb),
            normalise: Normalise::None,
            augment: Some(mixed.clone()),
            ..ViewConfig::default()
        };
        check::<half::bf16>(&config, views);
    }
    // The blur is a part of the resampling for some, and not for others.
    for side in [33, 120, 133] {
        let config = ViewConfig {
            side,
            normalise: Normalise::None,
            augment: Some(vec![zoom.clone(), blur.clone(), noise.clone()]),
            ..ViewConfig::default()
        };
        check::<f32>(&config, 40);
    }
}
