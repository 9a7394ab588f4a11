//! Bad input: refused or quarantined, by name; never a panic, never half a store.

use std::path::Path;

use crate::support::{Made, chipmill, json, run};

/// A fresh v1 data set of 6 patches, not ingested: (folder kept alive, source, store).
fn raw() -> (tempfile::TempDir, String, String) {
    let made = Made::raw(6);
    let (source, store) = (made.path("raw/BigEarthNet-v1.0"), made.store());
    (made.folder, source, store)
}

/// Some band file of the first patch, by the end of its name.
fn band_file(source: &str, band: &str) -> std::path::PathBuf {
    let mut patches: Vec<_> = std::fs::read_dir(source)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    patches.sort();
    let name = patches[0].file_name().unwrap().to_str().unwrap().to_owned();
    patches[0].join(format!("{name}_{band}.tif"))
}

fn assert_quarantined(source: &str, store: &str, band: &str, words: &[&str]) {
    let summary = json(&["ingest", source, "--store", store, "--json"], 1);
    assert_eq!(
        (&summary["patches"], &summary["quarantined"]),
        (&5.into(), &1.into()),
        "{summary}"
    );
    assert_eq!(summary["defects"][0]["band"], band, "{summary}");
    let reason = summary["defects"][0]["reason"].as_str().unwrap();
    assert!(words.iter().all(|w| reason.contains(w)), "{reason}");
    assert_eq!(json(&["verify", store, "--json"], 0)["patches"], 5);
}

#[test]
fn a_missing_band_is_quarantined_by_name() {
    let (_keep, source, store) = raw();
    std::fs::remove_file(band_file(&source, "B8A")).unwrap();
    assert_quarantined(&source, &store, "B8A", &["missing"]);
}

#[test]
fn a_truncated_tiff_is_quarantined_by_name() {
    let (_keep, source, store) = raw();
    let path = band_file(&source, "B02");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_quarantined(&source, &store, "B02", &[]);
}

#[test]
fn a_raster_of_the_wrong_size_is_quarantined_by_name() {
    let (_keep, source, store) = raw();
    std::fs::copy(band_file(&source, "B05"), band_file(&source, "B02")).unwrap();
    assert_quarantined(&source, &store, "B02", &["60", "120"]);
}

#[test]
fn strict_stops_at_the_first_defect_and_leaves_no_store() {
    let (_keep, source, store) = raw();
    std::fs::remove_file(band_file(&source, "B8A")).unwrap();
    let (_, error) = run(&["ingest", &source, "--store", &store, "--strict"], 2);
    assert!(error.contains("B8A"), "{error}");
    let (_, error) = run(&["inspect", &store], 2);
    assert!(error.contains(&store), "{error}");
}

#[test]
fn a_missing_metadata_file_is_named_before_any_work() {
    let (_keep, source, store) = raw();
    let (_, error) = run(
        &[
            "ingest",
            &source,
            "--store",
            &store,
            "--metadata",
            "none.parquet",
        ],
        2,
    );
    assert!(error.contains("none.parquet"), "{error}");
    assert!(!Path::new(&store).exists());
}

#[test]
fn a_missing_source_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let (_, error) = run(
        &[
            "ingest",
            "no/such/folder",
            "--store",
            store.to_str().unwrap(),
        ],
        2,
    );
    assert!(error.contains("no/such/folder"), "{error}");
}

#[test]
fn a_folder_that_is_no_store_is_refused_by_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let sheet = folder.path().join("x.png");
    let run_dir = folder.path().join("run");
    for args in [
        &["inspect", path][..],
        &["verify", path],
        &["preview", path, "--out", sheet.to_str().unwrap()],
        &[
            "pretrain",
            "--store",
            path,
            "--config",
            config,
            "--run",
            run_dir.to_str().unwrap(),
        ],
    ] {
        let (_, error) = run(args, 2);
        assert!(
            error.contains(path) && error.contains("store"),
            "{args:?}: {error}"
        );
    }
    assert!(!run_dir.exists(), "a refused run leaves no folder");
}

#[test]
fn an_unknown_configuration_key_names_the_nearest() {
    let made = Made::v1(8);
    let (store, run_dir) = (made.store(), made.path("run"));
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let args = [
        "pretrain", "--store", &store, "--config", config, "--run", &run_dir,
    ];
    let (_, error) = run(&[&args[..], &["--set", "loss.temprature=0.1"]].concat(), 2);
    assert!(
        error.contains("loss.temprature") && error.contains("`temperature`"),
        "{error}"
    );
    let (_, error) = run(&[&args[..], &["--set", "loader.batch_size=64"]].concat(), 2);
    assert!(
        error.contains("64") && error.contains('8'),
        "batch larger than the data: {error}"
    );
    let (_, error) = run(&[&args[..], &["--device", "tpu"]].concat(), 2);
    assert!(error.contains("tpu") && error.contains("cpu"), "{error}");
}

#[test]
fn an_interrupted_ingest_leaves_nothing_that_opens_and_goes_on_when_asked_again() {
    let made = Made::raw(300);
    let path = |name: &str| made.path(name);
    let source = path("raw/BigEarthNet-v1.0");
    let (whole, cut) = (path("whole"), path("cut"));
    let args = |store: &str| {
        [
            "ingest",
            &source,
            "--store",
            store,
            "--shard-patches",
            "16",
            "--threads",
            "1",
        ]
        .map(str::to_owned)
    };
    let strs = |v: &[String; 8]| v.clone();
    chipmill(&[]).args(strs(&args(&whole))).assert().success();

    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"))
        .args(args(&cut))
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let arrays = Path::new(&cut).join("10m");
    while std::fs::read_dir(&arrays).map_or(0, Iterator::count) < 3 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ingest ended before it could be cut"
        );
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let (_, error) = run(&["inspect", &cut], 2);
    assert!(error.contains(&cut), "{error}");
    chipmill(&[]).args(strs(&args(&cut))).assert().success();
    assert_eq!(
        crate::support::objects(&whole),
        crate::support::objects(&cut)
    );
}
