//! Stores in an object store behind a slow and broken network: the same bytes, in bounded requests, or one
//! clear line.

mod interrupted;
mod kinds;
mod proxy;
mod server;
mod shared_comparison;
mod trained;

use std::collections::BTreeMap;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Made, chipmill, objects};
use proxy::{Fate, Proxy};
use server::{SECRET, Server};

/// A server, the network before it, and whoever talks to it.
struct Afar {
    server: Server,
    proxy: Proxy,
}

const STORE: &str = "s3://bucket/ben.zarr";

impl Afar {
    /// `None` with a visible line where the server cannot be had.
    fn start() -> Option<Self> {
        match Server::start() {
            Ok(server) => {
                let proxy = Proxy::start(server.port);
                Some(Self { server, proxy })
            }
            Err(reason) => {
                println!("skipped: object store on this machine ({reason})");
                None
            }
        }
    }

    fn command(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = chipmill(args);
        command.envs(Server::environment(self.proxy.port));
        command
    }

    /// Runs, expects an exit code, gives stdout and stderr; the secret is in neither.
    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        let output = self.command(args).output().expect("the program starts");
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        assert!(!out.contains(SECRET) && !err.contains(SECRET), "{args:?}");
        (out, err)
    }

    fn json(&self, args: &[&str], code: i32) -> Value {
        let (out, _) = self.run(args, code);
        serde_json::from_str(&out).expect("one JSON document")
    }

    /// A synthetic data set, ingested into a folder and at the address.
    fn ingested(&self, patches: usize) -> Made {
        let made = Made::v1(patches);
        self.run(&ingest(&made, STORE), 0);
        made
    }

    /// The objects of the store at the address, those of `.ingest` left out.
    fn objects(&self) -> BTreeMap<String, Vec<u8>> {
        self.objects_of("ben.zarr/")
    }

    /// The objects of a store below a prefix of the bucket, those of `.ingest` left out.
    fn objects_of(&self, prefix: &str) -> BTreeMap<String, Vec<u8>> {
        let names = self.names(prefix).into_iter();
        let names = names.filter(|name| !name.starts_with(".ingest/"));
        let get = |name: &str| {
            self.server
                .request("GET", &format!("/bucket/{prefix}{name}"))
        };
        names
            .map(|name| {
                let bytes = get(&name);
                (name, bytes)
            })
            .collect()
    }

    /// The names of all objects below a prefix of the bucket.
    fn names(&self, prefix: &str) -> Vec<String> {
        let list = format!("/bucket?list-type=2&prefix={prefix}&max-keys=1000");
        let list = String::from_utf8(self.server.request("GET", &list)).expect("XML");
        let keys = list.split("<Key>").skip(1);
        let keys = keys.map(|rest| rest.split("</Key>").next().expect("an end"));
        keys.filter_map(|key| key.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    }
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// `ingest` of a data set into `store`, in shards of 8 patches.
fn ingest(made: &Made, store: &str) -> Vec<&'static str> {
    let mut args = vec!["ingest".to_owned(), made.path("raw/BigEarthNet-v1.0")];
    for split in ["train", "val", "test"] {
        args.extend([
            "--metadata".to_owned(),
            made.path(&format!("raw/{split}.csv")),
        ]);
    }
    args.extend(["--store".to_owned(), store.to_owned()]);
    // A test is a short life.
    args.into_iter().map(|a| &*a.leak()).collect()
}

/// The digest of what a loader makes of a store, by a program that is run so.
fn loaded(store: &str, run: impl Fn(&[&str]) -> String) -> Value {
    let args = [
        "bench",
        "loader",
        "--store",
        store,
        "--batch-size",
        "8",
        "--batches",
        "4",
    ];
    let text = run(&with(&args, &["--repeats", "1", "--digest", "--json"]));
    let json: Value = serde_json::from_str(&text).expect("one JSON document");
    assert!(json["digest"].is_string(), "{json}");
    json["digest"].clone()
}

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn a_store_at_an_address_is_written_and_read_as_in_a_folder() {
    let Some(afar) = Afar::start() else { return };
    let made = afar.ingested(20);
    let local = made.store();
    let (found, expected) = (afar.objects(), objects(&local));
    assert!(found.keys().eq(expected.keys()), "{:?}", found.keys());
    let other: Vec<_> = expected
        .iter()
        .filter(|(name, bytes)| found[*name] != **bytes)
        .collect();
    let other: Vec<_> = other.iter().map(|(name, _)| name).collect();
    assert!(other.is_empty(), "{other:?}");
    let inspected = |store: &str| {
        let mut json = afar.json(&["inspect", store, "--json"], 0);
        json["store"] = Value::Null;
        json
    };
    assert_eq!(inspected(STORE), inspected(&local));
    let verified = afar.json(&["verify", STORE, "--json"], 0);
    assert_eq!(verified, afar.json(&["verify", &local, "--json"], 0));
    let picture = |store: &str| {
        let out = made.path("sheet.png");
        afar.run(&["preview", store, "--out", &out, "--patches", "2"], 0);
        std::fs::read(out).expect("a picture")
    };
    assert!(picture(STORE) == picture(&local));
    let digest = |store: &str| loaded(store, |args| afar.run(args, 0).0);
    let expected = digest(&local);
    assert!(digest(STORE) == expected);
    let bench = [
        "bench",
        "read",
        "--store",
        STORE,
        "--seconds",
        "0.1",
        "--repeats",
        "1",
        "--json",
    ];
    let bench = afar.json(&bench, 0);
    assert!(bench["traffic"]["requests"].as_u64() > Some(0), "{bench}");
    let (_, told) = afar.run(&["-v", "inspect", STORE], 0);
    assert!(told.contains("object stores requests="), "{told}");
    // A finished ingest is no work, and another plan is refused.
    afar.run(&ingest(&made, STORE), 0);
    let other = with(&ingest(&made, STORE), &["--codec", "zstd"]);
    let (_, refused) = afar.run(&other, 2);
    assert!(refused.contains("codec was lz4, now zstd"), "{refused}");
}

