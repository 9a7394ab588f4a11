//! The jobs of an ingest.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use yaml_rust2::{Yaml, YamlLoader};

use super::world::{World, program};
use crate::support::run;

fn slurm(world: &World, more: &[&str]) -> String {
    let store = world.store();
    let args = ["ingest", "emit", "slurm", "--store", &store];
    run(&[&args[..], more].concat(), 0).0
}

#[test]
fn a_shell_loop_over_the_emitted_array_makes_the_store_of_one_process() {
    let world = World::planned();
    let script = slurm(
        &world,
        &[
            "--command",
            &program(),
            "--units-per-task",
            "4",
            "--setup",
            "export SET=1",
        ],
    );
    assert!(script.contains("#SBATCH --array=0-1\n"), "{script}");
    // The last task is short; an index beyond it is refused; one done twice is no work.
    for (index, code) in [("1", 0), ("0", 0), ("1", 0), ("2", 2)] {
        world.code(&script, &[], &[("SLURM_ARRAY_TASK_ID", index)], code);
    }
    world.code(&script, &["finalize"], &[("SLURM_ARRAY_TASK_ID", "0")], 0);
    world.assert_whole();
}

#[test]
fn finalize_waits_for_every_index_and_a_missing_one_is_named() {
    let world = World::planned();
    let script = slurm(&world, &["--command", &program()]);
    world.code(&script, &[], &[("SLURM_ARRAY_TASK_ID", "3")], 0);
    let refused = world.code(&script, &["finalize"], &[], 2);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("unfinished units: 5, the first is unit 0"),
        "{said}"
    );
    world.witness("sbatch", "echo 4711");
    world.code(&script, &[], &[], 0);
    let calls = world.calls("sbatch");
    let calls: Vec<&str> = calls.lines().collect();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(
        calls[0].starts_with("--parsable ") && !calls[0].contains("finalize"),
        "{calls:?}"
    );
    for part in ["--dependency=afterok:4711 ", "--array=0 ", " finalize"] {
        assert!(format!("{} ", calls[1]).contains(part), "{part}: {calls:?}");
    }
}

#[test]
fn what_may_pass_goes_back_into_the_queue_a_bounded_number_of_times_and_nothing_else_does() {
    let world = World::planned();
    world.witness("scontrol", "");
    let script = slurm(&world, &["--command", "exits", "--tries", "3"]);
    let cases = [
        (75, 0, true),
        (130, 0, true),
        (143, 1, true),
        (75, 2, false),
        (2, 0, false),
        (1, 0, false),
        (137, 0, false),
    ];
    for (code, restarts, is_tried_again) in cases {
        world.program("exits", &format!("exit {code}"));
        let before = world.calls("scontrol").lines().count();
        let restarts = restarts.to_string();
        let env = [
            ("SLURM_ARRAY_TASK_ID", "5"),
            ("SLURM_ARRAY_JOB_ID", "12"),
            ("SLURM_RESTART_COUNT", &restarts),
        ];
        world.code(&script, &[], &env, code);
        let calls = world.calls("scontrol");
        assert_eq!(
            calls.lines().count() > before,
            is_tried_again,
            "{code} {restarts}"
        );
        assert!(calls.lines().all(|call| call == "requeue 12_5"), "{calls}");
    }
}

