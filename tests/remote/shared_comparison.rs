//! A comparison that several machines share through an object store, trained from a store that lies in one too.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::proxy::Fate;
use super::server::Server;
use super::{Afar, STORE, ingest, with};
use crate::compare::{EXPERIMENT, values};
use crate::support::Made;

const OUT: &str = "s3://bucket/results/tiny";

struct World {
    afar: Afar,
    made: Made,
    store: String,
    experiment: String,
}

impl World {
    fn start() -> Option<Self> {
        let afar = Afar::start()?;
        let made = Made::v1(160);
        let experiment = made.path("tiny.toml");
        std::fs::write(&experiment, EXPERIMENT).unwrap();
        Some(Self {
            afar,
            store: made.store(),
            made,
            experiment,
        })
    }

    /// The command of a machine, whose scratch folder has its name.
    fn of<'a>(&'a self, scratch: &'a str) -> [&'a str; 8] {
        let (experiment, store) = (&self.experiment, &self.store);
        [
            "compare",
            experiment,
            "--store",
            store,
            "--out",
            OUT,
            "--scratch",
            scratch,
        ]
    }

    fn compare(&self, machine: &str, more: &[&str]) -> Value {
        let scratch = self.made.path(machine);
        self.afar
            .json(&with(&with(&self.of(&scratch), &["--json"]), more), 0)
    }

    /// Names of the objects of the comparison.
    fn shared(&self) -> Vec<String> {
        self.afar.names("results/tiny/")
    }
}

/// When each run began on the machine with this scratch folder: what a second machine did not do again.
fn training(scratch: &str) -> BTreeMap<String, Vec<u8>> {
    let runs = std::fs::read_dir(Path::new(scratch).join("runs")).unwrap();
    let runs = runs.map(|run| run.unwrap());
    let log = |run: &std::fs::DirEntry| std::fs::read(run.path().join("environment.json"));
    runs.map(|run| {
        (
            run.file_name().into_string().unwrap(),
            log(&run).unwrap_or_default(),
        )
    })
    .collect()
}

#[test]
fn machines_that_share_a_comparison_at_an_address_have_the_figures_of_one_that_did_it_all() {
    let Some(world) = World::start() else { return };
    let alone = world.made.path("alone");
    let args = [
        "compare",
        &world.experiment,
        "--store",
        &world.store,
        "--out",
        &alone,
        "--json",
    ];
    let whole = world.afar.json(&args, 0);

    let first = world.compare("a", &["--seed", "0"]);
    assert_eq!(first["complete"], false);
    let second = world.compare("b", &["--seed", "1"]);
    assert_eq!(
        second["complete"], true,
        "the first machine's runs are known to the second"
    );
    assert_eq!(values(&second), values(&whole));
    assert_eq!(second["families"], whole["families"]);
    // A third has nothing to do but to read.
    let third = world.compare("c", &[]);
    assert_eq!(third["families"], whole["families"]);
    let (a, b, c) = (
        world.made.path("a"),
        world.made.path("b"),
        world.made.path("c"),
    );
    let (b, c) = (training(&b), training(&c));
    assert_eq!(b, c, "every run is the one that was done first");
    assert!(training(&a).iter().all(|(name, made)| c[name] == *made));

    let shared = world.shared();
    for name in [
        "experiment.toml",
        "gradients.json",
        "features.tar",
        "sheets.tar",
        "comparison.json",
        "runs.csv",
        "report.html",
        "runs/b16-dcl-s0.tar",
        "runs/b16-random-s1.tar",
    ] {
        assert!(
            shared.iter().any(|s| s == name),
            "{name} is not among {shared:?}"
        );
    }
    let runs = |kind: &str| {
        let is_one = |s: &&String| s.starts_with("runs/") && s.ends_with(kind);
        shared.iter().filter(is_one).count()
    };
    assert_eq!((runs(".tar"), runs(".part")), (6, 0), "{shared:?}");
    assert!(runs(".weights") >= 4, "{shared:?}");
    // Reports need no weights, and the pictures were drawn before.
    let weights = Path::new(&world.made.path("c")).join("runs/b16-dcl-s0/checkpoints");
    assert!(!weights.exists());

    refuses_another_experiment(&world);
}

/// Under the address of the first.
fn refuses_another_experiment(world: &World) {
    let other = EXPERIMENT.replace("max_steps = 8", "max_steps = 16");
    std::fs::write(&world.experiment, other).unwrap();
    let scratch = world.made.path("d");
    let (_, refused) = world.afar.run(&world.of(&scratch), 2);
    assert!(refused.contains("another experiment"), "{refused}");
}

