//! The main job, end to end, on data that the program makes itself.

use std::path::Path;

use crate::support::{Made, json, run};

#[test]
fn raw_patches_become_a_probe_score_and_a_report() {
    let made = Made::v1(160);
    a_store_is_sound_and_can_be_seen(&made);
    let run_dir = made.path("run");
    a_run_leaves_its_folder(&made.store(), &run_dir);
    a_probe_stands_beside_its_controls(&made.store(), &run_dir);
    weights_go_out_and_come_back(&made, &run_dir);

    let (table, _) = run(&["report", &run_dir], 0);
    let html = std::fs::read_to_string(Path::new(&run_dir).join("report.html")).unwrap();
    assert!(
        html.contains("notes4") && table.contains("report.html"),
        "{table}"
    );
}

fn a_store_is_sound_and_can_be_seen(made: &Made) {
    let (store, sheet) = (made.store(), made.path("sheet.png"));
    let inspection = json(&["inspect", &store, "--json"], 0);
    assert_eq!(inspection["counts"]["patches"], 160);
    assert_eq!(
        inspection["manifest"]["statistics"][0]["bands"]
            .as_array()
            .unwrap()
            .len(),
        12
    );
    let verified = json(&["verify", &store, "--json"], 0);
    assert_eq!(
        (&verified["ok"], &verified["patches"]),
        (&true.into(), &160.into())
    );

    run(
        &[
            "preview",
            &store,
            "--preset",
            "notes",
            "--patches",
            "3",
            "--out",
            &sheet,
        ],
        0,
    );
    let png = std::fs::read(&sheet).unwrap();
    assert_eq!(&png[1..4], b"PNG");
}

fn a_run_leaves_its_folder(store: &str, run_dir: &str) {
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    run(
        &[
            "pretrain", "--store", store, "--config", config, "--run", run_dir,
        ],
        0,
    );
    let metrics = rows(run_dir);
    assert_eq!(metrics.last().unwrap()["step"], 12);
    assert!(
        metrics
            .iter()
            .all(|r| r["loss"].as_f64().is_some_and(f64::is_finite))
    );
    for file in ["config.toml", "environment.json", "status.json"] {
        assert!(Path::new(run_dir).join(file).is_file(), "{file}");
    }
}

