//! Settings chosen on rows that are not tested on, and intervals over those that are.

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::probe::{Choose, ProbeConfig, ProbeReport, ProbeSplit};
use chipmill_train::TrainError;
use chipmill_train::probe::{ProbeError, ProbeTarget};

use crate::probe::notes4;
use crate::world::{Recipe, World, config};

fn world(split: bool) -> World {
    let world = World::with(Recipe {
        patches: 96,
        split,
        ..Recipe::default()
    });
    assert!(world.start_until("a", &config(), 1).is_ok());
    world
}

fn asked(split: ProbeSplit, choose: Choose) -> ProbeConfig {
    ProbeConfig {
        split,
        choose,
        resamples: 200,
        ..ProbeConfig::default()
    }
}

#[test]
fn each_entry_has_the_scores_of_the_settings_that_it_chose() {
    let world = world(true);
    for (split, choose, rows) in [
        (ProbeSplit::Official, Choose::Validation, 24),
        (ProbeSplit::Official, Choose::Holdout, 16),
        (ProbeSplit::IMod3, Choose::Holdout, 22),
        (ProbeSplit::Stratified, Choose::Holdout, 22),
    ] {
        let report = world.probe(&notes4(), &asked(split, choose)).unwrap();
        let fixed = |c: Option<f64>, k: Option<u32>, t: Option<f64>| {
            let mut config = asked(split, Choose::Fixed);
            config.c = c.unwrap_or(config.c);
            config.neighbours = k.unwrap_or(config.neighbours);
            config.knn_temperature = t.unwrap_or(config.knn_temperature);
            world.probe(&notes4(), &config).unwrap()
        };
        for entry in &report.entries {
            let Some(chosen) = entry.chosen else {
                assert_eq!(entry.name, "majority");
                continue;
            };
            assert_eq!(chosen.rows, rows, "{split:?} {choose:?}");
            assert!((0.0..=1.0).contains(&chosen.score));
            if let Some(c) = chosen.c {
                assert!(ProbeConfig::C_GRID.contains(&c));
            }
            if entry.name == "encoder_knn" {
                assert!(ProbeConfig::NEIGHBOURS_GRID.contains(&chosen.neighbours.unwrap()));
            }
            if ["encoder", "encoder_knn"].contains(&entry.name.as_str()) {
                let same = fixed(chosen.c, chosen.neighbours, chosen.knn_temperature);
                let same = same.entries.iter().find(|e| e.name == entry.name).unwrap();
                assert_eq!(same.scores, entry.scores, "{}", entry.name);
                assert_eq!(same.chosen, None);
            }
        }
    }
}

/// The store's patches with the labels of the test rows exchanged among them.
fn with_other_test_labels(world: &World) -> World {
    let mut rows: Vec<PatchRow> = world.store.table().to_rows();
    let test: Vec<usize> = (0..rows.len())
        .filter(|&i| rows[i].split == Some(Split::Test))
        .collect();
    let labels: Vec<_> = test.iter().map(|&i| rows[i].labels_43).collect();
    for (place, &i) in test.iter().enumerate() {
        rows[i].labels_43 = labels[(place + 1) % labels.len()];
    }
    World::of_rows(&rows, 1)
}

#[test]
fn nothing_that_is_chosen_depends_on_the_labels_of_test_rows() {
    let world = world(true);
    let other = with_other_test_labels(&world);
    other.start_until("a", &config(), 1).unwrap();
    for choose in [Choose::Validation, Choose::Holdout] {
        let asked = asked(ProbeSplit::Official, choose);
        let (a, b) = (
            world.probe(&notes4(), &asked).unwrap(),
            other.probe(&notes4(), &asked).unwrap(),
        );
        let chosen = |r: &ProbeReport| r.entries.iter().map(|e| e.chosen).collect::<Vec<_>>();
        assert_eq!(chosen(&a), chosen(&b));
        assert_ne!(a.entries[0].scores, b.entries[0].scores);
    }
}

#[test]
fn rows_to_choose_on_that_are_not_there_are_an_error_with_the_way_out() {
    let world = world(false);
    let refused = |split, choose| world.probe(&notes4(), &asked(split, choose)).unwrap_err();
    let error = refused(ProbeSplit::IMod3, Choose::Validation);
    let named = matches!(
        error,
        TrainError::Probe(ProbeError::NoValidationRows { .. })
    );
    assert!(
        named && error.to_string().contains("--choose holdout"),
        "{error}"
    );
    // One tile: there is none to hold out. That is said of the split itself already.
    let error = refused(ProbeSplit::ByTile, Choose::Holdout);
    assert!(error.to_string().contains("by_tile"), "{error}");
    // Train rows 1, 2, 4, 5, 7, 8, 10, 11; held out are 1, 5 and 10, and with them all of class 1.
    let few = World::with(Recipe {
        patches: 12,
        ..Recipe::default()
    });
    few.start_until("a", &config(), 1).unwrap();
    let error = few
        .probe(&notes4(), &asked(ProbeSplit::IMod3, Choose::Holdout))
        .unwrap_err();
    let TrainError::Probe(ProbeError::ClassHeldOut { classes, rows, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!((classes.as_str(), *rows), ("bare_rock", 5));
    assert!(error.to_string().contains("--choose fixed"), "{error}");
}

#[test]
fn every_score_has_an_interval_around_it_and_the_same_again() {
    let world = world(true);
    let labels = ProbeTarget::Labels(Nomenclature::Clc43);
    for target in [notes4(), labels] {
        let asked = asked(ProbeSplit::Official, Choose::Fixed);
        let report = world.probe(&target, &asked).unwrap();
        for (place, entry) in report.entries.iter().enumerate() {
            let intervals = entry.intervals.as_ref().unwrap();
            assert_eq!(intervals.resamples, 200);
            for (name, value) in entry.scores.named() {
                let [low, high] = intervals.scores[name];
                assert!(
                    low <= value + 0.05 && value - 0.05 <= high,
                    "{name}: {low} {value} {high}"
                );
                assert!((0.0..=1.0).contains(&low) && high <= 1.0);
            }
            assert_eq!(intervals.ap_by_class.len(), entry.scores.by_class().len());
            assert_eq!(intervals.behind.is_some(), place > 0);
        }
        assert_eq!(world.probe(&target, &asked).unwrap(), report);
        let without = ProbeConfig {
            resamples: 0,
            ..asked
        };
        let report = world.probe(&target, &without).unwrap();
        assert!(report.entries.iter().all(|e| e.intervals.is_none()));
    }
}
