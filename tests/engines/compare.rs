//! The runs of a comparison, one by one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::world::program;
use crate::compare::EXPERIMENT;
use crate::support::{Made, json, run};

struct Planned {
    made: Made,
    runs: Vec<String>,
}

impl Planned {
    fn new(experiment: &str) -> Self {
        let made = Made::v1(160);
        let (file, store, out) = (made.path("tiny.toml"), made.store(), made.path("out"));
        std::fs::write(&file, experiment).unwrap();
        let args = [
            "compare", "plan", &file, "--store", &store, "--out", &out, "--json",
        ];
        let plan = json(&args, 0);
        assert_eq!(json(&args, 0), plan, "planning again is no work");
        let runs = plan["runs"].as_array().unwrap().iter();
        let runs = runs.map(|name| name.as_str().unwrap().to_owned()).collect();
        Self { made, runs }
    }

    fn step(&self, step: &str, more: &[&str], code: i32) -> (String, String) {
        let (store, out) = (self.made.store(), self.made.path("out"));
        let args = ["compare", step, "--store", &store, "--out", &out];
        run(&[&args[..], more].concat(), code)
    }

    fn work(&self, k: usize, code: i32) -> (String, String) {
        self.step("work", &["--run", &k.to_string()], code)
    }
}

fn figures(report: &Value) -> Vec<Value> {
    let runs = report["runs"].as_array().unwrap();
    let mut figures: Vec<Value> = runs.iter().map(|run| run["values"].clone()).collect();
    figures.push(report["families"].clone());
    figures
}

#[test]
fn runs_done_one_by_one_in_any_order_have_the_figures_of_one_command() {
    let planned = Planned::new(EXPERIMENT);
    assert_eq!(planned.runs.len(), 6);
    assert_eq!(planned.runs[1], "b16-dcl-s0");
    for k in [5, 0, 3] {
        planned.work(k, 0);
    }
    let (said, _) = planned.work(5, 0);
    assert!(said.contains("finished before"), "{said}");
    let (_, error) = planned.step("finalize", &[], 2);
    assert!(
        error.contains("unfinished runs: 3, the first is run 1 (b16-dcl-s0)"),
        "{error}"
    );
    let (_, error) = planned.work(6, 2);
    assert!(
        error.contains("there is no run 6; the plan has 6"),
        "{error}"
    );
    for k in [4, 2, 1] {
        planned.work(k, 0);
    }
    let (text, _) = planned.step("finalize", &["--json"], 0);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["complete"], true);

    let [file, store, whole] = ["tiny.toml", "store", "whole"].map(|name| planned.made.path(name));
    let expected = json(
        &[
            "compare", &file, "--store", &store, "--out", &whole, "--json",
        ],
        0,
    );
    assert_eq!(figures(&report), figures(&expected));
    for file in ["report.html", "gradients.json", "sheets/augmentations.png"] {
        assert!(
            Path::new(&planned.made.path("out")).join(file).is_file(),
            "{file}"
        );
    }
}

#[test]
fn a_run_that_another_process_is_at_is_to_be_tried_again_and_term_saves_a_checkpoint() {
    let long = EXPERIMENT.replace("max_steps = 8", "max_steps = 100000");
    let planned =
        Planned::new(&long.replace("every_steps = 2\nclass", "every_steps = 20000\nclass"));
    let (store, out) = (planned.made.store(), planned.made.path("out"));
    let mut first = Command::new(env!("CARGO_BIN_EXE_chipmill"))
        .args([
            "compare", "work", "--store", &store, "--out", &out, "--run", "0",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = Path::new(&out).join("runs/b16-simclr-s0/metrics.jsonl");
    let began = Instant::now();
    while !metrics.exists() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the run does not begin"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let (_, error) = planned.work(0, 75);
    assert!(
        error.contains("another process is at work on b16-simclr-s0"),
        "{error}"
    );
    let id = first.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(first.wait().unwrap().code(), Some(143));
    let saved = std::fs::read_dir(Path::new(&out).join("runs/b16-simclr-s0/checkpoints")).unwrap();
    assert!(saved.count() > 0);
}

#[test]
fn a_run_that_diverges_is_a_result_which_finalize_names() {
    let wild = EXPERIMENT.replace(
        "set = [\"loss.kind=dcl\"]",
        "set = [\"loss.kind=dcl\", \"optimizer.learning_rate=1e30\"]",
    );
    let planned = Planned::new(&wild.replace("seeds = [0, 1]", "seeds = [0]"));
    let (said, _) = planned.work(1, 0);
    assert!(said.contains("failed, which finalize reports"), "{said}");
    planned.work(0, 0);
    planned.work(2, 0);
    let (_, error) = planned.step("finalize", &[], 2);
    assert!(
        error.contains("runs that failed do not count: b16-dcl-s0"),
        "{error}"
    );
    assert!(
        Path::new(&planned.made.path("out"))
            .join("report.html")
            .is_file()
    );
}

#[test]
fn job_files_of_a_comparison_name_its_runs_and_want_a_plan() {
    let planned = Planned::new(EXPERIMENT);
    let (store, out, nowhere) = (
        planned.made.store(),
        planned.made.path("out"),
        planned.made.path("no"),
    );
    let emit = |engine: &str, out: &str, more: &[&str], code| {
        let args = [
            "compare", "emit", engine, "--store", &store, "--out", out, "--device", "cuda",
        ];
        run(&[&args[..], more].concat(), code)
    };
    let (script, _) = emit("slurm", &out, &["--gpus", "1", "--command", &program()], 0);
    assert!(
        script.contains("#SBATCH --array=0-5\n") && script.contains("#SBATCH --gpus=1\n"),
        "{script}"
    );
    assert!(
        script.contains(&format!(
            "compare work --store {store} --out {out} --device cuda --run \"$1\""
        )),
        "{script}"
    );
    let more = ["--image", "i", "--volume-claim", "c", "--mount", "/"];
    let (jobs, _) = emit("k8s", &out, &more, 0);
    let jobs = yaml_rust2::YamlLoader::load_from_str(&jobs).unwrap();
    assert_eq!(jobs[0]["spec"]["completions"].as_i64(), Some(6));
    let (_, error) = emit("k8s", &out, &["--image", "i"], 2);
    assert!(error.contains("--volume-claim"), "{error}");
    let (_, error) = emit("slurm", &nowhere, &[], 2);
    assert!(
        error.contains("begin with `chipmill compare plan`"),
        "{error}"
    );
}
