//! The count of operations against naive loops over rows, vectors and weights.

use chipmill_schemas::augment::{
    Augment, Chance, Clip, GaussianBlur, GaussianNoise, Jitter, Preset,
};
use chipmill_schemas::band::Band;
use chipmill_schemas::config::{BandChoice, ViewConfig};

use super::tests::{compiled, key, patch};

const SIDE: u64 = 120;
const LANES: u64 = 16;
/// Vectors of a row, the last one half full.
const VECTORS: u64 = 8;

fn counted(bands: &[Band], augment: Vec<Augment>) -> u64 {
    let config = ViewConfig {
        bands: BandChoice::List(bands.to_vec()),
        augment: Some(augment),
        ..ViewConfig::default()
    };
    let augmenter = compiled(&config).unwrap();
    augmenter.count_operations(&patch(), [key(0)])
}

/// Both passes over one band, of which so many native rows are resampled along themselves, with so many
/// weights an output.
fn resampling(rows: u64, width: u64) -> u64 {
    let mut count = 0;
    for _row in 0..rows {
        for _vector in 0..VECTORS {
            count += width;
        }
    }
    for _pair_of_rows in 0..SIDE / 2 {
        // 7 vectors of each row; the end of one and the beginning of the other are made twice.
        for _vector in 0..2 * 7 + 2 {
            count += width;
        }
    }
    count * LANES
}

#[test]
fn a_view_that_is_not_augmented_takes_its_resampling_alone() {
    // 10 m bands are their own grid. Others depend on two native pixels: rows that two spans of 64 outputs of 20 m
    // bands need are made for each of them.
    let half = resampling(60 + 2, 2);
    assert_eq!(counted(&[Band::B02], Vec::new()), resampling(120, 1));
    assert_eq!(counted(&[Band::B05], Vec::new()), half);
    let both = resampling(120, 1) + half;
    assert_eq!(counted(&[Band::B05, Band::B04], Vec::new()), both);
}

#[test]
fn a_contrast_before_the_resampling_takes_one_pass_over_native_pixels() {
    let contrast = Augment::Jitter(Jitter {
        brightness: 0.0,
        saturation: 0.0,
        hue: 0.0,
        clip: None,
        ..Jitter::default()
    });
    let mut mean = 0;
    for _row in 0..120 {
        // 7 vectors and one that overlaps; then the row's own weight.
        for _vector in 0..VECTORS + 1 {
            mean += LANES;
        }
    }
    assert_eq!(
        counted(&[Band::B02], vec![contrast]),
        resampling(120, 1) + mean
    );
}

#[test]
fn a_blur_of_what_is_not_linear_takes_its_kernel_twice_for_every_vector() {
    let mut blurred = 0;
    for _row in 0..SIDE {
        for _vector in 0..VECTORS {
            for _pass in 0..2 {
                // The middle, and six pairs which are added up and weighted.
                blurred += (1 + 6 * 2) * LANES;
            }
        }
    }
    let clip = Augment::Clip(Clip::default());
    let clipped = counted(&[Band::B02], vec![clip.clone()]);
    assert_eq!(counted(&[Band::B02], vec![clip, blur()]), clipped + blurred);
}

#[test]
fn a_blur_that_the_resampling_takes_in_is_done_to_rows_and_folded_into_weights_along_columns() {
    let mut expected = 0;
    for _row in 0..SIDE {
        for _vector in 0..VECTORS {
            // The weight of a resampling that keeps pixels; the middle, and six pairs.
            expected += 1 + (1 + 6 * 2);
        }
    }
    for o in 0..SIDE {
        // Each output's weights, made in one vector from those of the outputs that it or the other of two depends on,
        // in two sums.
        expected += 2 * 6 + 2 + 1;
        // Every second output and the next: rows that either depends on, for both.
        let start = |o: u64| o.saturating_sub(6).min(SIDE - 13);
        if o % 2 == 0 {
            let rows = 13 + start(o + 1) - start(o);
            expected += rows * VECTORS * 2;
        }
    }
    assert_eq!(counted(&[Band::B02], vec![blur()]), expected * LANES);
}

fn blur() -> Augment {
    Augment::GaussianBlur(GaussianBlur {
        p: 1.0,
        sigma: [1.5, 1.5],
        ..GaussianBlur::default()
    })
}

#[test]
fn noise_takes_twentytwo_operations_for_two_values() {
    let noise = |p| Augment::GaussianNoise(GaussianNoise { p, std: 0.1 });
    let mut added = 0;
    for _block in 0..(SIDE * SIDE).div_ceil(64) {
        for _pair in 0..32 {
            let radius = 6 + 4; // a polynomial of four products among them
            let (angle, sine, cosine) = (2, 4, 4);
            added += radius + angle + sine + cosine + 2;
        }
    }
    let plain = resampling(120, 1);
    assert_eq!(counted(&[Band::B02], vec![noise(1.0)]), plain + added);
    assert_eq!(counted(&[Band::B02], vec![noise(0.0)]), plain);
}

#[test]
fn views_that_are_gray_from_the_start_take_less_and_presets_more() {
    let gray = counted(&Band::ALL, vec![Augment::DropColor(Chance { p: 1.0 })]);
    let colour = counted(&Band::ALL, Vec::new());
    assert!(gray < colour, "{gray} {colour}");
    assert!(counted(&Band::ALL, Preset::Notes.operations()) > colour);
}
