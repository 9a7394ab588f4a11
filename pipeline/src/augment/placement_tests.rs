//! Where a view lies in memory decides how it is written, and nothing else.

use chipmill_schemas::augment::{Augment, GaussianBlur, GaussianNoise};
use chipmill_schemas::band::Band;
use chipmill_schemas::config::{BandChoice, ViewConfig};
use half::{bf16, f16};

use super::kinds::many_views;
use super::tests::{compiled, key, patch};
use super::{Augmenter, Scratch};
use crate::simd::Line;
use crate::{Element, SimdPath};

/// The bits of a view that begins so many values behind a cache line.
fn rendered<E: Element>(augmenter: &Augmenter, number: u32, offset: usize) -> Vec<u32> {
    let len = augmenter.view_len();
    let mut lines = vec![Line([0xA5; 64]); (len + offset) * size_of::<E>() / 64 + 2];
    let all: &mut [E] = bytemuck::cast_slice_mut(&mut lines);
    let out = &mut all[offset..offset + len];
    augmenter.render_into(&patch(), key(number), &mut Scratch::new(), out);
    let bits = out.iter().map(|v| v.to_f32().to_bits()).collect();
    let untouched = |values: &[E]| {
        bytemuck::cast_slice::<E, u8>(values)
            .iter()
            .all(|&b| b == 0xA5)
    };
    assert!(untouched(&all[..offset]) && untouched(&all[offset + len..]));
    bits
}

/// Views that are blurred, with narrow and with the widest kernels, or noisy or both, where presets blur a view now and
/// then; of sides whose rows can be streamed two by two, and of one that is not.
fn blurred_and_noisy_views() -> Vec<ViewConfig> {
    let blur = |sigma| {
        Augment::GaussianBlur(GaussianBlur {
            p: 1.0,
            sigma: [sigma; 2],
            ..GaussianBlur::default()
        })
    };
    let noise = || Augment::GaussianNoise(GaussianNoise { p: 1.0, std: 0.1 });
    let done = || {
        [
            vec![blur(0.3)],
            vec![blur(2.0)],
            vec![noise()],
            vec![blur(0.3), noise()],
            vec![blur(2.0), noise()],
        ]
    };
    let view = |(side, augment)| ViewConfig {
        side,
        bands: BandChoice::List(vec![Band::B02, Band::B05, Band::B09]),
        augment: Some(augment),
        ..ViewConfig::default()
    };
    let sides = [96, 100, 120, 128, 136, 152, 160, 240];
    let views = sides
        .into_iter()
        .flat_map(|side| done().map(|augment| (side, augment)));
    views.map(view).collect()
}

fn check<E: Element>() {
    let views = [many_views(), blurred_and_noisy_views()].concat();
    for config in views.iter().filter(|c| c.side >= 64) {
        let augmenter = compiled(config).unwrap();
        for path in [SimdPath::Scalar, SimdPath::best()] {
            let augmenter = augmenter.clone().with_simd(path).unwrap();
            let at_a_line = rendered::<E>(&augmenter, 3, 0);
            let behind_one = rendered::<E>(&augmenter, 3, 1);
            assert!(at_a_line == behind_one, "{path}, {} of {config:?}", E::NAME);
        }
    }
}

#[test]
fn views_at_a_cache_line_have_the_bits_of_views_behind_one_f32() {
    check::<f32>();
}

#[test]
fn views_at_a_cache_line_have_the_bits_of_views_behind_one_f16() {
    check::<f16>();
}

#[test]
fn views_at_a_cache_line_have_the_bits_of_views_behind_one_bf16() {
    check::<bf16>();
}
