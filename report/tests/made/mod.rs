//! Run folders as a trainer leaves them, with made-up numbers that look like real ones.

use std::fs;
use std::path::Path;

use chipmill_schemas::config::{EncoderKind, PretrainConfig};
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{
    MultiLabelScores, ProbeConfig, ProbeEntry, ProbeReport, ProbeSplit, RowCounts, Scores,
    SingleLabelScores,
};
use chipmill_schemas::run::{Environment, MetricsRow, RunState, RunStatus};

/// A number in 0..1 that looks random and is always the same (`SplitMix64`).
pub(crate) fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

pub(crate) fn config() -> PretrainConfig {
    let mut config = PretrainConfig {
        seed: 3,
        max_steps: 2_000,
        ..PretrainConfig::default()
    };
    config.encoder.kind = EncoderKind::Small;
    config.encoder.width = 16;
    config.view.side = 64;
    config.loader.batch_size = 64;
    config.selection.exclude_task = Some("notes4".to_owned());
    config
}

/// A row of a run that learns.
pub(crate) fn row(step: u64, attempt: u32) -> MetricsRow {
    let done = 1.0 - (-(step as f64) / 400.0).exp();
    let rough = |k: u64, width: f64| (noise(step * 16 + k) - 0.5) * width;
    MetricsRow {
        step,
        attempt,
        epoch: step / 47,
        loss: 4.9 - 3.6 * done + rough(0, 0.5),
        learning_rate: 1e-3,
        contrastive_accuracy: (0.01 + 0.86 * done + rough(1, 0.12)).clamp(0.0, 1.0),
        alignment: 1.7 - 1.1 * done + rough(2, 0.12),
        uniformity: -1.2 - 2.5 * done + rough(3, 0.1),
        embedding_std: 0.03 + 0.03 * done + rough(4, 0.002),
        weight_norm: 44.0 + 21.0 * done + rough(5, 0.02),
        gradient_norm: (1.8 - 4.0 * done + rough(6, 1.2)).exp(),
        pairs_per_s: 410.0 + rough(7, 70.0),
        data_wait: (0.03 + rough(8, 0.05)).max(0.0),
        ..MetricsRow::default()
    }
}

pub(crate) fn environment() -> Environment {
    let command = "chipmill pretrain --store data/sample-v1.zarr --config configs/small.toml --run \
                   runs/small-seed-3 --set seed=3";
    Environment {
        program: "chipmill 0.1.0".to_owned(),
        features: vec!["ingest".to_owned(), "train".to_owned()],
        command: command.split_whitespace().map(str::to_owned).collect(),
        device: "cpu".to_owned(),
        cpu: "AMD EPYC 7R13".to_owned(),
        cores: 2,
        os: "Debian GNU/Linux 12".to_owned(),
        store_digest: "9f2c1b7de0a845c3b1f0d94a77e25c6618a3f5d20c4b7e9182d6a03f5be4c711".to_owned(),
        config_digest: "41d7e8a90b3c5f62".repeat(4),
        patches: 3_040,
        parameters: 786_304,
        initial_weights: None,
    }
}

pub(crate) fn status(state: RunState, step: u64) -> RunStatus {
    RunStatus {
        state,
        step,
        max_steps: 2_000,
        attempt: 0,
        checkpoint: (step >= 200).then_some(step / 200 * 200),
        message: None,
        collapsed_since: None,
    }
}

fn single(confusion: [[u64; 4]; 4]) -> Scores {
    let total: u64 = confusion.iter().flatten().sum();
    let right: u64 = (0..4).map(|i| confusion[i][i]).sum();
    let recall = |i: usize| confusion[i][i] as f64 / confusion[i].iter().sum::<u64>() as f64;
    let f1 = |i: usize| {
        let predicted: u64 = confusion.iter().map(|r| r[i]).sum();
        let truth: u64 = confusion[i].iter().sum();
        2.0 * confusion[i][i] as f64 / (predicted + truth).max(1) as f64
    };
    Scores::SingleLabel(SingleLabelScores {
        accuracy: right as f64 / total as f64,
        balanced_accuracy: (0..4).map(recall).sum::<f64>() / 4.0,
        macro_f1: (0..4).map(f1).sum::<f64>() / 4.0,
        confusion: confusion.map(|r| r.to_vec()).to_vec(),
    })
}

fn entry(name: &str, description: &str, scores: Scores) -> ProbeEntry {
    ProbeEntry {
        name: name.to_owned(),
        description: description.to_owned(),
        scores,
        intervals: None,
        chosen: None,
    }
}

const CONTROLS: [(&str, &str); 4] = [
    (
        "encoder_knn",
        "The same features, weighted vote of the nearest neighbours.",
    ),
    (
        "random_encoder",
        "The same encoder before training, logistic regression on its features.",
    ),
    (
        "band_statistics",
        "Mean and standard deviation of each band, logistic regression.",
    ),
    (
        "majority",
        "Always the most frequent class of the rows fitted on.",
    ),
];

