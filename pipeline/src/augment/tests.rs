//! The augmenter as a whole: what it refuses, what it tells, that it repeats itself.

use chipmill_schemas::augment::{
    Augment, Chance, Clip, ColorModel, GaussianBlur, GaussianNoise, Jitter, Preset, Scope,
    ZoomScale,
};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;

use super::kinds::many_views;
use super::{AugmentError, Augmenter, CustomOp, CustomView, Random, Scratch};
use crate::{Element, SimdPath, ViewKey};

fn statistics(p1: f64, p99: f64, std: f64) -> SetStatistics {
    let band = |band| BandStatistics {
        band,
        count: 1,
        mean: p1,
        std,
        min: 0,
        p1,
        p2: p1,
        p50: p1,
        p98: p99,
        p99,
        max: 10_000,
        zeros: 0,
    };
    SetStatistics {
        split: None,
        patches: 1,
        bands: Band::ALL.map(band).to_vec(),
    }
}

pub(super) fn compiled(config: &ViewConfig) -> Result<Augmenter, AugmentError> {
    Augmenter::compile(config, &statistics(500.0, 4_500.0, 900.0))
}

pub(super) fn patch() -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for (band, index) in Band::ALL.into_iter().zip(0_u32..) {
        for (value, i) in pixels.band_slice_mut(band).iter_mut().zip(0_u32..) {
            let [word, ..] = crate::philox([i, index, 0, 0], [3, 4]);
            *value = u16::try_from(400 + word % 5_000).unwrap();
        }
    }
    pixels
}

pub(super) fn key(patch: u32) -> ViewKey {
    ViewKey {
        seed: 7,
        epoch: 3,
        patch,
        view: 1,
    }
}

fn small(preset: Preset) -> ViewConfig {
    ViewConfig {
        side: 32,
        preset,
        ..ViewConfig::default()
    }
}

/// Each operation with a parameter out of range, and what its refusal has to say.
fn out_of_range() -> Vec<(Augment, &'static str)> {
    let zoom = |area, aspect| {
        Augment::ZoomScale(ZoomScale {
            area,
            aspect,
            ..ZoomScale::default()
        })
    };
    let jitter = |hue, clip, model| {
        Augment::Jitter(Jitter {
            hue,
            clip,
            model,
            ..Jitter::default()
        })
    };
    let blur = GaussianBlur {
        sigma: [0.0, 2.0],
        ..GaussianBlur::default()
    };
    let noise = |std| Augment::GaussianNoise(GaussianNoise { p: 0.5, std });
    let clip = Clip { min: 1.0, max: 1.0 };
    let bands = ColorModel::Bands;
    vec![
        (
            Augment::FlipUpDown(Chance { p: -0.1 }),
            "[1].p` of `flip_up_down` is -0.1",
        ),
        (
            Augment::BandDrop(Chance { p: f32::NAN }),
            "[1].p` of `band_drop` is NaN",
        ),
        (
            zoom([0.5, 0.2], [1.0, 1.0]),
            "[1].area` of `zoom_scale` is [0.5, 0.2]",
        ),
        (zoom([0.5, 1.2], [1.0, 1.0]), "above 0 and up to 1"),
        (zoom([0.5, 1.0], [0.0, 1.0]), "[1].aspect`"),
        (Augment::GaussianBlur(blur), "[1].sigma`"),
        (noise(-1.0), "[1].std`"),
        (noise(1e20), "[1].std`"),
        (noise(f32::NAN), "[1].std`"),
        (Augment::Clip(clip), "[1].min`"),
        (jitter(-1.0, None, bands), "[1].hue`"),
        (jitter(0.1, Some([1.0, 0.0]), bands), "[1].clip`"),
        (
            jitter(0.1, None, ColorModel::Hsv),
            "needs exactly three bands (red, green, blue), but the view has 12",
        ),
    ]
}

