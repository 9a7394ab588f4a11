//! What a probe says, and what it refuses.

use std::sync::atomic::AtomicBool;

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{ProbeConfig, ProbeReport, ProbeSplit, Scores};
use chipmill_schemas::task::Task;
use chipmill_train::TrainError;
use chipmill_train::probe::{Probe, ProbeError, ProbeTarget};

use crate::world::{Recipe, World, config};

fn probe(
    world: &World,
    target: &ProbeTarget,
    split: ProbeSplit,
) -> Result<ProbeReport, TrainError> {
    let config = ProbeConfig {
        split,
        neighbours: 5,
        ..ProbeConfig::default()
    };
    world.probe(target, &config)
}

pub(crate) fn notes4() -> ProbeTarget {
    ProbeTarget::Task(Task::notes4())
}

pub(crate) fn headline(report: &ProbeReport, name: &str) -> f64 {
    let entry = report.entries.iter().find(|e| e.name == name);
    entry
        .unwrap_or_else(|| panic!("no {name}"))
        .scores
        .headline()
}

#[test]
fn the_encoder_of_a_separable_world_beats_the_majority_and_the_result_is_stored() {
    let world = World::with(Recipe {
        patches: 96,
        ..Recipe::default()
    });
    world.start("a", &config()).unwrap();
    let report = probe(&world, &notes4(), ProbeSplit::IMod3).unwrap();
    let names: Vec<&str> = report.entries.iter().map(|e| e.name.as_str()).collect();
    let expected = [
        "encoder",
        "encoder_one_vs_rest",
        "encoder_knn",
        "random_encoder",
        "band_statistics",
        "majority",
    ];
    assert_eq!(names, expected);
    let rows = &report.rows;
    assert_eq!((rows.train, rows.validation, rows.test), (64, 0, 32));
    assert_eq!((report.step, report.classes.len()), (12, 4));
    assert!(
        headline(&report, "encoder") > headline(&report, "majority") + 0.3,
        "{report:?}"
    );
    assert!(headline(&report, "random_encoder") > headline(&report, "majority"));
    let stored = std::fs::read_to_string(world.path("a/probe/notes4.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<ProbeReport>(&stored).unwrap(),
        report
    );
    // The same again, whatever was computed before.
    assert_eq!(probe(&world, &notes4(), ProbeSplit::IMod3).unwrap(), report);
}

#[test]
fn labels_are_probed_one_against_the_rest_on_the_official_split() {
    let world = World::with(Recipe {
        split: true,
        ..Recipe::default()
    });
    world.start("a", &config()).unwrap();
    let target = ProbeTarget::Labels(Nomenclature::Nineteen);
    let report = probe(&world, &target, ProbeSplit::Official).unwrap();
    let rows = report.rows;
    assert_eq!((rows.train, rows.validation, rows.test), (24, 12, 12));
    let Scores::MultiLabel(scores) = &report.entries[0].scores else {
        panic!("{report:?}")
    };
    assert_eq!((scores.ap_by_class.len(), scores.scored_classes), (19, 1));
    let names: Vec<&str> = report.entries.iter().map(|e| e.name.as_str()).collect();
    let controls = ["random_encoder", "band_statistics", "majority"];
    assert_eq!(names, [&["encoder", "encoder_knn"][..], &controls].concat());
    assert!(world.path("a/probe/labels-19.json").exists());
}

#[test]
fn a_missing_official_split_is_refused_with_the_remedy() {
    let world = World::new();
    world.start_until("a", &config(), 1).unwrap();
    let error = probe(&world, &notes4(), ProbeSplit::Official).unwrap_err();
    assert!(error.to_string().contains("--split i_mod_3"), "{error}");
    assert!(!world.path("a/probe/notes4.json").exists());
}

#[test]
fn a_store_without_the_labels_is_refused() {
    let world = World::with(Recipe {
        labels: false,
        ..Recipe::default()
    });
    world.start_until("a", &config(), 1).unwrap();
    let target = ProbeTarget::Labels(Nomenclature::Clc43);
    let text = probe(&world, &target, ProbeSplit::IMod3)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("48 patches") && text.contains("43-class"),
        "{text}"
    );
}

#[test]
fn a_class_without_a_train_row_is_named() {
    // Rows 0, 3, 6 are for testing, so that rows 1, 2, 4 of five leave class 3 without any.
    let world = World::with(Recipe {
        patches: 5,
        ..Recipe::default()
    });
    let mut config = config();
    config.loader.batch_size = 4;
    world.start_until("a", &config, 1).unwrap();
    let error = probe(&world, &notes4(), ProbeSplit::IMod3).unwrap_err();
    let TrainError::Probe(ProbeError::ClassWithoutTrainRow { classes, train, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((classes.as_str(), *train), ("dump_sites", 3));
}

#[test]
fn a_run_without_a_checkpoint_and_a_stopped_probe_write_nothing() {
    let world = World::new();
    world.start_until("a", &config(), 1).unwrap();
    let run = world.path("a");
    let stop = AtomicBool::new(true);
    let stopped = Probe {
        store: &world.store,
        run: &run,
        device: "cpu",
        controls: true,
        stop: &stop,
    };
    let config = ProbeConfig {
        split: ProbeSplit::IMod3,
        ..ProbeConfig::default()
    };
    let error = stopped.score(&notes4(), &config).unwrap_err();
    assert!(matches!(error, TrainError::Stopped));
    std::fs::remove_dir_all(world.run("a").checkpoints()).unwrap();
    let error = probe(&world, &notes4(), ProbeSplit::IMod3).unwrap_err();
    assert!(matches!(error, TrainError::NoCheckpoint { .. }), "{error}");
    assert_eq!(std::fs::read_dir(run.join("probe")).unwrap().count(), 0);
}

#[test]
fn a_tasks_name_does_not_lead_out_of_the_run_folder() {
    let world = World::new();
    world.start_until("a", &config(), 1).unwrap();
    let mut task = Task::notes4();
    task.name = "../../elsewhere".to_owned();
    let error = probe(&world, &ProbeTarget::Task(task), ProbeSplit::IMod3).unwrap_err();
    assert!(matches!(error, TrainError::Probe(ProbeError::Name { .. })));
}
