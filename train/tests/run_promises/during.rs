//! Probes while a run is at work, the arm that trains nothing, and the study of gradients.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not recognise as such"
)]

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chipmill_schemas::experiment::ProbeClassifier;
use chipmill_schemas::probe::{ProbeConfig, ProbeSplit};
use chipmill_schemas::run::MetricsRow;
use chipmill_schemas::task::Task;
use chipmill_train::TrainError;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::probe::{Probe, ProbeDuring, ProbeTarget};
use chipmill_train::study::GradientStudy;

use crate::world::{Recipe, Watcher, World, config};

fn world() -> World {
    World::with(Recipe {
        patches: 96,
        ..Recipe::default()
    })
}

fn asked(every_steps: u64) -> ProbeDuring {
    ProbeDuring {
        target: ProbeTarget::Task(Task::notes4()),
        config: ProbeConfig {
            split: ProbeSplit::IMod3,
            neighbours: 5,
            ..ProbeConfig::default()
        },
        every_steps,
        classifiers: vec![ProbeClassifier::OneVsRest, ProbeClassifier::Knn],
    }
}

fn probed(world: &World, run: &str, asked: &ProbeDuring, stop_at: u64) -> Vec<MetricsRow> {
    let (watcher, path) = (Watcher::new(stop_at), world.path(run));
    let job = Pretrain {
        probe: Some(asked),
        ..world.pretrain(&path, &watcher)
    };
    if path.exists() {
        job.resume(None).unwrap();
    } else {
        job.start(&config()).unwrap();
    }
    world.run(run).metrics().unwrap()
}

fn score(world: &World, run: &str, asked: &ProbeDuring) -> [f64; 3] {
    let (path, stop) = (world.path(run), AtomicBool::new(false));
    let probe = Probe {
        store: &world.store,
        run: &path,
        device: "cpu",
        controls: false,
        stop: &stop,
    };
    let report = probe.score(&asked.target, &asked.config).unwrap();
    let names: Vec<&str> = report.entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["encoder", "encoder_one_vs_rest", "encoder_knn"]);
    [0, 1, 2].map(|i| report.entries[i].scores.headline())
}

#[test]
fn probes_do_not_disturb_a_run_and_the_last_is_that_of_its_checkpoint() {
    let world = world();
    world.start("plain", &config()).unwrap();
    let rows = probed(&world, "probed", &asked(2), u64::MAX);
    let plain = world.losses("plain");
    let disturbed = |(step, loss): &&(u64, u64)| {
        let row = rows.iter().find(|row| row.step == *step);
        row.is_none_or(|row| row.loss.to_bits() != *loss)
    };
    assert_eq!(plain.iter().find(disturbed), None);

    let steps: Vec<u64> = rows
        .iter()
        .filter(|row| row.probe_accuracy.is_some())
        .map(|row| row.step)
        .collect();
    let last = config().max_steps;
    let mut expected: Vec<u64> = (0..=last).step_by(2).collect();
    expected.extend((!last.is_multiple_of(2)).then_some(last));
    assert_eq!(steps, expected);
    let row = rows.last().unwrap();
    let during = [row.probe_accuracy, row.probe_one_vs_rest, row.probe_knn];
    let after = score(&world, "probed", &asked(2));
    assert_eq!(during, after.map(Some));
    assert!(row.probe_balanced_accuracy.is_some() && row.probe_macro_f1.is_some());
}

#[test]
fn a_probed_run_that_was_cut_off_has_the_same_curve_when_it_goes_on() {
    let world = world();
    let curve = |rows: Vec<MetricsRow>| {
        let mut by_step = std::collections::BTreeMap::new();
        for row in rows {
            by_step.insert(row.step, (row.loss.to_bits(), row.probe_accuracy));
        }
        by_step
    };
    let whole = curve(probed(&world, "whole", &asked(2), u64::MAX));
    probed(&world, "cut", &asked(2), 3);
    let cut = curve(probed(&world, "cut", &asked(2), u64::MAX));
    for (step, row) in whole {
        assert_eq!(cut.get(&step).map(|r| r.1), Some(row.1), "step {step}");
    }
}

#[test]
fn a_target_that_the_store_cannot_give_is_refused_before_anything_is_made() {
    let world = world();
    let (watcher, path) = (Watcher::new(u64::MAX), world.path("refused"));
    let mut asked = asked(2);
    asked.config.split = ProbeSplit::Official;
    asked.target = ProbeTarget::Task(Task {
        name: "../out".to_owned(),
        ..Task::notes4()
    });
    let job = Pretrain {
        probe: Some(&asked),
        ..world.pretrain(&path, &watcher)
    };
    let refused = job.start(&config());
    assert!(matches!(refused, Err(TrainError::Probe(_))), "{refused:?}");
    assert!(!path.exists());
}

#[test]
fn the_untrained_arm_scores_what_the_random_control_of_a_run_scores() {
    let world = world();
    world.start("a", &config()).unwrap();
    let asked = asked(1);
    let stop = AtomicBool::new(false);
    let of = |path: &std::path::Path, controls| {
        let probe = Probe {
            store: &world.store,
            run: path,
            device: "cpu",
            controls,
            stop: &stop,
        };
        if controls {
            probe.score(&asked.target, &asked.config)
        } else {
            probe.score_untrained(&config(), &asked.target, &asked.config)
        }
    };
    let trained = of(&world.path("a"), true).unwrap();
    let control = trained.entries.iter().find(|e| e.name == "random_encoder");
    let untrained = of(&world.path("u"), false).unwrap();
    assert_eq!(untrained.step, 0);
    assert_eq!(untrained.entries[0].scores, control.unwrap().scores);
    // Again, over what is there: the same.
    let again = of(&world.path("u"), false).unwrap();
    assert_eq!(again, untrained);
    // The folder of another run is left alone.
    let mut other = config();
    other.seed += 1;
    let path = world.path("u");
    let probe = Probe {
        store: &world.store,
        run: &path,
        device: "cpu",
        controls: false,
        stop: &stop,
    };
    let refused = probe.score_untrained(&other, &asked.target, &asked.config);
    assert!(matches!(refused, Err(TrainError::ConfigDiffers { .. })));
}

#[test]
fn simclr_and_dcl_become_the_same_loss_as_the_temperature_rises() {
    let world = world();
    let stop = AtomicBool::new(false);
    let rows: Arc<[u32]> = (0..96).collect();
    let study = GradientStudy {
        store: &world.store,
        rows: &rows,
        config: &config(),
        device: "cpu",
        stop: &stop,
    };
    let temperatures = [0.05, 0.2, 1.0];
    let rows = study.rows("small", &temperatures, 3).unwrap();
    assert_eq!(rows.len(), 3);
    for pair in rows.windows(2) {
        assert!(pair[0].q_mean < pair[1].q_mean, "{pair:?}");
        assert!(pair[0].cosine <= pair[1].cosine + 1e-6, "{pair:?}");
    }
    let anchors = u64::from(3 * 2 * config().loader.batch_size);
    for row in &rows {
        assert_eq!(row.q_histogram.iter().sum::<u64>(), anchors);
        assert!(row.q_p5 <= row.q_mean && row.q_mean <= row.q_p95);
        // |sum q_a g_a| <= max q |..| holds for parallel gradients only; on the whole it is below 1.
        assert!((0.0..=1.0).contains(&row.norm_ratio), "{row:?}");
    }
    assert!(rows[2].cosine > 0.99, "{:?}", rows[2]);
}
