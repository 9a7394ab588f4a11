//! Whichever step of an ingest fails, or is the last before the process dies: nothing is lost.
//!
//! A trace of all steps is taken first; then the ingest runs once for every step, which fails or kills
//! it. `CHIPMILL_CAMPAIGN=long` takes every step, otherwise every kind of step is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::slice::from_ref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chipmill_ingest::IngestOptions;
use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_store::StoreReader;
use chipmill_store::fault::{self, Point};

use crate::support::*;

/// A source, and what an ingest of it gives when nothing happens to it.
struct Case {
    form: &'static str,
    sources: Vec<PathBuf>,
    summary: IngestSummary,
    expected: BTreeMap<PathBuf, Vec<u8>>,
    trace: Vec<(Point, String)>,
}

impl Case {
    fn new(folder: &Path, form: &'static str) -> Self {
        let sources = write_sources(folder, form);
        let store = folder.join(format!("{form}-expected"));
        let steps = Arc::new(Mutex::new(Vec::new()));
        let (log, root) = (Arc::clone(&steps), store.clone());
        let armed = fault::arm(&store, move |point, path| {
            let path = path.strip_prefix(&root).unwrap().display().to_string();
            log.lock().unwrap().push((point, path));
            Ok(())
        });
        let (summary, expected) = stored(&one_thread(&sources, &store));
        drop(armed);
        let trace = std::mem::take(&mut *steps.lock().unwrap());
        Self {
            form,
            sources,
            summary: timeless(summary),
            expected,
            trace,
        }
    }

    fn all(folder: &Path) -> [Self; 5] {
        let forms = ["folder", "archive", "shuffled", "s1-folder", "s1-archive"];
        forms.map(|form| Self::new(folder, form))
    }

    /// The ingest of `store` that was cut off goes on and ends as if nothing had happened.
    fn goes_on(&self, store: &Path, step: usize) {
        let at = || format!("{} step {step}, {:?}", self.form, self.trace[step]);
        if StoreReader::open(store).is_ok() {
            let report = chipmill_store::verify(store, 1).unwrap();
            assert!(report.ok, "{}: {:?}", at(), report.defects);
        }
        let summary = run(&one_thread(&self.sources, store));
        let summary = summary.unwrap_or_else(|e| panic!("{}: {}", at(), chain(&e)));
        assert_eq!(timeless(summary), self.summary, "{}", at());
        assert_same(&objects(store), &self.expected);
        let left = leftovers(store);
        assert!(left.is_empty(), "{}: {left:?} are left", at());
    }
}

/// Folders: a late defect, which makes the last shard needless. Archives: defects in a full unit and
/// after the last whole patch. Of Sentinel-1 one patch is defective and one is missing.
fn write_sources(folder: &Path, form: &str) -> Vec<PathBuf> {
    let source = folder.join(form);
    let mut patches = v2(if form == "archive" || form == "shuffled" {
        11
    } else {
        9
    });
    let mut s1 = s1_of(&patches);
    for patch in patches.iter_mut().skip(3).step_by(7) {
        patch.band(Band::B02).truncate(20_000);
    }
    s1[2].files[0].1.truncate(20_000);
    s1.remove(6);
    let s1_source = folder.join(format!("{form}-radar"));
    match form {
        "folder" => write_folder(&source, &patches),
        "archive" => fs::write(&source, tar(&patches)).unwrap(),
        "shuffled" => {
            patches.swap(1, 8);
            fs::write(&source, tar(&patches)).unwrap();
        }
        "s1-folder" => {
            write_folder(&source, &patches);
            write_folder(&s1_source, &s1);
            return vec![source, s1_source];
        }
        _ => {
            write_folder(&source, &patches);
            fs::write(&s1_source, tar(&s1)).unwrap();
            return vec![source, s1_source];
        }
    }
    vec![source]
}

/// One thread, so that the steps come in the same order every time.
fn one_thread(sources: &[PathBuf], store: &Path) -> IngestOptions {
    IngestOptions {
        threads: 1,
        sources: sources.to_vec(),
        ..options(Path::new("none"), store)
    }
}

/// Temporaries, and the spool.
fn leftovers(store: &Path) -> Vec<PathBuf> {
    let mut all = files(store);
    let is_spool = |p: &PathBuf| p.ends_with("spool.bin") || p.ends_with("s1_spool.bin");
    all.retain(|p| p.extension().is_some_and(|e| e == "tmp") || is_spool(p));
    all
}