#[test]
fn the_signal_before_the_time_is_up_lets_the_unit_be_finished() {
    let world = World::planned();
    world.witness("scontrol", "");
    let waits =
        "trap 'kill $!; echo TERM >> terms; exit 143' TERM; touch began; sleep 60 & wait $!";
    world.program("waits", waits);
    let script = slurm(&world, &["--command", "waits"]);
    assert!(script.contains("#SBATCH --signal=B:USR1@120\n"), "{script}");
    let mut job = world.bash(
        &script,
        &[],
        &[("SLURM_ARRAY_TASK_ID", "0"), ("SLURM_JOB_ID", "9")],
    );
    let mut job = job.stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !std::path::Path::new(&world.path("began")).exists() {
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "the job does not begin"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = job.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-USR1", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(job.wait().unwrap().code(), Some(143));
    assert_eq!(
        std::fs::read_to_string(world.path("terms")).unwrap(),
        "TERM\n"
    );
    assert_eq!(world.calls("scontrol"), "requeue 9_0\n");
}

#[test]
fn the_script_is_clean_to_shellcheck() {
    if Command::new("shellcheck")
        .arg("--version")
        .output()
        .is_err()
    {
        println!("skipped: needs shellcheck");
        return;
    }
    let world = World::planned();
    let script = slurm(
        &world,
        &["--partition", "cpu", "--at-most", "3", "--gpus", "1"],
    );
    assert!(script.contains("#SBATCH --array=0-5%3\n"), "{script}");
    let file = world.path("script.sh");
    std::fs::write(&file, script).unwrap();
    let checked = Command::new("shellcheck")
        .args(["--severity=style", &file])
        .output()
        .unwrap();
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stdout)
    );
}

fn k8s(world: &World, mount: &str, more: &[&str], code: i32) -> (String, String) {
    let store = world.store();
    let args = [
        "ingest",
        "emit",
        "k8s",
        "--store",
        &store,
        "--image",
        "chipmill: \"0.1\"",
        "--volume-claim",
        "ben",
        "--mount",
        mount,
    ];
    run(&[&args[..], more].concat(), code)
}

/// A container's command, as Kubernetes makes it of a Job's.
fn command(job: &Yaml, index: Option<u64>) -> Vec<String> {
    let words = job["spec"]["template"]["spec"]["containers"][0]["command"]
        .as_vec()
        .unwrap();
    let expanded = |word: &Yaml| {
        let word = word.as_str().unwrap();
        match (word, index) {
            ("$(JOB_COMPLETION_INDEX)", Some(index)) => index.to_string(),
            _ => {
                assert!(!word.replace("$$", "").contains('$'), "{word}");
                word.replace("$$", "$")
            }
        }
    };
    words.iter().map(expanded).collect()
}

/// The main fields of a Job of batch/v1, by the names and types that its schema has.
fn assert_is_a_job(job: &Yaml, name: &str) {
    assert_eq!(job["apiVersion"].as_str(), Some("batch/v1"));
    assert_eq!(job["kind"].as_str(), Some("Job"));
    assert_eq!(job["metadata"]["name"].as_str(), Some(name));
    assert_eq!(job["metadata"]["namespace"].as_str(), Some("eo"));
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["restartPolicy"].as_str(), Some("Never"));
    assert_eq!(
        pod["containers"][0]["image"].as_str(),
        Some("chipmill: \"0.1\"")
    );
    assert_eq!(
        pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"].as_i64(),
        Some(1)
    );
    assert_eq!(
        pod["volumes"][0]["persistentVolumeClaim"]["claimName"].as_str(),
        Some("ben")
    );
    assert_eq!(
        pod["volumes"][0]["name"],
        pod["containers"][0]["volumeMounts"][0]["name"]
    );
    let rules = job["spec"]["podFailurePolicy"]["rules"].as_vec().unwrap();
    assert_eq!(rules[0]["action"].as_str(), Some("Ignore"));
    assert_eq!(rules[1]["onExitCodes"]["operator"].as_str(), Some("NotIn"));
    let codes = rules[1]["onExitCodes"]["values"].as_vec().unwrap();
    assert_eq!(
        codes.iter().filter_map(Yaml::as_i64).collect::<Vec<_>>(),
        [75, 130, 143]
    );
}

