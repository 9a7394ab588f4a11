//! What several promises need: the program, real data, files that a test made.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

/// The program under test, without colours, from a neutral folder.
pub(crate) fn chipmill(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chipmill"));
    command.args(args);
    command
}

/// Runs, expects an exit code, gives (stdout, stderr).
pub(crate) fn run(args: &[&str], code: i32) -> (String, String) {
    let output = chipmill(args).output().expect("the program starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(code),
        "chipmill {args:?}\n{out}\n{err}"
    );
    (out, err)
}

/// Runs, expects an exit code and one JSON document.
pub(crate) fn json(args: &[&str], code: i32) -> Value {
    let (out, _) = run(args, code);
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("chipmill {args:?}: {e}\n{out}"))
}

/// A file of the shared real data, or `None` with a visible line.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CHIPMILL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    println!("skipped: needs ../shared ({path})");
    None
}

/// A path as text; tests only make paths that are.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("test paths are UTF-8")
}

/// A synthetic data set and the store made of it.
pub(crate) struct Made {
    pub(crate) folder: tempfile::TempDir,
}

impl Made {
    /// A v1 data set of `patches` patches, not ingested.
    pub(crate) fn raw(patches: usize) -> Self {
        let made = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let (raw, count) = (made.path("raw"), patches.to_string());
        let args = [
            "sample",
            &raw,
            "--layout",
            "v1",
            "--seed",
            "7",
            "--patches",
            &count,
        ];
        run(&args, 0);
        made
    }

    /// A v1 data set of `patches` patches, ingested with its split lists.
    pub(crate) fn v1(patches: usize) -> Self {
        let made = Self::raw(patches);
        let source = made.path("raw/BigEarthNet-v1.0");
        let lists = ["train", "val", "test"].map(|s| made.path(&format!("raw/{s}.csv")));
        let store = made.store();
        let mut args = vec!["ingest", &source, "--store", &store];
        lists.iter().for_each(|l| args.extend(["--metadata", l]));
        run(&args, 0);
        made
    }

    /// A path inside the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    /// The store.
    pub(crate) fn store(&self) -> String {
        self.path("store")
    }
}

/// Every object of a store outside `.ingest`: path inside the store and bytes.
pub(crate) fn objects(store: &str) -> std::collections::BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, at: &Path, found: &mut std::collections::BTreeMap<String, Vec<u8>>) {
        for entry in std::fs::read_dir(at).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = text(path.strip_prefix(root).expect("below the root")).to_owned();
            if path.is_dir() {
                if name != ".ingest" {
                    walk(root, &path, found);
                }
            } else {
                found.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    let mut found = std::collections::BTreeMap::new();
    walk(Path::new(store), Path::new(store), &mut found);
    found
}