#[test]
fn parameters_out_of_range_are_refused_by_key() {
    for (op, expected) in out_of_range() {
        let config = ViewConfig {
            augment: Some(vec![Augment::Clip(Clip::default()), op]),
            ..ViewConfig::default()
        };
        let found = compiled(&config).map(|_| ()).unwrap_err().to_string();
        assert!(found.contains("`view.augment[1]."), "{found}");
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn impossible_shapes_and_missing_statistics_are_refused() {
    let side = ViewConfig {
        side: 7,
        ..ViewConfig::default()
    };
    let text = compiled(&side).map(|_| ()).unwrap_err().to_string();
    assert_eq!(text, "`view.side` is 7, expected 8 to 240");
    let bands = ViewConfig {
        bands: BandChoice::List(Vec::new()),
        ..ViewConfig::default()
    };
    assert!(compiled(&bands).is_err());

    let mut some = statistics(0.0, 1.0, 1.0);
    some.bands.retain(|b| b.band != Band::B8A);
    let error = Augmenter::compile(&ViewConfig::default(), &some).map(|_| ());
    assert!(matches!(
        error,
        Err(AugmentError::NoStatistics {
            band: Band::B8A,
            ..
        })
    ));
    let raw = ViewConfig {
        normalise: Normalise::None,
        ..ViewConfig::default()
    };
    assert!(Augmenter::compile(&raw, &some).is_ok());
}

#[test]
fn a_band_without_spread_becomes_zero() {
    for normalise in [Normalise::Unit, Normalise::Zscore] {
        let config = ViewConfig {
            normalise,
            ..small(Preset::None)
        };
        let augmenter = Augmenter::compile(&config, &statistics(300.0, 300.0, 0.0)).unwrap();
        let mut pixels = PatchPixels::zeroed();
        for group in Resolution::ALL {
            pixels.group_slice_mut(group).fill(300);
        }
        let mut out = vec![f32::NAN; augmenter.view_len()];
        augmenter.render(&pixels, key(0), &mut Scratch::new(), &mut out);
        assert!(out.iter().all(|v| v.abs() < 1e-3), "{normalise:?}");
    }
}

#[test]
fn only_the_groups_of_the_bands_are_needed() {
    let groups = |bands| {
        let config = ViewConfig {
            bands: BandChoice::Named(bands),
            ..ViewConfig::default()
        };
        compiled(&config).unwrap().groups().to_vec()
    };
    assert_eq!(groups(NamedBands::All), Resolution::ALL);
    assert_eq!(groups(NamedBands::Rgb), [Resolution::M10]);
    assert_eq!(groups(NamedBands::Ten), [Resolution::M10, Resolution::M20]);
}

#[test]
fn a_view_does_not_depend_on_what_was_rendered_before() {
    let pixels = patch();
    for preset in Preset::ALL {
        let augmenter = compiled(&small(preset)).unwrap();
        let render = |k, scratch: &mut Scratch| {
            let mut out = vec![f32::NAN; augmenter.view_len()];
            augmenter.render(&pixels, k, scratch, &mut out);
            out
        };
        let mut used = Scratch::new();
        for patch in 0..40 {
            render(key(patch + 100), &mut used);
            assert!(render(key(patch), &mut used) == render(key(patch), &mut Scratch::new()));
        }
    }
}

#[test]
fn working_memory_is_taken_once_and_within_its_bound() {
    let pixels = patch();
    let zoom = Augment::ZoomScale(ZoomScale::default());
    let mut everything = Preset::Notes.operations();
    everything.push(zoom);
    for side in [8, 32, 64, 120, 130, 240] {
        let config = ViewConfig {
            side,
            augment: Some(everything.clone()),
            ..ViewConfig::default()
        };
        let augmenter = compiled(&config).unwrap();
        let (mut scratch, mut out) = (Scratch::new(), vec![0.0; augmenter.view_len()]);
        augmenter.render(&pixels, key(0), &mut scratch, &mut out);
        let bytes = scratch.bytes();
        assert!(bytes <= augmenter.scratch_bytes(), "{bytes} at {side}");
        for patch in 1..40 {
            augmenter.render(&pixels, key(patch), &mut scratch, &mut out);
        }
        assert_eq!(scratch.bytes(), bytes, "side {side}");
    }
}

#[test]
fn what_is_drawn_can_be_told() {
    let augmenter = compiled(&small(Preset::Notes)).unwrap();
    let draws = augmenter.draws(key(1));
    let names: Vec<&str> = draws.iter().map(|d| d.0.as_str()).collect();
    let expected: Vec<&str> = Preset::Notes
        .operations()
        .iter()
        .map(Augment::name)
        .collect();
    assert_eq!(names, expected);
    assert!(["yes", "no"].contains(&draws[0].1.as_str()));
    assert!(draws[2].1.ends_with(" degrees") && draws[3].1.contains(" px at ("));
    for name in ["brightness", "contrast", "saturation", "hue"] {
        assert!(draws[4].1.contains(name), "{}", draws[4].1);
    }
    assert_eq!(draws[8].1, "0 to 1");
    assert_eq!(draws, augmenter.draws(key(1)));
    assert_ne!(draws, augmenter.draws(key(2)));
    assert!(
        compiled(&small(Preset::None))
            .unwrap()
            .draws(key(1))
            .is_empty()
    );
}

/// The bits of one view on one path.
fn bits(augmenter: &Augmenter, pixels: &PatchPixels, key: ViewKey) -> Vec<u32> {
    let mut out = vec![f32::NAN; augmenter.view_len()];
    augmenter.render(pixels, key, &mut Scratch::new(), &mut out);
    out.into_iter().map(f32::to_bits).collect()
}

#[test]
fn a_band_that_is_asked_for_many_times_is_the_same_each_time() {
    let config = ViewConfig {
        bands: BandChoice::List(vec![Band::B02; 14]),
        augment: Some(vec![Augment::Jitter(Jitter {
            scope: Scope::Shared,
            hue: 0.0,
            clip: None,
            ..Jitter::default()
        })]),
        ..ViewConfig::default()
    };
    let augmenter = compiled(&config).unwrap();
    let mut view = vec![0.0; augmenter.view_len()];
    augmenter.render(&patch(), key(1), &mut Scratch::new(), &mut view);
    let mut bands = view.chunks(view.len() / 14);
    let first = bands.next().unwrap();
    assert!(bands.all(|band| band == first));
}

#[test]
fn every_path_gives_the_same_bits() {
    let pixels = patch();
    for config in many_views() {
        let augmenter = compiled(&config).unwrap();
        let plain = augmenter.clone().with_simd(SimdPath::Scalar).unwrap();
        for patch in 0..4 {
            let expected = bits(&plain, &pixels, key(patch));
            for path in [SimdPath::Avx2, SimdPath::Avx512] {
                if let Ok(vector) = augmenter.clone().with_simd(path) {
                    assert_eq!(vector.simd(), path);
                    let found = bits(&vector, &pixels, key(patch));
                    assert!(found == expected, "{path} of {config:?}, patch {patch}");
                }
            }
        }
    }
}

#[test]
fn every_kind_of_view_agrees_with_the_reference() {
    let statistics = statistics(500.0, 4_500.0, 900.0);
    for config in many_views() {
        // The reference takes seconds for large views; the operations are the same for small ones.
        let keys = if config.side > 64 { 1 } else { 3 };
        super::reference::compare(&config, &statistics, &patch(), (20..20 + keys).map(key));
    }
}

#[test]
fn half_views_are_the_full_views_rounded_once_wherever_they_begin() {
    fn check<E: Element>(config: &ViewConfig, pixels: &PatchPixels) {
        let augmenter = compiled(config).unwrap();
        let (mut scratch, len) = (Scratch::new(), augmenter.view_len());
        for path in SimdPath::ALL {
            let Ok(augmenter) = augmenter.clone().with_simd(path) else {
                continue;
            };
            for patch in 0..6 {
                let mut full = vec![f32::NAN; len];
                augmenter.render(pixels, key(patch), &mut scratch, &mut full);
                // At every distance from a cache line, and nothing beside the view is touched.
                let offset = patch as usize * 5;
                let mut half = vec![E::from_f32(7.0); len + offset + 40];
                let out = &mut half[offset..offset + len];
                augmenter.render_into(pixels, key(patch), &mut scratch, out);
                let same = |(h, f): (&E, &f32)| *h == E::from_f32(*f);
                assert!(
                    half[offset..].iter().zip(&full).all(same),
                    "{path}, {}",
                    E::NAME
                );
                let beside = half[..offset].iter().chain(&half[offset + len..]);
                assert!(beside.into_iter().all(|h| *h == E::from_f32(7.0)));
            }
        }
    }
    let pixels = patch();
    for preset in Preset::ALL {
        for side in [32, 45] {
            let config = ViewConfig {
                side,
                ..small(preset)
            };
            check::<half::f16>(&config, &pixels);
            check::<half::bf16>(&config, &pixels);
            check::<f32>(&config, &pixels);
        }
    }
}

/// Adds what it draws, and tells it.
#[derive(Debug)]
struct AddDrawn;

impl CustomOp for AddDrawn {
    fn name(&self) -> &str {
        "add_drawn"
    }

    fn apply(&self, view: &mut CustomView<'_>, random: &mut Random) {
        let drawn = f32::from_bits(random.word() >> 9 | 0x3F80_0000);
        view.bands_mut().flatten().for_each(|value| *value += drawn);
    }

    fn describe(&self, random: &mut Random) -> String {
        f32::from_bits(random.word() >> 9 | 0x3F80_0000).to_string()
    }
}

#[test]
fn a_custom_operation_takes_its_place_and_draws_its_own_numbers() {
    let clip = Augment::Clip(Clip::default());
    let drop = Augment::DropColor(Chance { p: 1.0 });
    for op in [
        clip,
        drop,
        Augment::GaussianNoise(GaussianNoise { p: 1.0, std: 0.1 }),
    ] {
        let config = ViewConfig {
            augment: Some(vec![op.clone()]),
            ..small(Preset::None)
        };
        let (pixels, plain) = (patch(), compiled(&config).unwrap());
        let values = |augmenter: &Augmenter| -> Vec<f32> {
            let found = bits(augmenter, &pixels, key(5));
            found.into_iter().map(f32::from_bits).collect()
        };
        let (before, after) = (
            plain.clone().with_op(0, AddDrawn),
            plain.clone().with_op(9, AddDrawn),
        );
        assert_eq!(before.draws(key(5))[0], after.draws(key(5))[1]);
        assert_eq!(before.draws(key(5))[1], plain.draws(key(5))[0]);
        assert_ne!(before.draws(key(5))[0], before.draws(key(6))[0]);
        let drawn: f32 = after.draws(key(5))[1].1.parse().unwrap();
        let shifted = values(&plain).into_iter().map(|v| v + drawn);
        assert!(values(&after).into_iter().eq(shifted), "{op:?}");
        let far = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-3;
        let differs = values(&before).iter().zip(&values(&after)).any(far);
        assert_eq!(differs, op.name() == "clip", "{op:?}");
        // Of two in the same place the first comes first, with numbers of its own.
        let twice = plain.clone().with_op(1, AddDrawn).with_op(1, AddDrawn);
        let draws = twice.draws(key(5));
        assert_ne!(draws[1], draws[2]);
        assert_eq!(draws[1], after.draws(key(5))[1]);
    }
}

/// FNV-1a over the bits of some views.
fn fingerprint(config: &ViewConfig) -> u64 {
    let augmenter = compiled(config).unwrap();
    let (pixels, mut scratch) = (patch(), Scratch::new());
    let mut out = vec![0.0; augmenter.view_len()];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for patch in 0..16 {
        augmenter.render(&pixels, key(patch), &mut scratch, &mut out);
        for byte in out.iter().flat_map(|v| v.to_bits().to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

/// Runs of different machines and releases are comparable only while these hold. Whoever changes
/// them on purpose says so in the changelog.
#[test]
fn views_have_the_same_bits_on_every_machine_and_in_every_release() {
    let found = Preset::ALL.map(|preset| fingerprint(&small(preset)));
    let expected = [
        0xa343_4602_631e_2f34,
        0x9514_8165_2600_9fbd,
        0x253d_2d27_f94d_4c4b,
        0xad84_671a_de2c_47a5,
    ];
    assert_eq!(found, expected, "{found:#018x?}");
}
