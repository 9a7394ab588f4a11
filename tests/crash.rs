//! `chipmill ingest` killed, starved of space, and started many times at once: nothing is lost.
//!
//! `CHIPMILL_CAMPAIGN=long` makes the campaigns longer; `CHIPMILL_SEED` repeats the moments of one.

mod disk;
mod kill;
mod together;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{objects, run, text};

/// Patches of a source; with eight in a shard, eight shards of each resolution.
const PATCHES: &str = "60";

/// A raw data set, and the store that an undisturbed ingest makes of it.
struct Case {
    folder: tempfile::TempDir,
    sources: Vec<String>,
    expected: BTreeMap<String, Vec<u8>>,
}

/// Form of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Folder,
    /// An archive in id order.
    Archive,
    /// An archive in another order, which goes through the spool.
    Shuffled,
    /// The same with Sentinel-1, an archive as well, which its label files match.
    Radar,
}

impl Case {
    fn new(form: Form) -> Self {
        let folder = memory_dir();
        let path = |name: &str| text(&folder.path().join(name)).to_owned();
        // A v1 archive is in the order of file names, where 10 comes before 9.
        let is_v1 = matches!(form, Form::Shuffled | Form::Radar);
        let layout = if is_v1 { "v1" } else { "v2" };
        let raw = path("raw");
        let mut args = vec!["sample", &raw, "--layout", layout, "--patches", PATCHES];
        if form != Form::Folder {
            args.extend(["--archive", "tar"]);
        }
        if form == Form::Radar {
            args.push("--s1");
        }
        run(&args, 0);
        let sources = match form {
            Form::Folder => vec!["raw/BigEarthNet-S2"],
            Form::Archive => vec!["raw/BigEarthNet-S2.tar"],
            Form::Shuffled => vec!["raw/BigEarthNet-S2-v1.0.tar"],
            Form::Radar => vec!["raw/BigEarthNet-S2-v1.0.tar", "raw/BigEarthNet-S1-v1.0.tar"],
        };
        let sources = sources.into_iter().map(path).collect();
        let mut case = Self {
            folder,
            sources,
            expected: BTreeMap::new(),
        };
        let store = case.path("expected");
        assert!(case.ingest(&store, 2).status().unwrap().success());
        let spooled = Path::new(&store).join(".ingest/unordered").exists();
        assert_eq!(spooled, is_v1, "{form:?}");
        case.expected = objects(&store);
        case
    }

    fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    /// The program, ready to start, silent.
    fn ingest(&self, store: &str, threads: usize) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chipmill"));
        command
            .arg("ingest")
            .args(&self.sources)
            .args(["--store", store, "--shard-patches", "8"])
            .args(["--threads", &threads.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The store is that of an undisturbed ingest, and nothing else is left.
    fn assert_whole(&self, store: &str, what: &str) {
        let found = objects(store);
        let paths = found.keys().chain(self.expected.keys());
        let differing: Vec<_> = paths
            .filter(|p| found.get(*p) != self.expected.get(*p))
            .collect();
        assert!(differing.is_empty(), "{what}: {differing:?} differ");
        let left = leftovers(Path::new(store));
        assert!(left.is_empty(), "{what}: {left:?} are left");
    }
}

fn leftovers(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leftovers(&path));
        } else if path.extension().is_some_and(|e| e == "tmp") || name_ends(&path, "spool.bin") {
            found.push(path);
        }
    }
    found
}

fn name_ends(path: &Path, end: &str) -> bool {
    text(path).ends_with(end)
}

/// In memory where there is such a place, so that a campaign need not wait for a disk.
fn memory_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn is_long_campaign() -> bool {
    std::env::var("CHIPMILL_CAMPAIGN").is_ok_and(|v| v == "long")
}
