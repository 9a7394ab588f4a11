//! The experiments and configurations in `configs/`.

#![cfg(test)]

use std::collections::BTreeSet;

use chipmill_schemas::augment::{Augment, Border, ColorModel, GaussianBlur, Jitter, Preset};
use chipmill_schemas::config::{
    ConfigError, LossKind, OptimizerKind, PretrainConfig, ScheduleKind, WeightGradient, resolve,
};
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};

fn read(text: &str) -> Result<ExperimentConfig, ConfigError> {
    let experiment: ExperimentConfig = resolve(Some(("experiment.toml", text)), &[])?;
    experiment.validate().map(|()| experiment)
}

/// Every experiment and every run's configuration in `configs/`.
#[test]
fn every_configuration_that_is_shipped_is_valid() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let mut experiments = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.display().to_string();
        if text.contains("[[arm]]") {
            let experiment = read(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(experiment.base_file().is_none(), "{name} stands by itself");
            experiments += 1;
        } else {
            let config: PretrainConfig =
                resolve(Some((&name, &text)), &[]).unwrap_or_else(|e| panic!("{e}"));
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    assert_eq!(experiments, 5);
}

fn shipped(name: &str) -> ExperimentConfig {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    read(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

/// The preset with the original's colour and border, which three bands allow.
fn as_in_the_original() -> Vec<Augment> {
    let mut operations = Preset::Notes.operations();
    operations[4] = Augment::Jitter(Jitter {
        model: ColorModel::Hsv,
        ..Jitter::default()
    });
    operations[5] = Augment::GaussianBlur(GaussianBlur {
        border: Border::Zero,
        ..GaussianBlur::default()
    });
    operations
}

#[test]
fn the_notes_experiment_has_the_notes_settings_in_every_run() {
    let experiment = shipped("notes.toml");
    let split = experiment.probe.split.name();
    assert_eq!(
        (experiment.probe.task.as_deref(), split),
        (Some("notes4"), "i_mod_3")
    );
    for run in experiment.runs() {
        let config = experiment.run_config(&run).unwrap();
        assert_eq!(config.selection.exclude_task.as_deref(), Some("notes4"));
        let expected = match run.family.name.as_str() {
            "rgb" => as_in_the_original(),
            _ => Preset::Notes.operations(),
        };
        assert_eq!(config.view.operations(), expected);
        assert_eq!(config.loader.batch_size, 128);
        assert_eq!(
            (config.projection.hidden, config.projection.output),
            (2048, 256)
        );
        let optimizer = config.optimizer;
        assert_eq!(optimizer.kind, OptimizerKind::Adam);
        assert_eq!(
            (optimizer.learning_rate, optimizer.weight_decay),
            (1e-3, 1e-6)
        );
        assert_eq!(config.schedule.kind, ScheduleKind::Constant);
    }
}

#[test]
fn the_notes_experiment_has_every_form_of_the_loss_that_the_notes_may_have_had() {
    let experiment = shipped("notes.toml");
    let form = |run: PlannedRun<'_>| {
        let loss = experiment.run_config(&run).unwrap().loss;
        let weight = match (loss.kind, loss.weight_gradient) {
            (LossKind::Dclw, WeightGradient::Stop) => format!(" stop {}", loss.sigma),
            (LossKind::Dclw, WeightGradient::Pass) => format!(" pass {}", loss.sigma),
            _ => String::new(),
        };
        format!("{:?} {}{weight}", loss.kind, loss.temperature)
    };
    let trained = experiment.runs().filter(|r| !r.arm.random_encoder);
    let forms: BTreeSet<String> = trained.map(form).collect();
    let expected = [
        "Dcl 0.1",
        "Dclw 0.1 pass 0.1",
        "Dclw 0.1 pass 0.5",
        "Dclw 0.1 stop 0.5",
        "Dclw 1 stop 0.5",
        "NtXent 0.1",
        "NtXent 1",
    ];
    assert_eq!(
        forms.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn the_small_experiment_shows_every_arm_the_same_number_of_pairs() {
    let experiment = shipped("notes-small.toml");
    let pairs: BTreeSet<u64> = experiment
        .runs()
        .filter(|r| !r.arm.random_encoder)
        .map(|r| experiment.run_config(&r).unwrap())
        .map(|c| c.max_steps * u64::from(c.loader.batch_size))
        .collect();
    assert_eq!(pairs.len(), 1, "{pairs:?}");
    let trained = experiment.runs().filter(|r| !r.arm.random_encoder).count();
    assert_eq!(trained, 8 * (7 + 4));
}
