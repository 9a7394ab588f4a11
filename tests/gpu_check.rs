//! `scripts/gpu-check.sh`, the half of it that needs no GPU.

use std::path::Path;
use std::process::{Command, Output};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn check(golden: &Path, arguments: &[&str]) -> Output {
    Command::new("bash")
        .arg(Path::new(ROOT).join("scripts/gpu-check.sh"))
        .arg(golden)
        .args(["--device", "cpu", "--short"])
        .args(["--chipmill", env!("CARGO_BIN_EXE_chipmill")])
        .args(arguments)
        .output()
        .unwrap()
}

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: needs python3");
    }
    found
}

#[test]
fn the_gpu_check_does_its_cpu_half_and_names_what_only_a_gpu_can_tell() {
    if !has_python() {
        return;
    }
    let golden = tempfile::tempdir().unwrap();
    let parts = ["--part", "start", "--part", "memory"];
    let output = check(golden.path(), &parts);
    let (table, talk) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert_eq!(output.status.code(), Some(0), "{table}{talk}");
    for row in [
        "process 2: first step, then one",
        "the second process reuses what the first tuned",
        "resident memory after 5 and 25 steps",
        "device memory",
    ] {
        assert!(table.contains(row), "{row}: {table}");
    }
    assert_eq!(table.matches("needs a GPU").count(), 2, "{table}");
    assert!(!table.contains("FAILED"), "{table}");
}

#[test]
fn a_gpu_check_that_cannot_be_run_says_why_and_a_part_that_fails_is_a_row_and_exit_1() {
    if !has_python() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = check(&folder.path().join("none"), &[]);
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(
        talk.contains("expected that of the golden vectors"),
        "{talk}"
    );
    // A test program that fails.
    let output = check(
        folder.path(),
        &["--part", "losses", "--golden-test", "/bin/false"],
    );
    let table = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{table}");
    assert!(table.contains("FAILED"), "{table}");
}
