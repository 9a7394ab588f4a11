//! The house: which member may use which, where the foreign giants live, which licences are in.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

fn cargo(args: &[&str]) -> String {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    command
        .args(args)
        .args(["--offline", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = command.output().expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

fn metadata() -> Value {
    // Only what this machine builds is at hand: crates of other platforms were never downloaded.
    let version = cargo(&["-vV"]);
    let host = version.lines().find_map(|l| l.strip_prefix("host: "));
    let host = host.expect("cargo names its host");
    let args = [
        "metadata",
        "--format-version",
        "1",
        "--filter-platform",
        host,
    ];
    serde_json::from_str(&cargo(&args)).expect("JSON")
}

/// Normal and build dependencies by name, of the workspace's members.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .filter(|p| members.contains(p["id"].as_str().unwrap_or_default()))
        .map(|p| {
            let dependencies = p["dependencies"].as_array().expect("dependencies");
            let names = dependencies
                .iter()
                .filter(|d| d["kind"] != "dev")
                .map(|d| d["name"].as_str().expect("name").to_owned());
            (
                p["name"].as_str().expect("name").to_owned(),
                names.collect(),
            )
        })
        .collect()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

#[test]
fn members_depend_only_downwards() {
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("chipmill-schemas", &[][..]),
        ("chipmill-store", &["chipmill-schemas"][..]),
        (
            "chipmill-ingest",
            &["chipmill-schemas", "chipmill-store"][..],
        ),
        (
            "chipmill-pipeline",
            &["chipmill-schemas", "chipmill-store"][..],
        ),
        (
            "chipmill-train",
            &["chipmill-pipeline", "chipmill-schemas", "chipmill-store"][..],
        ),
        ("chipmill-report", &["chipmill-schemas"][..]),
        (
            "chipmill",
            &[
                "chipmill-ingest",
                "chipmill-pipeline",
                "chipmill-report",
                "chipmill-schemas",
                "chipmill-store",
                "chipmill-train",
            ][..],
        ),
    ]);
    let edges = edges();
    assert_eq!(
        edges.keys().map(String::as_str).collect::<Vec<_>>().len(),
        allowed.len()
    );
    for (member, dependencies) in &edges {
        let inner = dependencies
            .iter()
            .map(String::as_str)
            .filter(|d| d.starts_with("chipmill"));
        let extra: Vec<_> = inner
            .filter(|d| !allowed[member.as_str()].contains(d))
            .collect();
        assert!(
            extra.is_empty(),
            "{member} may not depend on {extra:?}: a new edge needs an ADR"
        );
    }
}

#[test]
fn each_foreign_giant_lives_in_one_member() {
    let homes = [
        ("gdal", "chipmill-ingest"),
        ("gdal-sys", "chipmill-ingest"),
        ("zarrs", "chipmill-store"),
        ("zarrs_filesystem", "chipmill-store"),
        ("object_store", "chipmill-store"),
        ("burn", "chipmill-train"),
    ];
    let edges = edges();
    for (giant, home) in homes {
        let users: Vec<&str> = edges
            .iter()
            .filter(|(_, d)| d.contains(giant))
            .map(|(member, _)| member.as_str())
            .collect();
        assert_eq!(users, [home], "{giant} belongs to {home} alone");
    }
}

#[test]
fn schemas_does_no_input_or_output() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/src");
    for (path, text) in sources(&folder) {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in [
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "println!",
        ] {
            assert!(!code.contains(word), "{path} uses {word}");
        }
    }
}

#[test]
fn libraries_write_neither_to_stdout_nor_to_stderr() {
    for member in ["schemas", "store", "ingest", "pipeline", "train", "report"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(member)
            .join("src");
        for (path, text) in sources(&folder)
            .into_iter()
            // The slow reference of augmentation is compiled for tests alone.
            .filter(|(p, _)| !p.ends_with("tests.rs") && !p.contains("/reference/"))
        {
            let code: String = text
                .split("#[cfg(test)]")
                .next()
                .unwrap_or_default()
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"))
                .collect();
            for word in ["println!", "print!(", "eprint", "stdout()", "stderr()"] {
                assert!(!code.contains(word), "{path} uses {word}");
            }
        }
    }
}

/// Whatever changes a store passes the points of `store/src/object.rs`, where tests make it fail.
#[test]
fn store_and_ingest_change_the_file_system_in_one_place_alone() {
    let words = [
        "fs::write(",
        "fs::rename(",
        "fs::remove_",
        "fs::hard_link(",
        "fs::copy(",
        "create_dir",
        "File::create",
        "OpenOptions",
        "file.set_len(",
    ];
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut changes = 0;
    for member in ["store", "ingest"] {
        for (path, text) in sources(&root.join(member).join("src")) {
            let is_test = path.ends_with("tests.rs");
            // `sample` writes raw data sets, not stores.
            if is_test || path.contains("/sample/") {
                continue;
            }
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            let found = words.iter().filter(|w| code.contains(**w)).count();
            // The cache of what was read from afar is no store: it may be lost at any time.
            let is_cache = path.contains("store/src/storage/remote/cache");
            let allowed = path.contains("store/src/object") || is_cache;
            assert!(allowed || found == 0, "{path} changes the file system");
            changes += found;
        }
    }
    assert!(changes >= 5, "only {changes} kinds of change are found");
}