fn a_probe_stands_beside_its_controls(store: &str, run_dir: &str) {
    let probe = ["probe", "--run", run_dir, "--store", store, "--json"];
    let four = json(
        &[&probe[..], &["--task", "notes4", "--split", "i_mod_3"]].concat(),
        0,
    );
    let entries = four["entries"].as_array().unwrap();
    let names: Vec<_> = entries
        .iter()
        .map(|e| e["name"].as_str().unwrap())
        .collect();
    for name in ["encoder", "random_encoder", "band_statistics", "majority"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let nineteen = json(&[&probe[..], &["--labels", "19"]].concat(), 0);
    assert_eq!(nineteen["entries"][0]["scores"]["kind"], "multi_label");
    // Settings are chosen where there are rows to choose on.
    assert_eq!(four["config"]["choose"], "fixed");
    assert_eq!(nineteen["config"]["choose"], "validation");
    assert!(nineteen["entries"][0]["chosen"]["c"].is_number());
}

fn weights_go_out_and_come_back(made: &Made, run_dir: &str) {
    let (store, file, again) = (
        made.store(),
        made.path("encoder.safetensors"),
        made.path("imported"),
    );
    let written = json(&["export", "--run", run_dir, "--out", &file, "--json"], 0);
    assert_eq!(written["step"], 12);
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let import = ["import", "--weights", &file, "--store", &store, "--config"];
    run(&[&import[..], &[config, "--run", &again]].concat(), 0);
    let score = |run_dir: &str| {
        let probe = [
            "probe", "--run", run_dir, "--store", &store, "--task", "notes4",
        ];
        let how = [
            "--split",
            "stratified",
            "--choose",
            "holdout",
            "--supervised",
            "--json",
        ];
        let short = ["--set", "supervised.epochs=1"];
        json(&[&probe[..], &how, &short].concat(), 0)
    };
    let scores = |report: serde_json::Value| {
        let entries = report["entries"].as_array().unwrap().clone();
        let of = |e: &serde_json::Value| [e["name"].clone(), e["scores"].clone()];
        entries.iter().map(of).collect::<Vec<_>>()
    };
    let (own, imported) = (scores(score(run_dir)), scores(score(&again)));
    assert!(own.iter().any(|[name, _]| name == "supervised"));
    assert_eq!(own, imported);
}

fn rows(run_dir: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(Path::new(run_dir).join("metrics.jsonl")).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn all_four_losses_train() {
    let made = Made::v1(64);
    let store = made.store();
    for name in ["simclr", "dcl", "dclw-stop", "dclw-pass"] {
        let config = format!("{}/configs/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let run_dir = made.path(name);
        let small = [
            "max_steps=3",
            "view.side=32",
            "loader.batch_size=8",
            "log_every_steps=1",
        ];
        let mut args = vec![
            "pretrain", "--store", &store, "--config", &config, "--run", &run_dir,
        ];
        small.iter().for_each(|s| args.extend(["--set", s]));
        run(&args, 0);
        assert_eq!(rows(&run_dir).len(), 3, "{name}");
    }
}

#[test]
fn an_interrupted_pretraining_resumes_to_the_same_losses() {
    let made = Made::v1(64);
    let store = made.store();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let start = |run_dir: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"));
        command.args([
            "pretrain", "--store", &store, "--config", config, "--run", run_dir,
        ]);
        command.args(["--set", "max_steps=60", "--set", "log_every_steps=1"]);
        command
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let (whole, cut) = (made.path("whole"), made.path("cut"));
    assert!(start(&whole).wait().unwrap().success());

    let mut child = start(&cut);
    let log = Path::new(&cut).join("metrics.jsonl");
    while !std::fs::read_to_string(&log).is_ok_and(|t| t.lines().count() >= 3) {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before it could be cut"
        );
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "-INT");
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "an interrupted run says so");
    let (_, error) = run(
        &[
            "pretrain", "--store", &store, "--config", config, "--run", &cut,
        ],
        2,
    );
    assert!(error.contains("--resume"), "{error}");
    run(&["pretrain", "--resume", &cut, "--store", &store], 0);

    let losses = |run_dir: &str| {
        let mut by_step = std::collections::BTreeMap::new();
        for row in rows(run_dir) {
            by_step.insert(row["step"].as_u64().unwrap(), row["loss"].to_string());
        }
        by_step
    };
    assert_eq!(losses(&whole).len(), 60);
    assert_eq!(losses(&whole), losses(&cut));
}

fn signal(child: &std::process::Child, signal: &str) {
    // The shell's own: a bare machine has no program of that name.
    let sent = std::process::Command::new("sh")
        .args(["-c", "kill \"$0\" \"$1\"", signal, &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn pretraining_leaves_out_every_patch_of_the_task() {
    let made = Made::v1(64);
    let (store, run_dir) = (made.store(), made.path("run"));
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let exclude = "selection.exclude_task=notes4";
    let args = [
        "pretrain", "--store", &store, "--config", config, "--run", &run_dir,
    ];
    run(
        &[&args[..], &["--set", exclude, "--set", "max_steps=1"]].concat(),
        0,
    );
    let environment = std::fs::read_to_string(Path::new(&run_dir).join("environment.json"));
    let environment: serde_json::Value = serde_json::from_str(&environment.unwrap()).unwrap();
    let counts = json(&["inspect", &store, "--json"], 0)["counts"]["tasks"]["notes4"].clone();
    assert!(counts["airports"].as_u64().unwrap() > 0, "{counts}");
    assert_eq!(environment["patches"], counts["none of the classes"]);
}

#[test]
fn a_task_from_a_toml_file_is_left_out_of_pretraining_and_probed() {
    let made = Made::v1(120);
    let (store, run_dir, task) = (made.store(), made.path("run"), made.path("water.toml"));
    let text = r#"
        name = "water"
        nomenclature = "43"
        [[classes]]
        name = "inland"
        labels = ["Water courses", "Water bodies"]
        [[classes]]
        name = "urban"
        labels = ["Continuous urban fabric", "Discontinuous urban fabric"]
    "#;
    std::fs::write(&task, text).unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let exclude = format!("selection.exclude_task={task}");
    let args = [
        "pretrain", "--store", &store, "--config", config, "--run", &run_dir,
    ];
    run(
        &[&args[..], &["--set", &exclude, "--set", "max_steps=2"]].concat(),
        0,
    );
    std::fs::rename(&task, made.path("moved.toml")).unwrap();
    run(&["pretrain", "--resume", &run_dir, "--store", &store], 0);
    let moved = made.path("moved.toml");
    let probe = [
        "probe", "--run", &run_dir, "--store", &store, "--task", &moved, "--json",
    ];
    let report = json(&[&probe[..], &["--split", "i_mod_3"]].concat(), 0);
    assert_eq!(report["classes"], serde_json::json!(["inland", "urban"]));
    assert!(report["rows"]["test"].as_u64().unwrap() > 5, "{report}");
    let (_, error) = run(
        &[
            "probe", "--run", &run_dir, "--store", &store, "--task", "water",
        ],
        2,
    );
    assert!(
        error.contains("`water`") && error.contains("notes4"),
        "{error}"
    );
}
