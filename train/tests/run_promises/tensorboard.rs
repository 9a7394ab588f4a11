//! `TensorBoard`'s own package reads what a run writes for it.

use std::path::{Path, PathBuf};
use std::process::Command;

use chipmill_schemas::run::MetricsRow;
use serde_json::Value;

use crate::world::{World, config};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

/// A figure of a row.
type Figure = fn(&MetricsRow) -> f64;

#[test]
fn tensorboard_reads_every_scalar_of_a_run_and_of_its_resume() {
    let world = World::new();
    world.start_until("a", &config(), 3).unwrap();
    world.resume("a", None).unwrap();
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return skipped(&reason),
    };
    let script = Path::new(TESTS).join("read_events.py");
    let output = run(Command::new(python).arg(script).arg(world.path("a"))).unwrap();
    let seen: Value = serde_json::from_str(&output).unwrap();
    let of: [(&str, Figure); 3] = [
        ("train/loss", |row| row.loss),
        ("train/learning_rate", |row| row.learning_rate),
        ("train/q_mean", |row| row.q_mean.unwrap_or(f64::NAN)),
    ];
    for (tag, of) in of {
        let points = seen[tag].as_array().unwrap();
        for row in world.run("a").metrics().unwrap() {
            let value = of(&row) as f32;
            let is_it = |p: &&Value| {
                p[0].as_u64() == Some(row.step) && p[1].as_f64() == Some(f64::from(value))
            };
            assert!(
                points.iter().any(|p| is_it(&p)),
                "{tag} at step {}: {points:?}",
                row.step
            );
        }
    }
}

/// To the terminal itself: the test harness hides what a passing test prints.
fn skipped(reason: &str) {
    use std::io::Write;
    let line = format!("skipped: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// An interpreter with the packages of `requirements.txt`, made on first use and kept.
fn python() -> Result<PathBuf, String> {
    let needed = Path::new(TESTS).join("requirements.txt");
    let text = std::fs::read_to_string(&needed).map_err(|e| e.to_string())?;
    let name = text.trim().replace("==", "-");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    let install = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "-r",
    ];
    run(Command::new(&python).args(install).arg(&needed))?;
    std::fs::write(&complete, b"").map_err(|e| e.to_string())?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<String, String> {
    let name = format!("{command:?}");
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let error = text(&output.stderr);
    Err(format!(
        "{name}: {}",
        error.trim().lines().last().unwrap_or_default()
    ))
}