fn sources(folder: &std::path::Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            found.push((path.display().to_string(), text));
        }
    }
    found
}

/// The licences that deny.toml lists; an expression is fine when one of its alternatives is.
#[test]
fn every_dependency_has_an_allowed_licence() {
    let deny = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/deny.toml"));
    let deny = deny.expect("deny.toml");
    let list = deny
        .split("allow = [")
        .nth(1)
        .and_then(|t| t.split(']').next())
        .expect("a list");
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    let fine = |expression: &str| {
        let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
        plain
            .split(" OR ")
            .any(|all| all.split(" AND ").all(|one| allowed.contains(one.trim())))
    };
    let tree = cargo(&[
        "tree",
        "--workspace",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ]);
    let mut seen = 0;
    for line in tree.lines().filter(|l| !l.is_empty()) {
        let (package, licence) = line.split_once('|').expect("a package and its licence");
        let licence = licence.trim_end_matches(" (*)");
        assert!(
            fine(licence),
            "{package}: `{licence}` is not among the allowed licences"
        );
        seen += 1;
    }
    assert!(seen > 100, "cargo tree lists {seen} packages");
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let table = text
        .split("## Invariants")
        .nth(1)
        .expect("a section on invariants");
    let table = table.split("\n## ").next().unwrap_or_default();
    let folders = [
        "schemas", "store", "ingest", "pipeline", "train", "report", "tests",
    ];
    let code: String = folders
        .iter()
        .flat_map(|f| sources(&root.join(f)))
        .map(|s| s.1)
        .collect();
    let mut named = 0;
    for word in table.split('`').skip(1).step_by(2) {
        let name = word.rsplit("::").next().unwrap_or_default();
        if name.len() > 20
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || "_0123456789".contains(c))
        {
            assert!(
                code.contains(&format!("fn {name}(")),
                "no test is named {name}"
            );
            named += 1;
        }
    }
    assert!(named >= 25, "only {named} tests are named");
}

/// Otherwise a fresh machine compiles Burn once for the program and once more for the tests.
#[test]
fn the_program_and_the_tests_use_dependencies_with_the_same_features() {
    let features = |more: &[&str]| {
        let format = [
            "tree",
            "--prefix",
            "none",
            "--no-dedupe",
            "--format",
            "{p}|{f}",
        ];
        let text = cargo(&[&format[..], more].concat());
        text.lines()
            .map(str::to_owned)
            .collect::<BTreeSet<String>>()
    };
    let program = features(&["--edges", "normal,build"]);
    let tests = features(&["--workspace", "--edges", "normal,build,dev"]);
    let apart: Vec<_> = program.difference(&tests).collect();
    assert!(
        apart.is_empty(),
        "name these features in a member's [dependencies]: {apart:?}"
    );
}

/// `fuzz/` and `benches/crates_only/` are workspaces of their own, which nothing else builds: their lock files would
/// fall behind unseen.
#[test]
fn the_other_lock_files_have_what_the_members_need() {
    let metadata = metadata();
    let members: BTreeSet<&str> = strings(&metadata["workspace_members"]).collect();
    let packages = metadata["packages"].as_array().expect("packages");
    let own = packages
        .iter()
        .filter(|p| members.contains(p["id"].as_str().unwrap_or_default()));
    let needed: BTreeMap<&str, Vec<&str>> = own
        .map(|p| {
            let needs = p["dependencies"].as_array().expect("dependencies");
            let needs = needs
                .iter()
                .filter(|d| d["kind"].is_null() && d["optional"] == false && d["target"].is_null());
            let needs = needs.filter_map(|d| d["name"].as_str()).collect();
            (p["name"].as_str().expect("name"), needs)
        })
        .collect();
    let mut checked = 0;
    for place in ["fuzz", "benches/crates_only"] {
        let path = format!("{}/{place}/Cargo.lock", env!("CARGO_MANIFEST_DIR"));
        let lock: toml::Table = std::fs::read_to_string(path)
            .expect("a lock file")
            .parse()
            .expect("TOML");
        for package in lock["package"].as_array().expect("packages") {
            let Some(needs) = package["name"].as_str().and_then(|name| needed.get(name)) else {
                continue;
            };
            let has = package.get("dependencies").and_then(toml::Value::as_array);
            let has: BTreeSet<&str> = has
                .into_iter()
                .flatten()
                .filter_map(|d| d.as_str()?.split(' ').next())
                .collect();
            for need in needs {
                assert!(
                    has.contains(need),
                    "{place}/Cargo.lock: {} lacks {need}; run `cargo metadata` in {place}",
                    package["name"]
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked}");
}