pub(crate) fn probe_notes4() -> ProbeReport {
    let confusions = [
        [[52, 5, 2, 4], [3, 118, 6, 4], [1, 7, 41, 2], [6, 3, 1, 45]],
        [[46, 8, 2, 7], [5, 112, 9, 5], [2, 10, 37, 2], [9, 5, 2, 39]],
        [
            [38, 14, 4, 7],
            [9, 103, 13, 6],
            [4, 15, 29, 3],
            [13, 10, 4, 28],
        ],
        [
            [44, 9, 3, 7],
            [6, 110, 10, 5],
            [2, 11, 35, 3],
            [11, 6, 3, 35],
        ],
        [[0, 63, 0, 0], [0, 131, 0, 0], [0, 51, 0, 0], [0, 55, 0, 0]],
    ];
    let names = [(
        "encoder",
        "Features of the trained encoder, logistic regression.",
    )];
    let entries = names.into_iter().chain(CONTROLS).zip(confusions);
    let classes = ["Airports", "Bare rock", "Burnt areas", "Dump sites"];
    ProbeReport {
        target: "notes4".to_owned(),
        classes: classes.map(str::to_owned).to_vec(),
        step: 2_000,
        config: ProbeConfig {
            split: ProbeSplit::IMod3,
            ..ProbeConfig::default()
        },
        rows: RowCounts {
            train: 600,
            validation: 0,
            test: 300,
            several_classes: 17,
            unknown: 0,
        },
        entries: entries.map(|((n, d), c)| entry(n, d, single(c))).collect(),
    }
}

pub(crate) fn probe_nineteen() -> ProbeReport {
    let classes: Vec<String> = Nomenclature::Nineteen
        .classes()
        .map(str::to_owned)
        .collect();
    let scores = |level: f64, seed: u64| {
        let one = |i: u64| {
            (i != 12).then(|| (level * (0.35 + 0.65 * noise(i)) + 0.1 * noise(seed + i)).min(1.0))
        };
        let ap_by_class: Vec<Option<f64>> = (0..classes.len() as u64).map(one).collect();
        let known: Vec<f64> = ap_by_class.iter().flatten().copied().collect();
        let macro_ap = known.iter().sum::<f64>() / known.len() as f64;
        Scores::MultiLabel(MultiLabelScores {
            micro_ap: (macro_ap * 1.3).min(1.0),
            macro_ap,
            micro_f1: macro_ap * 1.1,
            macro_f1: macro_ap * 0.8,
            scored_classes: known.len() as u64,
            ap_by_class,
        })
    };
    let levels = [0.84, 0.75, 0.62, 0.71, 0.12];
    let names = [(
        "encoder",
        "Features of the trained encoder, one logistic regression a class.",
    )];
    let entries = names.into_iter().chain(CONTROLS).zip(levels).zip(0..);
    ProbeReport {
        target: "labels-19".to_owned(),
        step: 2_000,
        config: ProbeConfig {
            c: 0.5,
            ..ProbeConfig::default()
        },
        rows: RowCounts {
            train: 1_520,
            validation: 730,
            test: 790,
            several_classes: 0,
            unknown: 4,
        },
        entries: entries
            .map(|(((n, d), l), s)| entry(n, d, scores(l, 100 * s)))
            .collect(),
        classes,
    }
}

type Anything = Box<dyn std::error::Error>;

/// Writes whatever of a run folder is given.
pub(crate) fn write(
    folder: &Path,
    config: &PretrainConfig,
    environment: Option<&Environment>,
    status: Option<&RunStatus>,
    rows: &[MetricsRow],
    probes: &[ProbeReport],
) -> Result<(), Anything> {
    fs::create_dir_all(folder.join("probe"))?;
    fs::write(folder.join("config.toml"), toml::to_string(config)?)?;
    if let Some(e) = environment {
        fs::write(folder.join("environment.json"), serde_json::to_string(e)?)?;
    }
    if let Some(s) = status {
        fs::write(folder.join("status.json"), serde_json::to_string(s)?)?;
    }
    let mut lines = String::new();
    for row in rows {
        lines += &serde_json::to_string(row)?;
        lines.push('\n');
    }
    fs::write(folder.join("metrics.jsonl"), lines)?;
    for probe in probes {
        let path = folder.join("probe").join(format!("{}.json", probe.target));
        fs::write(path, serde_json::to_string(probe)?)?;
    }
    Ok(())
}

/// A run that learns, was resumed at step 1,200, finished and was probed twice.
pub(crate) fn write_whole(folder: &Path) -> Result<(), Anything> {
    let first = (1..=124).map(|k| row(k * 10, 0));
    let second = (121..=200).map(|k| row(k * 10, 1));
    let rows: Vec<MetricsRow> = first.chain(second).collect();
    let status = status(RunState::Finished, 2_000);
    let probes = [probe_notes4(), probe_nineteen()];
    write(
        folder,
        &config(),
        Some(&environment()),
        Some(&status),
        &rows,
        &probes,
    )
}

/// A run whose projections fell into one point.
pub(crate) fn write_collapsed(folder: &Path) -> Result<(), Anything> {
    let collapse = |k: u64| MetricsRow {
        embedding_std: 0.04 * (-(k as f64) / 12.0).exp() + 1e-5,
        uniformity: -1.5 * (-(k as f64) / 12.0).exp(),
        alignment: 1.2 * (-(k as f64) / 9.0).exp(),
        contrastive_accuracy: 0.01,
        data_wait: 0.41,
        ..row(k * 10, 0)
    };
    let rows: Vec<MetricsRow> = (1..=100).map(collapse).collect();
    let mut status = status(RunState::Failed, 1_000);
    status.message = Some("checkpoints/step-1000: No space left on device".to_owned());
    write(
        folder,
        &config(),
        Some(&environment()),
        Some(&status),
        &rows,
        &[],
    )
}
