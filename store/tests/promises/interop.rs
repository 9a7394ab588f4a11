//! Other Zarr readers see what was written, compared by name in `tests/interop.py`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chipmill_schemas::band::Resolution;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::PatchRow;
use chipmill_store::{PatchPixels, S1Pixels, digest};
use serde_json::{Value, json};

use crate::fixture::{CODECS, Fixture, class_names};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");

#[test]
fn zarr_python_xarray_and_tensorstore_read_what_was_written() {
    let python = match python() {
        Ok(python) => python,
        Err(reason) => return say(&format!("skipped: interop with Python readers ({reason})")),
    };
    for codec in CODECS {
        let fixture = Fixture::new(7, 3, codec).with_s1();
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store");
        fixture.write(&store);
        let expected = dir.path().join("expected.json");
        fs::write(&expected, expectation(&fixture).to_string()).unwrap();
        let mut script = Command::new(&python);
        script
            .arg(Path::new(TESTS).join("interop.py"))
            .arg(&store)
            .arg(&expected);
        let output = script.output().unwrap();
        assert!(output.status.success(), "{codec:?}: {}", text(&output));
        say(&format!(
            "interop, {}: {}",
            codec.name(),
            text(&output).trim()
        ));
    }
}

/// What the readers must find, from the fixture and not from the store.
fn expectation(fixture: &Fixture) -> Value {
    let bands = |r: Resolution| r.bands().iter().map(|b| b.name()).collect::<Vec<_>>();
    let by_group = |f: &dyn Fn(Resolution) -> Value| -> Value {
        Resolution::ALL
            .iter()
            .map(|&r| (r.name().to_owned(), f(r)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let patches = fixture.rows.iter().zip(&fixture.pixels).zip(&fixture.s1);
    let patch = |((row, pixels), s1): ((&PatchRow, &PatchPixels), &Option<S1Pixels>)| {
        json!({
            "s1": s1.as_ref().map(some_s1),
            "id": row.id,
            "split": row.split,
            "country": row.country,
            "crs": row.georeference.map_or(String::new(), |g| format!("EPSG:{}", g.epsg)),
            "transform": row.georeference.map(|g| [10.0, 0.0, g.ulx, 0.0, -10.0, g.uly]),
            "labels": {
                "43": class_names(row, Nomenclature::Clc43),
                "19": class_names(row, Nomenclature::Nineteen),
            },
            "sums": by_group(&|r| sums(pixels, r)),
            "pixels": by_group(&|r| some_pixels(pixels, r)),
        })
    };
    json!({
        "bands": by_group(&|r| json!(bands(r))),
        "classes": {
            "43": Nomenclature::Clc43.classes().collect::<Vec<_>>(),
            "19": Nomenclature::Nineteen.classes().collect::<Vec<_>>(),
        },
        "patches": patches.map(patch).collect::<Vec<_>>(),
    })
}

fn sums(pixels: &PatchPixels, resolution: Resolution) -> Value {
    let sum = |values: &[u16]| values.iter().map(|&v| u64::from(v)).sum::<u64>();
    let bands = resolution.bands().iter();
    bands.map(|&b| sum(pixels.band_slice(b))).collect()
}

/// `[band, y, x, value]` at places that tell the axes apart.
fn some_pixels(pixels: &PatchPixels, resolution: Resolution) -> Value {
    let (side, bands) = (resolution.side(), resolution.bands().len());
    let places = [
        (0, 0, 0),
        (0, 0, 1),
        (0, 1, 0),
        (1, 3, side - 2),
        (bands - 1, side - 1, 5),
    ];
    let group = pixels.group(resolution);
    places
        .iter()
        .map(|&(b, y, x)| json!([b, y, x, group[[b, y, x]]]))
        .collect()
}

/// `[polarisation, y, x, value]` of finite pixels at places that tell the axes apart.
fn some_s1(pixels: &S1Pixels) -> Value {
    let places = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 3, 118), (1, 119, 5)];
    let view = pixels.view();
    let at = places
        .iter()
        .map(|&(p, y, x)| json!([p, y, x, view[[p, y, x]]]));
    at.collect()
}

/// An interpreter with the packages of `requirements.txt`, made on first use and kept in the target
/// folder; those of `requirements-more.txt` where they can be had.
fn python() -> Result<PathBuf, String> {
    let read = |name: &str| fs::read_to_string(Path::new(TESTS).join(name)).unwrap();
    let (needed, more) = (read("requirements.txt"), read("requirements-more.txt"));
    let version = digest(format!("{needed}{more}").as_bytes());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("interop-{}", &version[..12]));
    let python = folder.join("bin/python");
    let complete = folder.join("complete");
    if complete.exists() {
        return Ok(python);
    }
    let mut venv = Command::new("python3");
    run(
        venv.args(["-m", "venv", "--clear"]).arg(&folder),
        "python3 -m venv",
    )?;
    let install = |name: &str| {
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        run(
            pip.arg(Path::new(TESTS).join(name)),
            &format!("pip install -r {name}"),
        )
    };
    install("requirements.txt")?;
    if let Err(reason) = install("requirements-more.txt") {
        say(&format!("skipped: {reason}"));
    }
    fs::write(&complete, b"").map_err(|e| e.to_string())?;
    Ok(python)
}

fn run(command: &mut Command, name: &str) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = text(&output);
    let last = text.trim().lines().last().unwrap_or_default();
    Err(format!("{name} failed: {last}"))
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// To the terminal itself: the test harness hides what a passing test prints.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