#[test]
fn the_emitted_jobs_are_what_kubernetes_wants_and_their_commands_make_the_store() {
    let world = World::planned();
    let (text, _) = k8s(
        &world,
        &world.path(""),
        &[
            "--command",
            &program(),
            "--at-most",
            "2",
            "--namespace",
            "eo",
            "--gpus",
            "1",
        ],
        0,
    );
    let jobs = YamlLoader::load_from_str(&text).unwrap();
    assert_eq!(jobs.len(), 2);
    assert_is_a_job(&jobs[0], "chipmill-ingest");
    assert_is_a_job(&jobs[1], "chipmill-ingest-finalize");
    let [units, finalize] = [&jobs[0]["spec"], &jobs[1]["spec"]];
    assert_eq!(units["completionMode"].as_str(), Some("Indexed"));
    assert_eq!(units["completions"].as_i64(), Some(6));
    assert_eq!(units["parallelism"].as_i64(), Some(2));
    assert_eq!(units["backoffLimitPerIndex"].as_i64(), Some(4));
    assert_eq!(finalize["suspend"].as_bool(), Some(true));

    let calls = (0..6).rev().map(|k| command(&jobs[0], Some(k)));
    for words in calls.chain([command(&jobs[1], None)]) {
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    world.assert_whole();
}

#[test]
fn what_job_files_cannot_be_made_of_is_refused_by_name() {
    let world = World::planned();
    let (_, error) = k8s(&world, "/elsewhere", &[], 2);
    assert!(error.contains("is not below --mount /elsewhere"), "{error}");
    let store = world.store();
    let emit = ["ingest", "emit", "slurm", "--store", &store];
    for (flag, value, says) in [
        ("--partition", "a b", "letters, digits"),
        ("--time", "1\n#SBATCH --uid=0", "letters, digits"),
        ("--name", "Big", "small letters"),
        ("--command", "a 'b", "not closed"),
        ("--command", " ", "--command is empty"),
    ] {
        let (_, error) = run(&[&emit[..], &[flag, value]].concat(), 2);
        assert!(error.contains(says), "{flag} {value}: {error}");
    }
    let nothing = world.path("nothing");
    let (_, error) = run(&["ingest", "emit", "slurm", "--store", &nothing], 2);
    assert!(error.contains("chipmill ingest plan"), "{error}");
    // Archives have no units; nothing is planned for them.
    let raw = world.path("archive");
    run(
        &[
            "sample",
            &raw,
            "--layout",
            "v2",
            "--patches",
            "4",
            "--archive",
            "tar",
        ],
        0,
    );
    let archive = format!("{raw}/BigEarthNet-S2.tar");
    let (_, error) = run(&["ingest", "plan", &archive, "--store", &nothing], 2);
    assert!(error.contains("which only one process can read"), "{error}");
    run(&["ingest", &archive, "--store", &nothing], 0);
    let (_, error) = run(&["ingest", "emit", "slurm", "--store", &nothing], 2);
    assert!(error.contains("which only one process can read"), "{error}");
}

#[test]
fn of_two_plans_made_for_one_target_at_once_one_is_refused_and_the_other_can_be_completed() {
    let world = World::planned();
    let (source, store) = (world.path("raw/BigEarthNet-S2"), world.path("contested"));
    let plan = |codec: &str| {
        Command::new(env!("CARGO_BIN_EXE_chipmill"))
            .args([
                "ingest", "plan", &source, "--store", &store, "--codec", codec,
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let ends = ["lz4", "zstd", "lz4", "zstd"]
        .map(plan)
        .map(|child| child.wait_with_output().unwrap());
    let refused = ends.iter().filter(|end| end.status.code() == Some(2));
    for end in refused.clone() {
        let said = String::from_utf8_lossy(&end.stderr);
        assert!(said.contains("another plan (codec was"), "{said}");
    }
    assert_eq!(refused.count(), 2);
    // A unit given to two machines at once: both end well, and there is one record.
    let work = || {
        let args = ["ingest", "work", "--store", &store, "--unit", "0"];
        Command::new(env!("CARGO_BIN_EXE_chipmill"))
            .args(args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    for mut child in [work(), work(), work()] {
        assert!(child.wait().unwrap().success());
    }
    run(&["ingest", "finalize", "--store", &store], 0);
    run(&["verify", &store], 0);
}
