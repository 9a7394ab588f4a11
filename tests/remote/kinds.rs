//! Addresses other than those of S3: plain web servers, and Azure in the form of its emulator.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::proxy::Fate;
use super::{Afar, ingest, loaded, texts, with};
use crate::support::{Made, chipmill};

#[test]
fn a_store_on_a_web_server_is_read_as_in_a_folder_and_not_written() {
    let Some(afar) = Afar::start() else { return };
    let made = afar.ingested(20);
    let local = made.store();
    afar.proxy.judge(|_, _| Fate::Signed);
    let web = format!("http://127.0.0.1:{}/bucket/ben.zarr", afar.proxy.port);
    let run = |args: &[&str]| afar.run(args, 0).0;
    assert_eq!(loaded(&web, run), loaded(&local, run));
    let told = |store: &str| {
        let mut json = afar.json(&["inspect", store, "--json"], 0);
        json["store"] = Value::Null;
        json
    };
    assert_eq!(told(&web), told(&local));
    let (_, refused) = afar.run(&ingest(&made, &format!("{web}-new")), 2);
    assert!(refused.contains("for reading alone"), "{refused}");
}

/// Not Google's own servers: their protocol as the client speaks it, translated for the server of these tests.
#[test]
fn a_store_spoken_to_as_googles_is_written_once_and_read_as_in_a_folder() {
    let Some(afar) = Afar::start() else { return };
    afar.proxy.judge(|_, _| Fate::Google);
    let made = Made::raw(24);
    let account = made.path("account.json");
    let base = format!("http://127.0.0.1:{}", afar.proxy.port);
    let text = format!(
        r#"{{"private_key": "", "private_key_id": "", "client_email": "", "disable_oauth": true, "gcs_base_url": "{base}"}}"#
    );
    std::fs::write(&account, text).unwrap();
    let call = |args: &[&str], code: i32| {
        let mut command = afar.command(args);
        command.env("GOOGLE_SERVICE_ACCOUNT", &account);
        command.env("GOOGLE_ALLOW_HTTP", "true");
        let output = command.output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        (out, err)
    };
    let (local, store) = (made.store(), "gs://bucket/google/ben.zarr");
    call(&ingest(&made, &local), 0);
    call(&ingest(&made, store), 0);
    let run = |args: &[&str]| call(args, 0).0;
    assert_eq!(loaded(store, run), loaded(&local, run));
    assert_eq!(
        run(&["verify", store, "--json"]),
        run(&["verify", &local, "--json"])
    );
    let (_, refused) = call(&with(&ingest(&made, store), &["--codec", "zstd"]), 2);
    assert!(refused.contains("codec was lz4, now zstd"), "{refused}");
    // The condition reaches the store: without it the plan is refused.
    afar.proxy.judge(|_, _| Fate::Signed);
    let (_, refused) = call(&ingest(&made, "gs://bucket/other/ben.zarr"), 2);
    assert!(refused.contains("only if there is none"), "{refused}");
}

/// How the emulator and its client come to where the test looks for them.
const INSTALL: &str =
    "npm install --prefix target/azurite azurite@3.37.0 @azure/storage-blob@12.34.0";

/// Its container cannot be made through chipmill, which makes none.
const CREATE: &str = "const {BlobServiceClient} = require('@azure/storage-blob');\
    BlobServiceClient.fromConnectionString(process.argv[1]).getContainerClient('box').create()\
    .catch(error => { console.error(error); process.exit(1) })";

/// Account and key of the emulator: the same everywhere, printed in its documentation.
const ACCOUNT: &str = "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=\
    Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;BlobEndpoint=";

/// Azurite, with a container `box`, where it was installed.
struct Azurite {
    process: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Azurite {
    fn start() -> Option<Self> {
        let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../azurite/node_modules");
        let program = modules.join(".bin/azurite-blob");
        if !program.exists() {
            println!("skipped: az:// ({INSTALL})");
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = Command::new(program)
            .args([
                "--silent",
                "--skipApiVersionCheck",
                "--blobPort",
                &port.to_string(),
                "--location",
            ])
            .arg(data.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "azurite did not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        let azurite = Self {
            process,
            port,
            _data: data,
        };
        let account = format!("{ACCOUNT}http://127.0.0.1:{port}/devstoreaccount1;");
        let mut create = Command::new("node");
        create
            .env("NODE_PATH", &modules)
            .args(["-e", CREATE, &account]);
        let output = create.output().unwrap();
        assert!(output.status.success(), "{}", texts(&output).1);
        Some(azurite)
    }

    fn run(&self, args: &[&str], code: i32) -> (String, String) {
        let mut command = chipmill(args);
        command.env("AZURE_STORAGE_USE_EMULATOR", "true");
        command.env(
            "AZURITE_BLOB_STORAGE_URL",
            format!("http://127.0.0.1:{}", self.port),
        );
        command.env("NO_PROXY", "127.0.0.1");
        let output = command.output().unwrap();
        let (out, err) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
        (out, err)
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn a_store_in_azures_emulator_is_written_by_racing_units_and_read_as_in_a_folder() {
    let Some(azurite) = Azurite::start() else {
        return;
    };
    let made = Made::raw(24);
    let (local, store) = (made.store(), "az://box/data/ben.zarr");
    let shards = ["--shard-patches", "8"];
    azurite.run(&with(&ingest(&made, &local), &shards), 0);
    let plan = with(&ingest(&made, store), &shards);
    azurite.run(&with(&["ingest", "plan"], &plan[1..]), 0);
    let work = ["ingest", "work", "--store", store, "--unit", "0,1,2"];
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| azurite.run(&work, 0));
        }
    });
    azurite.run(&["ingest", "finalize", "--store", store], 0);
    let run = |args: &[&str]| azurite.run(args, 0).0;
    assert_eq!(loaded(store, run), loaded(&local, run));
    assert_eq!(
        run(&["verify", store, "--json"]),
        run(&["verify", &local, "--json"])
    );
    let (_, refused) = azurite.run(&["inspect", "az://other/ben.zarr"], 2);
    assert!(refused.contains("no such bucket"), "{refused}");
    let other = with(&plan, &["--codec", "zstd"]);
    let (_, refused) = azurite.run(&other, 2);
    assert!(refused.contains("codec was lz4, now zstd"), "{refused}");
}
