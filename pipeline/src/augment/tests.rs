//! The augmenter as a whole: what it refuses, what it tells, that it repeats itself.

use chipmill_schemas::augment::{
    Augment, Chance, Clip, ColorModel, GaussianBlur, GaussianNoise, Jitter, Preset, ZoomScale,
};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;

use super::{AugmentError, Augmenter, Scratch};
use crate::ViewKey;

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

fn compiled(config: &ViewConfig) -> Result<Augmenter, AugmentError> {
    Augmenter::compile(config, &statistics(500.0, 4_500.0, 900.0))
}

fn patch() -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for (band, index) in Band::ALL.into_iter().zip(0_u32..) {
        for (value, i) in pixels.band_slice_mut(band).iter_mut().zip(0_u32..) {
            let [word, ..] = crate::philox([i, index, 0, 0], [3, 4]);
            *value = u16::try_from(400 + word % 5_000).unwrap();
        }
    }
    pixels
}

fn key(patch: u32) -> ViewKey {
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
    let noise = GaussianNoise { p: 0.5, std: -1.0 };
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
        (Augment::GaussianNoise(noise), "[1].std`"),
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
        0x3cb5_a586_6222_1924,
        0xa7eb_310f_8cbb_ca3b,
        0xcaf9_d70c_7fbd_e13f,
        0x7fb1_ea3f_8b3d_9905,
    ];
    assert_eq!(found, expected, "{found:#018x?}");
}