#[test]
fn a_network_that_breaks_changes_no_byte_and_costs_a_bounded_number_of_requests() {
    let Some(afar) = Afar::start() else { return };
    let made = afar.ingested(20);
    afar.proxy.latency(Duration::from_millis(5));
    let verify = ["verify", STORE, "--json", "--threads", "2"];
    afar.proxy.judge(|_, _| Fate::Pass);
    let expected = afar.json(&verify, 0);
    let needed = afar.proxy.requests();
    // Breaks at byte N of the answer, in its head and in its body, and a busy server in between.
    for cut in [1, 150, 700, 20_000] {
        afar.proxy.judge(move |n, _| match n % 8 {
            3 => Fate::Cut(cut),
            6 => Fate::Answer("503 Slow Down", "<Error><Code>SlowDown</Code></Error>"),
            _ => Fate::Pass,
        });
        assert_eq!(afar.json(&verify, 0), expected, "cut after {cut}");
        let asked = afar.proxy.requests();
        assert!(
            asked > needed && asked < 2 * needed,
            "{asked}, {needed} needed"
        );
    }
    // Writing, too.
    let second = "s3://bucket/second/ben.zarr";
    afar.proxy.judge(|n, _| match n % 6 {
        2 => Fate::Cut(40),
        5 => Fate::Answer("500 Internal Server Error", ""),
        _ => Fate::Pass,
    });
    afar.run(&ingest(&made, second), 0);
    afar.proxy.judge(|_, _| Fate::Pass);
    assert_eq!(afar.json(&["verify", second, "--json"], 0), expected);
}

/// What a server answers: status, code of its error, and of ours the exit code and a part of the remedy.
const REFUSALS: [(&str, &str, i32, &str); 6] = [
    ("403 Forbidden", "AccessDenied", 2, "no permission"),
    ("400 Bad Request", "ExpiredToken", 2, "get new ones"),
    ("403 Forbidden", "RequestTimeTooSkewed", 2, "clock"),
    (
        "403 Forbidden",
        "InvalidAccessKeyId",
        2,
        "AWS_ACCESS_KEY_ID",
    ),
    (
        "301 Moved Permanently",
        "PermanentRedirect",
        2,
        "AWS_REGION",
    ),
    ("503 Slow Down", "SlowDown", 75, "try again later"),
];

#[test]
fn every_usual_failure_is_one_line_with_the_address_and_the_remedy_and_no_secret() {
    let Some(afar) = Afar::start() else { return };
    let _made = afar.ingested(12);
    let fails = |args: &[&str], code: i32, words: &[&str]| {
        let (_, err) = afar.run(&with(&["-vv"], args), code);
        let error = err.lines().find(|l| l.starts_with("error: "));
        let error = error.unwrap_or_else(|| panic!("no error in {err}"));
        assert!(words.iter().all(|w| error.contains(w)), "{error}");
    };
    fails(
        &["inspect", "s3://wrong/ben.zarr"],
        2,
        &["s3://wrong/ben.zarr", "no such bucket"],
    );
    fails(
        &["inspect", "s3://bucket/nothing"],
        2,
        &["s3://bucket/nothing", "no `zarr.json`"],
    );
    fails(
        &["inspect", "ftp://h/x"],
        2,
        &["ftp://h/x", "known are s3://"],
    );
    for (status, code, exit, remedy) in REFUSALS {
        let body = &*format!("<Error><Code>{code}</Code><Key>{SECRET}</Key></Error>").leak();
        afar.proxy.judge(move |_, _| Fate::Answer(status, body));
        fails(&["inspect", STORE], exit, &[STORE, remedy]);
        assert!(
            afar.proxy.requests() <= 6,
            "{code}: {}",
            afar.proxy.requests()
        );
    }
    // The server goes away between two batches.
    afar.proxy.judge(|n, _| match n {
        0..8 => Fate::Pass,
        _ => Fate::Answer("503 Slow Down", ""),
    });
    let read = [
        "bench",
        "read",
        "--store",
        STORE,
        "--seconds",
        "5",
        "--batch",
        "1",
    ];
    fails(&read, 75, &["cannot read patch", "try again later"]);
    afar.proxy.judge(|_, _| Fate::Pass);
}

