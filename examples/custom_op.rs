//! An operation of your own among chipmill's: a cloud shadow, a soft dark disc at a random place.
//!
//! `cargo run --example custom_op`
//!
//! What it draws is a function of seed, epoch, patch and view, so that batches stay the same for any
//! number of threads and after a resume; no other operation draws anything else than without it.

use std::error::Error;

use chipmill_pipeline::augment::{Augmenter, CustomOp, CustomView, Random, Scratch};
use chipmill_pipeline::schemas::config::{Normalise, ViewConfig};
use chipmill_pipeline::schemas::statistics::SetStatistics;
use chipmill_pipeline::{ViewKey, philox};
use chipmill_store::PatchPixels;

/// With probability `p`, every band is darkened to `1 - depth` in the middle of a disc.
#[derive(Debug)]
struct CloudShadow {
    p: f32,
    depth: f32,
}

/// Centre and radius, as parts of the view's side.
struct Disc {
    y: f32,
    x: f32,
    radius: f32,
}

impl CloudShadow {
    fn draw(&self, random: &mut Random) -> Option<Disc> {
        if !random.chance(self.p) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mut between = |low, high| random.between(low, high) as f32;
        Some(Disc {
            y: between(0.0, 1.0),
            x: between(0.0, 1.0),
            radius: between(0.1, 0.3),
        })
    }
}

impl CustomOp for CloudShadow {
    fn name(&self) -> &str {
        "cloud_shadow"
    }

    fn apply(&self, view: &mut CustomView<'_>, random: &mut Random) {
        let Some(disc) = self.draw(random) else {
            return;
        };
        let side = view.side();
        let place = |pixel: usize| pixel as f32 / side as f32;
        for band in view.bands_mut() {
            for (y, row) in band.chunks_exact_mut(side).enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    let (dy, dx) = (place(y) - disc.y, place(x) - disc.x);
                    // Only basic arithmetic: the same bits on every machine.
                    let inside = 1.0 - (dy * dy + dx * dx) / (disc.radius * disc.radius);
                    *value *= 1.0 - self.depth * inside.max(0.0);
                }
            }
        }
    }

    fn describe(&self, random: &mut Random) -> String {
        match self.draw(random) {
            Some(disc) => format!("radius {:.2} of the side", disc.radius),
            None => "no".to_owned(),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let config = ViewConfig {
        normalise: Normalise::None,
        side: 64,
        ..ViewConfig::default()
    };
    let statistics = SetStatistics {
        split: None,
        patches: 0,
        bands: Vec::new(),
    };
    // Before operation 4 of the preset `notes`: after the zoom, before the jitter.
    let shadow = CloudShadow { p: 0.5, depth: 0.6 };
    let augmenter = Augmenter::compile(&config, &statistics)?.with_op(4, shadow);

    let mut pixels = PatchPixels::zeroed();
    for group in augmenter.groups() {
        for (value, i) in pixels.group_slice_mut(*group).iter_mut().zip(0_u32..) {
            *value = u16::try_from(1_000 + philox([i, 0, 0, 0], [1, 2])[0] % 500)?;
        }
    }
    let (mut scratch, mut view) = (Scratch::new(), vec![0.0; augmenter.view_len()]);
    for patch in 0..4 {
        let key = ViewKey {
            seed: 1,
            epoch: 0,
            patch,
            view: 0,
        };
        augmenter.render(&pixels, key, &mut scratch, &mut view);
        let mean = view.iter().sum::<f32>() / view.len() as f32;
        println!("patch {patch}: mean {mean:.3}");
        for (operation, drawn) in augmenter.draws(key) {
            println!("    {operation}: {drawn}");
        }
    }
    Ok(())
}