#[test]
fn a_run_interrupted_on_one_machine_goes_on_where_it_was_on_another() {
    let Some(world) = World::start() else { return };
    let steps = EXPERIMENT.replace("max_steps = 8", "max_steps = 80");
    std::fs::write(&world.experiment, steps).unwrap();
    let plan = [
        "compare",
        "plan",
        &world.experiment,
        "--store",
        &world.store,
        "--out",
        OUT,
        "--json",
    ];
    let (a, b) = (world.made.path("a"), world.made.path("b"));
    let planned = world.afar.json(&with(&plan, &["--scratch", &a]), 0);
    assert_eq!(planned["runs"][0], "b16-simclr-s0", "{planned}");
    emits_jobs_that_need_no_volume(&world, &a);
    let work = [
        "compare",
        "work",
        "--store",
        &world.store,
        "--out",
        OUT,
        "--run",
        "0",
        "--scratch",
    ];
    interrupt(&world, &with(&work, &[&a]), &a);
    let part = "runs/b16-simclr-s0.part".to_owned();
    assert!(world.shared().contains(&part), "{:?}", world.shared());

    world.afar.run(&with(&work, &[&b]), 0);
    let log = Path::new(&b).join("runs/b16-simclr-s0/train.log");
    let log = std::fs::read_to_string(log).unwrap();
    let begun = log
        .split("attempt 1 begins at step ")
        .nth(1)
        .expect("a second attempt");
    assert!(!begun.starts_with("0 "), "{log}");
    let shared = world.shared();
    assert!(!shared.contains(&part) && shared.contains(&"runs/b16-simclr-s0.tar".to_owned()));
    // Whoever asks again, anywhere, is told; the machine that was stopped takes the finished run.
    let (out, _) = world.afar.run(&with(&work, &[&a]), 0);
    assert!(out.contains("finished before"), "{out}");
    let (runs_a, runs_b) = (training(&a), training(&b));
    assert_eq!(runs_a, runs_b);
}

/// Tells a run to stop when it has done some steps.
fn interrupt(world: &World, work: &[&str], scratch: &str) {
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"))
        .args(work)
        .envs(Server::environment(world.afar.proxy.port))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    let rows = Path::new(scratch).join("runs/b16-simclr-s0/metrics.jsonl");
    while std::fs::read(&rows).unwrap_or_default().len() < 1000 {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "no step was done"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let signal = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(signal.success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

fn emits_jobs_that_need_no_volume(world: &World, scratch: &str) {
    // A store in a folder wants a volume; here it is at an address as well.
    let local = [
        "compare",
        "emit",
        "k8s",
        "--store",
        &world.store,
        "--out",
        OUT,
        "--image",
        "i",
    ];
    let (_, refused) = world.afar.run(&with(&local, &["--scratch", scratch]), 2);
    assert!(refused.contains("--volume-claim"), "{refused}");
    world.afar.run(&ingest(&world.made, STORE), 0);
    let emit = [
        "compare", "emit", "k8s", "--store", STORE, "--out", OUT, "--image", "i",
    ];
    let (jobs, _) = world
        .afar
        .run(&with(&emit, &["--secret", "keys", "--scratch", scratch]), 0);
    let jobs = yaml_rust2::YamlLoader::load_from_str(&jobs).unwrap();
    let pod = &jobs[0]["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        container["envFrom"][0]["secretRef"]["name"].as_str(),
        Some("keys")
    );
    assert!(pod["volumes"].is_badvalue() && container["volumeMounts"].is_badvalue());
    let words = container["command"].as_vec().unwrap();
    let words: Vec<_> = words.iter().filter_map(|w| w.as_str()).collect();
    assert!(
        [STORE, OUT, "--scratch", scratch]
            .iter()
            .all(|w| words.contains(w)),
        "{words:?}"
    );
}

#[test]
fn an_object_store_that_keeps_no_promise_and_a_damaged_run_are_refused() {
    let Some(world) = World::start() else { return };
    world.afar.proxy.judge(|_, _| Fate::WithoutCondition);
    let scratch = world.made.path("a");
    let (_, refused) = world.afar.run(&world.of(&scratch), 2);
    assert!(refused.contains("If-None-Match"), "{refused}");
    world.afar.proxy.judge(|_, _| Fate::Pass);
    world.compare("b", &["--seed", "0", "--arm", "random"]);
    let run = "/bucket/results/tiny/runs/b16-random-s0.tar";
    world.afar.server.request("PUT", run);
    let scratch = world.made.path("c");
    let (_, refused) = world.afar.run(&world.of(&scratch), 2);
    assert!(
        refused.contains("b16-random-s0.tar") && refused.contains("cut short"),
        "{refused}"
    );
    let (_, refused) = world.afar.run(
        &[
            "compare",
            "e.toml",
            "--store",
            "s",
            "--out",
            "o",
            "--scratch",
            "x",
        ],
        2,
    );
    assert!(refused.contains("e.toml"), "{refused}");
}