#[test]
fn units_at_an_address_may_race_be_killed_and_repeated() {
    let Some(afar) = Afar::start() else { return };
    let made = Made::raw(24);
    for split in ["train", "val", "test"] {
        assert!(std::path::Path::new(&made.path(&format!("raw/{split}.csv"))).exists());
    }
    let shards = ["--shard-patches", "8"];
    let local = made.store();
    afar.run(&with(&ingest(&made, &local), &shards), 0);
    let plan = with(&ingest(&made, STORE), &shards);
    let plan = with(&["ingest", "plan"], &plan[1..]);
    let planned = afar.json(&with(&plan, &["--json"]), 0);
    assert_eq!(planned["units"], 3, "{planned}");
    // Half a store: no reader takes it for one.
    let (_, early) = afar.run(&["inspect", STORE], 2);
    assert!(early.contains("incomplete"), "{early}");
    let (_, unfinished) = afar.run(&["ingest", "finalize", "--store", STORE], 2);
    assert!(unfinished.contains("unfinished units: 3"), "{unfinished}");
    // Killed at some moment, twice at once, and once more.
    let work = ["ingest", "work", "--store", STORE, "--unit", "0,1,2"];
    for wait in [60, 200, 500] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"));
        command
            .args(work)
            .envs(Server::environment(afar.proxy.port));
        let mut killed = command.spawn().expect("the program starts");
        std::thread::sleep(Duration::from_millis(wait));
        let _ = killed.kill();
        let _ = killed.wait();
    }
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| afar.run(&work, 0));
        }
    });
    afar.run(&work, 0);
    afar.run(&["ingest", "finalize", "--store", STORE], 0);
    assert!(afar.objects() == objects(&local));
}

#[test]
fn a_store_that_does_not_heed_conditions_is_refused_when_a_plan_is_made() {
    let Some(afar) = Afar::start() else { return };
    let made = Made::raw(12);
    afar.proxy.judge(|_, _| Fate::WithoutCondition);
    let (_, err) = afar.run(&ingest(&made, STORE), 2);
    assert!(
        err.contains(STORE) && err.contains("If-None-Match"),
        "{err}"
    );
    afar.proxy.judge(|_, _| Fate::Pass);
    let left = afar.server.request("GET", "/bucket?list-type=2");
    assert!(!String::from_utf8_lossy(&left).contains("<Key>"));
}

#[test]
fn a_cache_serves_later_runs_survives_a_killed_one_and_keeps_its_bound() {
    let Some(afar) = Afar::start() else { return };
    let made = afar.ingested(20);
    let cache = made.path("cache");
    let options = ["--cache", &*cache, "--cache-size", "8MB"];
    let loader = |more: &[&str]| {
        let args = [
            "bench",
            "loader",
            "--batch-size",
            "8",
            "--batches",
            "4",
            "--repeats",
            "1",
        ];
        let args = with(&args, &["--digest", "--json", "--store"]);
        afar.json(&with(&args, more), 0)["digest"].clone()
    };
    let expected = loader(&[&made.store()]);
    // Two at once, of which one is killed.
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"));
    let read = ["bench", "read", "--seconds", "9", "--store", STORE];
    command.args(with(&read, &options));
    command.envs(Server::environment(afar.proxy.port));
    let mut killed = command.spawn().expect("the program starts");
    assert_eq!(loader(&with(&[STORE], &options)), expected);
    let _ = killed.kill();
    let _ = killed.wait();
    assert_eq!(loader(&with(&[STORE], &options)), expected);
    afar.proxy.judge(|_, _| Fate::Pass);
    assert_eq!(loader(&with(&[STORE], &options)), expected);
    assert_eq!(afar.proxy.requests(), 1, "the root alone is asked for");
    let file = std::path::Path::new(&cache).join("blocks.cache");
    let mut bytes = std::fs::read(&file).expect("the cache");
    assert!(bytes.len() <= 8_000_000);
    let touched = bytes.iter_mut().skip(100_000).step_by(5_000);
    touched.filter(|b| **b != 0).for_each(|b| *b ^= 8);
    std::fs::write(&file, bytes).expect("the cache");
    assert_eq!(loader(&with(&[STORE], &options)), expected);
    assert!(afar.proxy.requests() > 2);
}
