//! An experiment as one command: resumable, divisible, repeatable.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Made, chipmill, json, run};

pub(crate) const EXPERIMENT: &str = include_str!("tiny.toml");

struct World {
    made: Made,
    experiment: String,
}

impl World {
    fn new() -> Self {
        let made = Made::v1(160);
        let experiment = made.path("tiny.toml");
        std::fs::write(&experiment, EXPERIMENT).unwrap();
        Self { made, experiment }
    }

    fn compare(&self, out: &str, more: &[&str]) -> Value {
        let (store, out) = (self.made.store(), self.made.path(out));
        let args = [
            "compare",
            &self.experiment,
            "--store",
            &store,
            "--out",
            &out,
        ];
        json(&[&args[..], &["--json"], more].concat(), 0)
    }
}

/// The endpoints of every run, by its folder: what must not depend on how the runs came to be.
pub(crate) fn values(report: &Value) -> BTreeMap<String, Value> {
    let runs = report["runs"].as_array().unwrap();
    let of = |run: &Value| {
        (
            run["folder"].as_str().unwrap().to_owned(),
            run["values"].clone(),
        )
    };
    runs.iter().map(of).collect()
}

#[test]
fn an_experiment_run_in_parts_and_interrupted_has_the_figures_of_one_run_through() {
    let world = World::new();
    let whole = world.compare("whole", &[]);
    assert_eq!(whole["complete"], true);
    assert_eq!(whole["runs"].as_array().unwrap().len(), 6);
    assert_eq!(whole["environments"].as_array().unwrap().len(), 1);
    assert!(whole["environments"][0]["patches"].as_u64() > Some(0));
    let families = whole["families"].as_array().unwrap();
    assert_eq!(families[0]["comparisons"].as_array().unwrap().len() % 2, 0);

    let part = world.compare("parts", &["--seed", "1"]);
    assert_eq!(part["complete"], false);
    interrupt(&world, "parts");
    let parts = world.compare("parts", &[]);
    assert_eq!(parts["complete"], true);
    assert_eq!(values(&parts), values(&whole));
    assert_eq!(parts["families"], whole["families"]);
    assert_eq!(parts["sentences"], whole["sentences"]);

    // Nothing is done twice: what is there is left as it is.
    let metrics = Path::new(&world.made.path("whole")).join("runs/b16-dcl-s0/metrics.jsonl");
    let before = std::fs::read(&metrics).unwrap();
    assert_eq!(world.compare("whole", &[]), whole);
    assert_eq!(std::fs::read(&metrics).unwrap(), before);
    for file in [
        "report.html",
        "runs.csv",
        "curves.csv",
        "comparisons.csv",
        "gradients.json",
        "features/b16-simclr-s0.json",
        "features/b16-random-s0.json",
        "sheets/augmentations.png",
        "sheets/neighbours-airports.png",
    ] {
        assert!(
            Path::new(&world.made.path("whole")).join(file).is_file(),
            "{file}"
        );
    }
}

/// Starts the rest of a comparison and stops it as soon as a run is at work; whether it was in time does
/// not matter to what must come out.
fn interrupt(world: &World, out: &str) {
    let (store, out) = (world.made.store(), world.made.path(out));
    let args = [
        "compare",
        &world.experiment,
        "--store",
        &store,
        "--out",
        &out,
    ];
    let program = chipmill(&args).get_program().to_owned();
    let mut child = std::process::Command::new(program)
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let at_work = Path::new(&out).join("runs/b16-dcl-s0/metrics.jsonl");
    while !at_work.exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_folder_of_another_experiment_an_unknown_arm_and_an_unknown_seed_are_refused() {
    let world = World::new();
    let (store, out) = (world.made.store(), world.made.path("out"));
    let args = [
        "compare",
        &world.experiment,
        "--store",
        &store,
        "--out",
        &out,
    ];
    let (_, error) = run(&[&args[..], &["--arm", "byol"]].concat(), 2);
    assert!(error.contains("simclr, dcl, random"), "{error}");
    let (_, error) = run(&[&args[..], &["--seed", "9"]].concat(), 2);
    assert!(error.contains("[0, 1]"), "{error}");
    assert!(!Path::new(&out).exists(), "a refused command makes nothing");

    world.compare("out", &["--arm", "random", "--seed", "0"]);
    let other = EXPERIMENT.replace("temperatures = [0.1, 1.0]", "temperatures = [0.1]");
    std::fs::write(&world.experiment, other).unwrap();
    let (_, error) = run(&args, 2);
    assert!(error.contains("another experiment"), "{error}");

    let cannot = EXPERIMENT.replace("verdicts = false", "verdicts = true");
    std::fs::write(&world.experiment, cannot).unwrap();
    let (_, error) = run(&args, 2);
    assert!(
        error.contains("seeds"),
        "two seeds resolve no difference: {error}"
    );
}
