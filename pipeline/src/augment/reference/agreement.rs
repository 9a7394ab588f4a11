//! Rendered views against the reference.

use chipmill_schemas::augment::{
    Augment, Border, Chance, Clip, ColorModel, Filter, GaussianBlur, Jitter, JitterOrder, Preset,
    Rot90, Scope, ZoomScale,
};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;

use crate::augment::{Augmenter, Scratch};
use crate::rng::ViewKey;

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

fn compare(config: &ViewConfig, pixels: &PatchPixels, keys: impl Iterator<Item = ViewKey>) {
    super::compare(config, &statistics(), pixels, keys);
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
                ..ViewConfig::default()
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
fn blur_agrees_where_it_reaches_no_neighbour_and_where_the_view_is_worked_on_afterwards() {
    for sigma in [[0.1, 0.12], [0.16, 0.3], [0.1, 2.0]] {
        let blur = GaussianBlur {
            p: 1.0,
            sigma,
            ..GaussianBlur::default()
        };
        let config = ViewConfig {
            bands: BandChoice::List(vec![Band::B04]),
            ..with(
                120,
                NamedBands::All,
                vec![Augment::GaussianBlur(blur), Augment::Rot90(Rot90 {})],
            )
        };
        compare(&config, &patch(5), (0..3).map(|seed| key(seed, 0)));
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
