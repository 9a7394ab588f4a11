//! Folders of comparisons as `compare` leaves them, with made-up numbers whose differences are known.

use std::fs;
use std::path::Path;

use chipmill_schemas::comparison::{FeatureMap, GradientRow, GradientStudy};
use chipmill_schemas::config::{ConfigError, PretrainConfig, resolve};
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};
use chipmill_schemas::probe::{
    MultiLabelScores, ProbeConfig, ProbeEntry, ProbeReport, RowCounts, Scores, SingleLabelScores,
};
use chipmill_schemas::run::{Environment, MetricsRow, RunState, RunStatus};

use crate::made::{self, noise};

type Anything = Box<dyn std::error::Error>;

pub(crate) const EXPERIMENT: &str = r#"
name = "made-up"
question = "Does decoupling help at small batches?"
set = ["max_steps=400", "log_every_steps=20", "projection.output=64"]
seeds = [0, 1, 2, 3, 4, 5, 6, 7]

[base]
encoder = { kind = "small", width = 16 }
view = { side = 32 }
selection = { exclude_task = "notes4" }

[probe]
task = "notes4"
split = "i_mod_3"
every_steps = 20
classifiers = ["multinomial", "one_vs_rest", "knn"]

[endpoints]
secondary = ["early_area", "probe_knn", "probe_balanced_accuracy"]

[statistics]
resamples = 1000

[[arm]]
name = "simclr"
label = "SimCLR"
colour = "orange"
set = ["loss.kind=nt_xent"]

[[arm]]
name = "dcl"
label = "DCL"
set = ["loss.kind=dcl"]

[[arm]]
name = "dclw-stop"
label = "DCLW stop"
colour = "red"
set = ["loss.kind=dclw", "loss.weight_gradient=stop"]

[[arm]]
name = "dclw-pass"
label = "DCLW pass"
colour = "blue"
set = ["loss.kind=dclw", "loss.weight_gradient=pass"]

[[arm]]
name = "random"
label = "random encoder"
colour = "grey"
random_encoder = true

[[family]]
name = "b32"
label = "batch 32"
set = ["loader.batch_size=32"]
comparison = [
    { a = "dcl", b = "simclr" },
    { a = "dclw-stop", b = "simclr" },
    { a = "dclw-stop", b = "dclw-pass" },
    { a = "simclr", b = "random" },
]

[[family]]
name = "b128"
label = "batch 128"
set = ["loader.batch_size=128"]
arms = ["simclr", "dcl", "dclw-stop", "dclw-pass"]
comparison = [
    { a = "dcl", b = "simclr" },
    { a = "dclw-stop", b = "simclr" },
]

[[prediction]]
text = "DCL is above SimCLR at batch 32."
family = "b32"
a = "dcl"
b = "simclr"
expect = "above"

[[prediction]]
text = "Weighted DCL with its gradient passed lags early."
family = "b32"
a = "dclw-pass"
b = "simclr"
endpoint = "early_area"
expect = "below"

[[prediction]]
text = "The gain of DCL is larger at batch 32 than at 128."
family = "b32"
than_in = "b128"
a = "dcl"
b = "simclr"
expect = "above"

[[prediction]]
text = "Stopping the gradient makes no difference at the end."
family = "b32"
a = "dclw-stop"
b = "dclw-pass"
expect = "level"
within = 0.02

[[prediction]]
text = "Weighted DCL is above SimCLR at batch 128."
family = "b128"
a = "dclw-stop"
b = "simclr"
expect = "above"
"#;

pub(crate) fn experiment() -> Result<ExperimentConfig, ConfigError> {
    resolve(Some(("experiment.toml", EXPERIMENT)), &[])
}

/// Accuracy of a classifier of band statistics.
pub(crate) const BAND_STATISTICS: f64 = 0.72;

/// Accuracy of an arm at the end, without the seed's part.
pub(crate) fn level(family: &str, arm: &str) -> f64 {
    match (family, arm) {
        (_, "random") => 0.62,
        ("b32", "simclr") => 0.78,
        ("b32", "dcl") => 0.81,
        ("b32", "dclw-stop" | "dclw-pass") => 0.80,
        (_, "simclr") => 0.800,
        _ => 0.805,
    }
}

fn key(family: &str, arm: &str, seed: u64) -> u64 {
    let bytes = family.bytes().chain(arm.bytes());
    bytes.fold(seed * 7_919 + 11, |k, b| {
        k.wrapping_mul(31).wrapping_add(b.into())
    })
}

/// The arm's level, the seed's part that all arms share, and what is left.
pub(crate) fn accuracy(family: &str, arm: &str, seed: u64) -> f64 {
    let shared = (noise(seed) - 0.5) * 0.04;
    let own = (noise(key(family, arm, seed)) - 0.5) * 0.02;
    level(family, arm) + shared + own
}