/// What an object is, whatever its number.
fn kind(path: &str) -> &'static str {
    const OWN: [&str; 12] = [
        "plan.json",
        "report.json",
        "stream.json",
        "unordered",
        "spool.bin",
        "spool.json",
        "spool.hist",
        "s1_spool.bin",
        "s1_spool.json",
        "s1_units.parquet",
        "patches.parquet",
        "units.parquet",
    ];
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let own = OWN.into_iter().find(|own| *own == name);
    match (folder, name.rsplit_once('.').map_or("", |(_, end)| end)) {
        _ if own.is_some() => own.unwrap(),
        ("", "json") => "root",
        (".ingest/units", "json") => "record",
        (".ingest/units", "hist") => "histograms",
        (".ingest/s1", "json") => "s1 record",
        (".ingest/s1", "hist") => "s1 counts",
        ("10m" | "20m" | "60m", "0") => "shard",
        ("s1", "0") => "s1 shard",
        (_, "json") => "node",
        (_, "0") => "small array",
        _ => "folder",
    }
}

/// The steps to take: all, or the first of every kind that `seen` lacks.
fn chosen(case: &Case, seen: &mut BTreeSet<(Point, &'static str)>) -> Vec<usize> {
    let mut is_new = |step: &usize| {
        let (point, path) = &case.trace[*step];
        seen.insert((*point, kind(path))) || is_long_campaign()
    };
    (0..case.trace.len()).filter(|s| is_new(s)).collect()
}

#[test]
fn every_point_is_passed_by_an_ingest_of_some_form() {
    let dir = memory_dir();
    let cases = Case::all(dir.path());
    for case in &cases {
        println!("{}: {} steps", case.form, case.trace.len());
    }
    let passed: BTreeSet<_> = cases.iter().flat_map(|c| &c.trace).map(|s| s.0).collect();
    assert_eq!(passed, BTreeSet::from(Point::ALL));
    let written = |c: &Case| -> BTreeSet<_> { c.trace.iter().map(|s| kind(&s.1)).collect() };
    let common = [
        "folder",
        "plan.json",
        "shard",
        "histograms",
        "record",
        "report.json",
        "node",
        "small array",
        "patches.parquet",
        "units.parquet",
        "root",
    ];
    let [folder, archive, shuffled, s1_folder, s1_archive] = cases.each_ref().map(written);
    assert_eq!(folder, BTreeSet::from(common));
    assert_eq!(&archive - &folder, BTreeSet::from(["stream.json"]));
    let of_spool = ["unordered", "spool.bin", "spool.hist", "spool.json"];
    assert_eq!(&shuffled - &folder, BTreeSet::from(of_spool));
    let of_s1 = ["s1 counts", "s1 record", "s1 shard", "s1_units.parquet"];
    assert_eq!(&s1_folder - &folder, BTreeSet::from(of_s1));
    let of_s1_spool = ["s1_spool.bin", "s1_spool.json"];
    assert_eq!(&s1_archive - &s1_folder, BTreeSet::from(of_s1_spool));
}

/// Also the process that other tests start: then it is told where to die, or for what to wait.
#[test]
fn an_ingest_that_no_test_arms_passes_all_points_unnoticed() {
    let variable = |name: &str| std::env::var(format!("CHIPMILL_TEST_{name}")).ok();
    let (Some(source), Some(store)) = (variable("SOURCE"), variable("STORE")) else {
        let dir = memory_dir();
        let sources = write_sources(dir.path(), "folder");
        let (summary, _) = stored(&one_thread(&sources, &dir.path().join("store")));
        assert_eq!((summary.patches, summary.quarantined), (8, 1));
        return;
    };
    let sources: Vec<_> = std::env::split_paths(&source).collect();
    let store = PathBuf::from(store);
    let next = AtomicUsize::new(0);
    let die_at = variable("DIE_AT").map(|step| step.parse::<usize>().unwrap());
    let fall_behind = variable("FALL_BEHIND");
    let root = store.join("zarr.json");
    let _armed = fault::arm(&store, move |point, path| {
        if Some(next.fetch_add(1, Ordering::SeqCst)) == die_at {
            std::process::abort();
        }
        if point == Point::Publish && fall_behind.as_ref().is_some_and(|p| path.ends_with(p)) {
            fs::write(path.with_extension("waits"), b"").unwrap();
            let began = Instant::now();
            while !root.exists() && began.elapsed() < Duration::from_millis(700) {
                std::thread::sleep(Duration::from_millis(1));
            }
            fs::remove_file(path.with_extension("waits")).unwrap();
        }
        Ok(())
    });
    run(&one_thread(&sources, &store)).unwrap();
    assert_eq!(die_at, None, "the step never came");
}

fn child(sources: &[PathBuf], store: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .arg("an_ingest_that_no_test_arms_passes_all_points_unnoticed")
        .env(
            "CHIPMILL_TEST_SOURCE",
            std::env::join_paths(sources).unwrap(),
        )
        .env("CHIPMILL_TEST_STORE", store)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The second shard differs between the pass before the late defect is known and the one after it.
#[test]
fn an_ingest_that_falls_a_pass_behind_replaces_no_shard_of_another() {
    let dir = memory_dir();
    let case = Case::new(dir.path(), "folder");
    let store = dir.path().join("store");
    let mut behind = child(&case.sources, &store)
        .env("CHIPMILL_TEST_FALL_BEHIND", "10m/c.1.0.0.0")
        .spawn()
        .unwrap();
    while !store.join("10m/c.1.0.0.waits").exists() {
        assert_eq!(
            behind.try_wait().unwrap(),
            None,
            "it ended and did not wait"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    run(&one_thread(&case.sources, &store)).unwrap();
    assert!(behind.wait().unwrap().success());
    let report = chipmill_store::verify(&store, 1).unwrap();
    assert!(report.ok, "{:?}", report.defects);
    assert_same(&objects(&store), &case.expected);
}

/// An engine may start a unit again that it believes lost.
#[test]
fn finalize_waits_for_a_worker_that_fell_behind() {
    let dir = memory_dir();
    let case = Case::new(dir.path(), "folder");
    let store = dir.path().join("store");
    let (go, listener) = (AtomicBool::new(false), chipmill_ingest::Silent);
    let stop = AtomicBool::new(false);
    chipmill_ingest::plan(&one_thread(&case.sources, &store), &stop, &listener).unwrap();
    let work = |unit: u64| {
        chipmill_ingest::work(&store, from_ref(&(unit..unit + 1)), 1, &stop, &listener).unwrap()
    };
    let (go, waits) = (Arc::new(go), Arc::new(AtomicBool::new(false)));
    let (may_go, is_first) = (Arc::clone(&go), Arc::clone(&waits));
    let _armed = fault::arm(&store, move |point, path| {
        let is_shard = point == Point::Publish && path.ends_with("10m/c.1.0.0.0");
        if is_shard && !is_first.swap(true, Ordering::SeqCst) {
            while !may_go.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    });
    std::thread::scope(|scope| {
        let behind = scope.spawn(|| work(1));
        while !waits.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        (0..3).for_each(|unit| drop(work(unit)));
        let end = scope.spawn(|| chipmill_ingest::finalize(&store, 1, &stop, &listener));
        std::thread::sleep(Duration::from_millis(200));
        assert!(!store.join("zarr.json").exists(), "finalize did not wait");
        go.store(true, Ordering::SeqCst);
        behind.join().unwrap();
        assert_eq!(timeless(end.join().unwrap().unwrap()), case.summary);
    });
    assert_same(&objects(&store), &case.expected);
}

#[test]
fn a_process_that_dies_at_any_step_loses_nothing() {
    let dir = memory_dir();
    let (mut seen, mut died) = (BTreeSet::new(), 0);
    for case in Case::all(dir.path()) {
        for step in chosen(&case, &mut seen) {
            let store = dir.path().join(format!("{}-{step}", case.form));
            let status = child(&case.sources, &store)
                .env("CHIPMILL_TEST_DIE_AT", step.to_string())
                .status()
                .unwrap();
            assert_eq!(
                std::os::unix::process::ExitStatusExt::signal(&status),
                Some(6)
            );
            case.goes_on(&store, step);
            died += 1;
            if store.exists() {
                fs::remove_dir_all(store).unwrap();
            }
        }
    }
    println!("{died} processes died, each at another step");
}

#[test]
fn a_step_that_fails_ends_in_an_error_or_full_success_and_loses_nothing() {
    let dir = memory_dir();
    let (mut failed, mut succeeded) = (0, 0);
    for case in Case::all(dir.path()) {
        let stride = if is_long_campaign() { 1 } else { 29 };
        for step in (0..case.trace.len()).step_by(stride) {
            // A disk that fills stays full, a bad block is one step; errors are of both kinds.
            for (number, stays) in [(28, true), (5, false)] {
                let store = dir.path().join(format!("{}-{step}-{number}", case.form));
                let next = AtomicUsize::new(0);
                let armed = fault::arm(&store, move |_, _| {
                    let at = next.fetch_add(1, Ordering::SeqCst);
                    if at == step || (stays && at > step) {
                        return Err(io::Error::from_raw_os_error(number));
                    }
                    Ok(())
                });
                let result = run(&one_thread(&case.sources, &store));
                drop(armed);
                let at = || format!("{} step {step}, {:?}", case.form, case.trace[step]);
                match result {
                    Err(error) => {
                        let text = chain(&error);
                        assert!(text.contains("cannot write"), "{}: {text}", at());
                        assert!(text.contains(&format!("os error {number}")), "{text}");
                        failed += 1;
                    }
                    Ok(summary) => {
                        assert_eq!(timeless(summary), case.summary, "{}", at());
                        assert_same(&objects(&store), &case.expected);
                        succeeded += 1;
                    }
                }
                case.goes_on(&store, step);
                fs::remove_dir_all(store).unwrap();
            }
        }
    }
    println!("{failed} errors, {succeeded} full successes");
}
