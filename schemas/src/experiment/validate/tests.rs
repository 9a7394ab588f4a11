use super::*;
use crate::config::LossKind;
use crate::experiment::same_experiment;

const WHOLE: &str = r#"
name = "small"
question = "Does decoupling help?"
set = ["max_steps=100"]
seeds = [0, 1, 2, 3, 4, 5, 6, 7]

[base]
view = { side = 32 }

[probe]
task = "notes4"
split = "i_mod_3"
every_steps = 10
classifiers = ["multinomial", "one_vs_rest", "knn"]

[endpoints]
secondary = ["early_area", "probe_knn", "probe_balanced_accuracy", "probe_one_vs_rest"]

[[arm]]
name = "simclr"
label = "SimCLR"
colour = "orange"

[[arm]]
name = "dcl"
set = ["loss.kind=dcl"]

[[arm]]
name = "random"
random_encoder = true

[[family]]
name = "b32"
set = ["loader.batch_size=32"]
[[family.comparison]]
a = "dcl"
b = "simclr"

[[family]]
name = "b128"
set = ["loader.batch_size=128"]
arms = ["simclr", "dcl"]

[[prediction]]
text = "The gain is larger at batch 32."
family = "b32"
than_in = "b128"
a = "dcl"
b = "simclr"
expect = "above"
"#;

fn read(text: &str) -> Result<ExperimentConfig, ConfigError> {
    let experiment: ExperimentConfig = resolve(Some(("experiment.toml", text)), &[])?;
    experiment.validate().map(|()| experiment)
}

/// The error of the whole text with one part replaced.
fn refused(part: &str, by: &str) -> String {
    assert!(WHOLE.contains(part), "{part}");
    read(&WHOLE.replacen(part, by, 1)).unwrap_err().to_string()
}

#[test]
fn every_run_has_its_folder_and_its_configuration() {
    let experiment = read(WHOLE).unwrap();
    let runs: Vec<_> = experiment.runs().collect();
    assert_eq!(runs.len(), 8 * (3 + 2));
    let names: Vec<String> = runs.iter().take(6).map(|r| r.name()).collect();
    assert_eq!(
        names,
        [
            "b32-simclr-s0",
            "b32-dcl-s0",
            "b32-random-s0",
            "b128-simclr-s0",
            "b128-dcl-s0",
            "b32-simclr-s1"
        ]
    );
    let config = experiment.run_config(&runs[9]).unwrap();
    assert_eq!(
        (config.seed, config.max_steps, config.view.side),
        (1, 100, 32)
    );
    assert_eq!(
        (config.loss.kind, config.loader.batch_size),
        (LossKind::Dcl, 128)
    );
}

#[test]
fn an_experiment_reads_back_the_same() {
    let experiment = read(WHOLE).unwrap();
    let text = toml::to_string_pretty(&experiment).unwrap();
    assert_eq!(read(&text).unwrap(), experiment);
}

#[test]
fn a_base_file_is_put_in_place() {
    let text = WHOLE.replacen("[base]\nview = { side = 32 }", "", 1);
    let text = text.replacen(
        "name = \"small\"",
        "name = \"small\"\nbase = \"simclr.toml\"",
        1,
    );
    let experiment = read(&text).unwrap();
    assert_eq!(experiment.base_file(), Some("simclr.toml"));
    let run = experiment.runs().next().unwrap();
    let error = experiment.run_config(&run).unwrap_err().to_string();
    assert!(error.contains("`base`"), "{error}");
    let whole = experiment
        .clone()
        .with_base("simclr.toml", "view = { side = 32 }");
    assert_eq!(whole.unwrap(), read(WHOLE).unwrap());
    let error = experiment.with_base("simclr.toml", "view = ").unwrap_err();
    assert!(error.to_string().starts_with("simclr.toml"), "{error}");
}

#[test]
fn comparisons_that_the_seeds_cannot_resolve_are_refused_with_the_seeds_needed() {
    let error = refused(
        "seeds = [0, 1, 2, 3, 4, 5, 6, 7]",
        "seeds = [0, 1, 2, 3, 4]",
    );
    assert!(
        error.contains("family `b32`")
            && error.contains("0.0625")
            && error.contains("6 seeds or more"),
        "{error}"
    );
    let few = WHOLE.replacen(
        "seeds = [0, 1, 2, 3, 4, 5, 6, 7]",
        "seeds = [0, 1, 2, 3, 4]",
        1,
    );
    read(&few.replacen("name = \"b32\"", "name = \"b32\"\nverdicts = false", 1)).unwrap();
}