/// On the way there; the weighted loss with its gradient passed starts late.
fn on_the_way(family: &str, arm: &str, seed: u64, step: u64, of: u64) -> f64 {
    let end = accuracy(family, arm, seed);
    let slow = if arm == "dclw-pass" { 0.22 } else { 0.12 };
    let done = 1.0 - (-(step as f64) / of as f64 / slow).exp();
    let rough = (noise(key(family, arm, seed) ^ (step * 131)) - 0.5) * 0.012;
    if step == of {
        end
    } else {
        0.6 + (end - 0.6) * done + rough
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "made-up counts of some hundreds"
)]
fn scores(accuracy: f64, rows: u64) -> Scores {
    let shares = [0.18, 0.59, 0.06, 0.17];
    let confusion: Vec<Vec<u64>> = (0..4)
        .map(|truth| {
            let row = shares[truth] * rows as f64;
            let right = (row * accuracy).round() as u64;
            let wrong = (row as u64).saturating_sub(right);
            (0..4)
                .map(|predicted| match predicted {
                    p if p == truth => right,
                    p if p == (truth + 1) % 4 => wrong - wrong / 3 * 2,
                    _ => wrong / 3,
                })
                .collect()
        })
        .collect();
    Scores::SingleLabel(SingleLabelScores {
        accuracy,
        balanced_accuracy: accuracy - 0.06,
        macro_f1: accuracy - 0.05,
        confusion,
    })
}

fn many_labels(value: f64) -> Scores {
    Scores::MultiLabel(MultiLabelScores {
        micro_ap: value + 0.05,
        macro_ap: value,
        micro_f1: value - 0.05,
        macro_f1: value - 0.1,
        scored_classes: 1,
        ap_by_class: vec![Some(value), None],
    })
}

fn probe(experiment: &ExperimentConfig, run: &PlannedRun<'_>, step: u64) -> ProbeReport {
    let value = accuracy(&run.family.name, &run.arm.name, run.seed);
    let several = experiment.probe.task.is_none();
    let entry = |name: &str, value: f64| ProbeEntry {
        name: name.to_owned(),
        description: "made up".to_owned(),
        scores: if several {
            many_labels(value)
        } else {
            scores(value, 600)
        },
        intervals: None,
        chosen: None,
    };
    let mut entries = vec![
        entry("encoder", value),
        entry("encoder_one_vs_rest", value - 0.02),
        entry("encoder_knn", value - 0.03),
    ];
    if run.arm.random_encoder {
        entries.push(entry("random_encoder", value));
        entries.push(entry("band_statistics", BAND_STATISTICS));
        entries.push(entry("majority", 0.59));
    }
    ProbeReport {
        target: experiment.probe.target().unwrap_or_default(),
        classes: ["airports", "bare rock", "burnt areas", "dump sites"]
            .map(str::to_owned)
            .to_vec(),
        step,
        config: ProbeConfig {
            split: experiment.probe.split,
            ..ProbeConfig::default()
        },
        rows: RowCounts {
            train: 1200,
            test: 600,
            ..RowCounts::default()
        },
        entries,
    }
}

fn rows(run: &PlannedRun<'_>, config: &PretrainConfig, until: u64) -> Vec<MetricsRow> {
    let (family, arm) = (run.family.name.as_str(), run.arm.name.as_str());
    let at = |step: u64| {
        let score = on_the_way(family, arm, run.seed, step, config.max_steps);
        let shift = 0.15 * level(family, arm);
        let mut row = made::row(step * 5 + run.seed, 0);
        row.step = step;
        row.loss += shift;
        row.alignment += shift;
        row.uniformity -= shift;
        row.weight_norm += 60.0 * shift * step as f64 / 400.0;
        row.q_mean = Some(0.3 + shift + 0.02 * noise(step + run.seed));
        row.w_p5 = arm.starts_with("dclw").then_some(0.4 + 0.05 * noise(step));
        row.rank_me = Some(12.0 + 30.0 * step as f64 / 400.0 + noise(step + run.seed));
        row.probe_accuracy = Some(score);
        row.probe_knn = Some(score - 0.03);
        row.probe_balanced_accuracy = Some(score - 0.06);
        row
    };
    let first = MetricsRow {
        probe_accuracy: Some(on_the_way(family, arm, run.seed, 0, config.max_steps)),
        ..MetricsRow::unmeasured(0, 0)
    };
    let rest = (1..=until / 20).map(|k| at(20 * k));
    std::iter::once(first).chain(rest).collect()
}

pub(crate) fn environment(run: &PlannedRun<'_>) -> Environment {
    let command =
        "chipmill compare configs/made-up.toml --store data/sample-v1.zarr --out results/made-up";
    Environment {
        command: command.split(' ').map(str::to_owned).collect(),
        config_digest: format!("{:016x}", key(&run.family.name, &run.arm.name, run.seed)).repeat(4),
        ..made::environment()
    }
}

