//! The control that is trained with labels.

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::probe::{ProbeConfig, ProbeSplit, SupervisedConfig, SupervisedView};
use chipmill_train::TrainError;
use chipmill_train::probe::ProbeTarget;

use crate::probe::{headline, notes4};
use crate::world::{Recipe, World, config};

fn asked(supervised: Option<SupervisedConfig>) -> ProbeConfig {
    ProbeConfig {
        split: ProbeSplit::IMod3,
        supervised,
        ..ProbeConfig::default()
    }
}

fn epochs(epochs: u32, view: SupervisedView) -> Option<SupervisedConfig> {
    Some(SupervisedConfig {
        epochs,
        batch_size: 8,
        view,
    })
}

#[test]
fn the_supervised_control_learns_the_task_gives_the_same_again_and_touches_no_other_score() {
    let world = World::with(Recipe {
        patches: 96,
        ..Recipe::default()
    });
    world.start_until("a", &config(), 1).unwrap();
    let target = notes4();
    let without = world.probe(&target, &asked(None)).unwrap();
    let with = asked(epochs(25, SupervisedView::Plain));
    let report = world.probe(&target, &with).unwrap();
    assert!(headline(&report, "supervised") > 0.85, "{report:?}");
    assert!(headline(&report, "supervised") >= headline(&report, "random_encoder"));
    let described = report.entries.iter().find(|e| e.name == "supervised");
    let described = &described.unwrap().description;
    assert!(described.contains(": cross entropy, 25 epochs in batches of 8, views not augmented"));
    let others = report.entries.iter().filter(|e| e.name != "supervised");
    assert!(others.eq(&without.entries));
    assert_eq!(world.probe(&target, &with).unwrap(), report);
    let turned = asked(epochs(2, SupervisedView::Flips));
    assert_ne!(
        world.probe(&target, &turned).unwrap().entries,
        report.entries
    );
}

#[test]
fn many_labels_are_learnt_with_binary_cross_entropy() {
    let world = World::with(Recipe {
        patches: 96,
        split: true,
        ..Recipe::default()
    });
    world.start_until("a", &config(), 1).unwrap();
    let target = ProbeTarget::Labels(Nomenclature::Clc43);
    let config = ProbeConfig {
        split: ProbeSplit::Official,
        ..asked(epochs(8, SupervisedView::Flips))
    };
    let report = world.probe(&target, &config).unwrap();
    assert!(headline(&report, "supervised") > headline(&report, "majority") + 0.2);
    let entry = report.entries.iter().find(|e| e.name == "supervised");
    let described = &entry.unwrap().description;
    assert!(
        described.contains(": binary cross entropy, 8 epochs"),
        "{described}"
    );
}

#[test]
fn a_control_that_diverges_is_an_error_that_says_so_and_nothing_is_written() {
    let world = World::new();
    let mut diverging = config();
    diverging.max_steps = 1;
    diverging.optimizer.learning_rate = 1e-3;
    world.start("a", &diverging).unwrap();
    // A rate that training itself survives for one step only.
    diverging.optimizer.learning_rate = 1e30;
    let text = toml::to_string(&diverging).unwrap();
    std::fs::write(world.path("a/config.toml"), text).unwrap();
    let target = notes4();
    let error = world
        .probe(&target, &asked(epochs(4, SupervisedView::Plain)))
        .unwrap_err();
    assert!(
        matches!(error, TrainError::SupervisedDiverged { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("supervised control"), "{error}");
    assert!(!world.path("a/probe/notes4.json").exists());
}

#[test]
fn settings_that_cannot_be_trained_with_are_refused() {
    for (epochs, batch_size) in [(0, 8), (3, 1)] {
        let config = asked(Some(SupervisedConfig {
            epochs,
            batch_size,
            view: SupervisedView::Plain,
        }));
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains("supervised.epochs"), "{error}");
    }
}