#[test]
fn a_mistake_names_the_key_what_was_found_and_what_was_expected() {
    for (part, by, words) in [
        (
            "a = \"dcl\"",
            "a = \"dcll\"",
            "`dcll` is not known; did you mean `dcl`",
        ),
        (
            "b = \"simclr\"",
            "b = \"dcl\"",
            "compares `dcl` with itself",
        ),
        (
            "arms = [\"simclr\", \"dcl\"]",
            "arms = [\"simclr\", \"random\"]",
            "prediction 1, a",
        ),
        (
            "name = \"dcl\"",
            "name = \"simclr\"",
            "`simclr` is there twice",
        ),
        ("name = \"random\"", "name = \"Random!\"", "`Random!`"),
        ("seeds = [0, 1,", "seeds = [0, 0,", "names a seed twice"),
        ("loss.kind=dcl", "loss.knd=dcl", "did you mean `kind`"),
        (
            "loss.kind=dcl",
            "max_steps=50",
            "has max_steps 50 where others of its family have 100",
        ),
        (
            "loss.kind=dcl",
            "loss.temperature=0",
            "expected a number above 0",
        ),
        ("\"one_vs_rest\", \"knn\"", "\"one_vs_rest\"", "needs `knn`"),
        (
            "every_steps = 10",
            "every_steps = 0",
            "needs probes during training",
        ),
        ("task = \"notes4\"", "labels = 19", "needs a `task`"),
        (
            "task = \"notes4\"",
            "task = \"notes4\"\nlabels = 19",
            "has both",
        ),
        (
            "expect = \"above\"",
            "expect = \"level\"",
            "is missing: `level`",
        ),
        (
            "expect = \"above\"",
            "expect = \"above\"\nwithin = 0.1",
            "goes with",
        ),
        (
            "than_in = \"b128\"",
            "than_in = \"b64\"",
            "`b64` is not known",
        ),
        ("question = ", "quesion = ", "did you mean `question`"),
        (
            "[endpoints]",
            "[statistics]\nalpha = 1.5\n[endpoints]",
            "`statistics.alpha`: is 1.5",
        ),
        (
            "[endpoints]",
            "[gradients]\ntemperatures = [0.1, 0]\nbatches = 2\n[endpoints]",
            "gradients.temperatures",
        ),
    ] {
        let error = refused(part, by);
        assert!(error.contains(words), "{by}: {error}");
    }
}

#[test]
fn threads_and_logging_do_not_make_another_experiment() {
    let experiment = read(WHOLE).unwrap();
    let run = experiment.runs().next().unwrap();
    let config = experiment.run_config(&run).unwrap();
    let mut other = config.clone();
    (
        other.loader.workers,
        other.log_every_steps,
        other.keep_checkpoints,
    ) = (3, 7, 9);
    assert!(same_experiment(&config, &other));
    other.loss.temperature = 1.0;
    assert!(!same_experiment(&config, &other));
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
            let config: crate::config::PretrainConfig =
                resolve(Some((&name, &text)), &[]).unwrap_or_else(|e| panic!("{e}"));
            config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
    assert_eq!(experiments, 4);
}

fn shipped(name: &str) -> ExperimentConfig {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    read(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap()
}

#[test]
fn the_notes_experiment_has_the_notes_settings_in_every_run() {
    use crate::augment::Preset;
    use crate::config::{OptimizerKind, ScheduleKind, WeightGradient};
    let experiment = shipped("notes.toml");
    let split = experiment.probe.split.name();
    assert_eq!(
        (experiment.probe.task.as_deref(), split),
        (Some("notes4"), "i_mod_3")
    );
    let mut losses = BTreeSet::new();
    for run in experiment.runs() {
        let config = experiment.run_config(&run).unwrap();
        assert_eq!(config.selection.exclude_task.as_deref(), Some("notes4"));
        assert_eq!(
            (config.loader.batch_size, config.view.preset),
            (128, Preset::Notes)
        );
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
        let loss = config.loss;
        let gradient = match (loss.kind, loss.weight_gradient) {
            (LossKind::Dclw, WeightGradient::Stop) => "stop",
            (LossKind::Dclw, WeightGradient::Pass) => "pass",
            _ => "",
        };
        if !run.arm.random_encoder {
            let sigma = if gradient.is_empty() { 0.0 } else { loss.sigma };
            losses.insert(format!(
                "{:?} {gradient} {} {sigma}",
                loss.kind, loss.temperature
            ));
        }
    }
    let expected = [
        "Dcl  0.1 0",
        "Dclw pass 0.1 0.1",
        "Dclw pass 0.1 0.5",
        "Dclw stop 0.1 0.5",
        "Dclw stop 1 0.5",
        "NtXent  0.1 0",
        "NtXent  1 0",
    ];
    assert_eq!(
        losses.iter().map(String::as_str).collect::<Vec<_>>(),
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
