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
        error.contains("family.b32")
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

/// A part of the whole text, what stands in its place, and words of the error.
const MISTAKES: &[(&str, &str, &str)] = &[
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
];

#[test]
fn a_mistake_names_the_key_what_was_found_and_what_was_expected() {
    for (part, by, words) in MISTAKES {
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
