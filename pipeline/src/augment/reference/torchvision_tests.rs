//! Operations that torchvision has, too, compared with it by `tests/torchvision_agrees.py`.
//!
//! The environment variable `CHIPMILL_TORCHVISION_PYTHON` names an interpreter that has torchvision; the
//! test is skipped without it, and says so.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chipmill_schemas::augment::{
    Augment, ColorModel, CropSampler, Filter, GaussianBlur, Jitter, Preset, ZoomScale,
};
use chipmill_schemas::band::Band;
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;
use serde_json::{Value, json};

use crate::augment::crop;
use crate::augment::ops::blur::{radius, sigma};
use crate::augment::ops::jitter::{Drawn, Step};
use crate::augment::{Augmenter, Scratch};
use crate::rng::{OpKey, ViewKey};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torchvision_agrees.py");
const PYTHON: &str = "CHIPMILL_TORCHVISION_PYTHON";

/// Digital numbers up to this, which becomes 1.
const LARGEST: u16 = 10_000;

fn statistics() -> SetStatistics {
    let band = |band| BandStatistics {
        band,
        count: 1,
        mean: 0.0,
        std: 1.0,
        min: 0,
        p1: 0.0,
        p2: 0.0,
        p50: 0.0,
        p98: 0.0,
        p99: f64::from(LARGEST),
        max: LARGEST,
        zeros: 0,
    };
    SetStatistics {
        split: None,
        patches: 1,
        bands: Band::ALL.map(band).to_vec(),
    }
}

/// Noise with some structure, in [0, 1] after normalisation.
fn patch(seed: u32) -> PatchPixels {
    let mut pixels = PatchPixels::zeroed();
    for band in BandChoice::Named(NamedBands::Rgb).bands() {
        let index = band.index() as u32;
        for (i, value) in pixels.band_slice_mut(band).iter_mut().enumerate() {
            let word = crate::philox([i as u32, index, seed, 0], [8, 9])[0];
            *value = ((word % 4_001) + 6_000 * u32::from((i / 600 + i % 120 / 9) % 2 == 0)) as u16;
        }
    }
    pixels
}

fn render(ops: Vec<Augment>, pixels: &PatchPixels, key: ViewKey) -> Vec<f32> {
    let config = ViewConfig {
        bands: BandChoice::Named(NamedBands::Rgb),
        normalise: Normalise::Unit,
        preset: Preset::None,
        augment: Some(ops),
        ..ViewConfig::default()
    };
    let augmenter = Augmenter::compile(&config, &statistics()).unwrap();
    let mut out = vec![0.0; augmenter.view_len()];
    augmenter.render(pixels, key, &mut Scratch::new(), &mut out);
    out
}

/// Operations with the parameters that a view draws for them.
fn operations(key: ViewKey) -> Vec<(Augment, Value)> {
    let draws = OpKey::new(key, 0);
    let mut all = Vec::new();
    for (filter, name) in [(Filter::Bilinear, "bilinear"), (Filter::Bicubic, "bicubic")] {
        let zoom = ZoomScale {
            filter,
            sampler: CropSampler::AreaUniform,
            ..ZoomScale::default()
        };
        let w = crop::draw(&zoom, draws, 120);
        let drawn = json!({"op": "zoom_scale", "filter": name, "top": w.top, "left": w.left,
            "height": w.height, "width": w.width});
        all.push((Augment::ZoomScale(zoom), drawn));
    }
    let blur = GaussianBlur {
        p: 1.0,
        ..GaussianBlur::default()
    };
    let drawn = json!({"op": "gaussian_blur", "radius": radius(120), "sigma": sigma(&blur, draws)});
    all.push((Augment::GaussianBlur(blur), drawn));
    all.extend(steps(draws));
    all
}

/// Each step of the jitter alone.
fn steps(draws: OpKey) -> Vec<(Augment, Value)> {
    let none = Jitter {
        brightness: 0.0,
        contrast: 0.0,
        saturation: 0.0,
        hue: 0.0,
        model: ColorModel::Hsv,
        ..Jitter::default()
    };
    let steps = [
        (
            Step::Brightness,
            "brightness",
            Jitter {
                brightness: 0.8,
                ..none
            },
        ),
        (
            Step::Contrast,
            "contrast",
            Jitter {
                contrast: 0.8,
                ..none
            },
        ),
        (
            Step::Saturation,
            "saturation",
            Jitter {
                saturation: 0.8,
                ..none
            },
        ),
        (Step::Hue, "hue", Jitter { hue: 0.2, ..none }),
    ];
    let drawn = |(step, name, jitter)| {
        let factor = Drawn::new(&jitter, draws).factor(step, 0);
        (
            Augment::Jitter(jitter),
            json!({"op": name, "factor": factor}),
        )
    };
    steps.into_iter().map(drawn).collect()
}

fn write(folder: &Path, name: &str, values: &[f32]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytemuck::cast_slice(values)).unwrap();
    path
}

#[test]
fn operations_agree_with_torchvision() {
    let Some(python) = std::env::var_os(PYTHON) else {
        return say(&format!(
            "skipped: comparison with torchvision ({PYTHON} is not set)"
        ));
    };
    let folder = tempfile::tempdir().unwrap();
    let mut cases = Vec::new();
    for seed in 0..4 {
        let key = ViewKey {
            seed: 5,
            epoch: 0,
            patch: seed,
            view: 0,
        };
        let pixels = patch(seed);
        let before = write(
            folder.path(),
            &format!("before-{seed}"),
            &render(Vec::new(), &pixels, key),
        );
        for (number, (op, mut case)) in operations(key).into_iter().enumerate() {
            let after = render(vec![op], &pixels, key);
            case["before"] = json!(before);
            case["after"] = json!(write(
                folder.path(),
                &format!("after-{seed}-{number}"),
                &after
            ));
            case["shape"] = json!([3, 120, 120]);
            cases.push(case);
        }
    }
    let list = folder.path().join("cases.json");
    fs::write(&list, json!(cases).to_string()).unwrap();
    let output = Command::new(python)
        .arg(SCRIPT)
        .arg(&list)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    let last = text.lines().last().unwrap_or_default();
    say(&format!("{} cases agree with {last}", cases.len()));
}

/// To the terminal itself: the test harness hides what a passing test prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