/// Writes one run as it stands after `step` steps; scored when it is done.
pub(crate) fn write_run(
    out: &Path,
    experiment: &ExperimentConfig,
    run: &PlannedRun<'_>,
    state: RunState,
    step: u64,
) -> Result<(), Anything> {
    let config = experiment.run_config(run)?;
    let max_steps = if run.arm.random_encoder {
        0
    } else {
        config.max_steps
    };
    let step = step.min(max_steps);
    let status = RunStatus {
        state,
        step,
        max_steps,
        attempt: 0,
        checkpoint: (step > 0).then_some(step),
        message: None,
        collapsed_since: None,
    };
    let rows = if max_steps == 0 {
        Vec::new()
    } else {
        rows(run, &config, step)
    };
    let probes: Vec<ProbeReport> = (state == RunState::Finished)
        .then(|| probe(experiment, run, step))
        .into_iter()
        .collect();
    let folder = out.join("runs").join(run.name());
    made::write(
        &folder,
        &config,
        Some(&environment(run)),
        Some(&status),
        &rows,
        &probes,
    )
}

pub(crate) fn write_experiment(out: &Path, experiment: &ExperimentConfig) -> Result<(), Anything> {
    fs::create_dir_all(out)?;
    fs::write(
        out.join("experiment.toml"),
        toml::to_string_pretty(experiment)?,
    )?;
    Ok(())
}

/// All runs finished and scored.
pub(crate) fn write_complete(out: &Path, experiment: &ExperimentConfig) -> Result<(), Anything> {
    write_experiment(out, experiment)?;
    for run in experiment.runs() {
        write_run(out, experiment, &run, RunState::Finished, u64::MAX)?;
    }
    Ok(())
}

/// Cut off in the middle: some done, one at work, one failed, one interrupted, the rest not begun.
pub(crate) fn write_partial(out: &Path, experiment: &ExperimentConfig) -> Result<(), Anything> {
    write_experiment(out, experiment)?;
    for (k, run) in experiment.runs().enumerate().take(34) {
        let (state, step) = match k {
            31 => (RunState::Failed, 100),
            32 => (RunState::Interrupted, 200),
            33 => (RunState::Running, 60),
            _ => (RunState::Finished, u64::MAX),
        };
        write_run(out, experiment, &run, state, step)?;
    }
    Ok(())
}

/// What may stand beside the runs.
pub(crate) fn write_extras(out: &Path) -> Result<(), Anything> {
    let rows = [("b32", 32), ("b128", 128)]
        .into_iter()
        .flat_map(|(family, batch_size)| {
            [0.05, 0.1, 0.2, 0.5, 1.0, 2.0].map(|temperature: f64| {
                let q = 1.0 - 0.6 * (-temperature * f64::from(batch_size) / 12.0).exp();
                GradientRow {
                    family: family.to_owned(),
                    batch_size,
                    temperature,
                    cosine: 1.0 - 0.1 * (1.0 - q),
                    norm_ratio: q,
                    positive_cosine: 0.6,
                    q_mean: q,
                    q_p5: (q - 0.2).max(0.0),
                    q_p95: (q + 0.1).min(1.0),
                    q_histogram: (0..20u64)
                        .map(|b| if b == 19 { 300 } else { 10 + b })
                        .collect(),
                }
            })
        });
    let study = GradientStudy {
        batches: 8,
        dimensions: 64,
        rows: rows.collect(),
    };
    fs::write(out.join("gradients.json"), serde_json::to_string(&study)?)?;
    fs::create_dir_all(out.join("features"))?;
    let point = |i: u32| {
        let class = i % 4;
        let (a, b) = (noise(i.into()) - 0.5, noise(u64::from(i) + 9_999) - 0.5);
        (a + f64::from(class % 2), b + f64::from(class / 2), class)
    };
    let map = FeatureMap {
        title: "SimCLR, batch 32, seed 0".to_owned(),
        method: "PCA of 400 test patches".to_owned(),
        classes: ["airports", "bare rock", "burnt areas", "dump sites"]
            .map(str::to_owned)
            .to_vec(),
        points: (0..400).map(point).collect(),
    };
    fs::write(
        out.join("features/b32-simclr-s0.json"),
        serde_json::to_string(&map)?,
    )?;
    fs::create_dir_all(out.join("sheets"))?;
    let rgb: Vec<u8> = (0..96 * 64 * 3u32)
        .map(|i| u8::try_from(i % 251).unwrap_or(0))
        .collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, 96, 64);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&rgb)?;
    fs::write(out.join("sheets/neighbours.png"), png)?;
    Ok(())
}
