//! The live report: what it answers, and what it refuses.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_report::serve::Live;

use crate::{compared, made};

/// Serves a folder while `ask` runs.
fn with_server(folder: &Path, ask: impl FnOnce(SocketAddr)) {
    let mut live = Live::bind(folder, 0).unwrap();
    let (address, stop) = (live.address(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let server = scope.spawn(|| live.run(&stop));
        // The server must stop even when an assertion fails.
        let asked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ask(address)));
        stop.store(true, Ordering::Relaxed);
        server.join().unwrap().unwrap();
        asked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

/// Status and body of one request, whose path is sent as it is.
fn send(address: SocketAddr, method: &str, path: &str, host: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    send(address, "GET", path, &address.to_string())
}

#[test]
fn a_comparison_at_work_is_served_and_drawn_again_when_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let experiment = compared::experiment().unwrap();
    compared::write_experiment(out, &experiment).unwrap();
    with_server(out, |address| {
        let (status, page) = get(address, "/");
        assert_eq!(status, 200);
        assert!(page.contains("0 of 72 runs") && page.contains("fetch(\"/digest\""));
        let digest = get(address, "/digest").1;
        let run = experiment.runs().next().unwrap();
        let state = chipmill_schemas::run::RunState::Finished;
        compared::write_run(out, &experiment, &run, state, u64::MAX).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        assert_ne!(get(address, "/digest").1, digest);
        assert!(get(address, "/").1.contains("1 of 72 runs"));
    });
    assert!(!out.join("report.html").exists(), "serving writes nothing");
}

#[test]
fn only_files_of_the_report_are_given_whatever_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("comparison");
    std::fs::create_dir_all(&out).unwrap();
    std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    compared::write_partial(&out, &compared::experiment().unwrap()).unwrap();
    std::fs::write(out.join("private.csv"), "secret").unwrap();
    with_server(&out, |address| {
        let (status, csv) = get(address, "/runs.csv");
        assert!(status == 200 && csv.contains("b32-simclr-s0"));
        assert_eq!(get(address, "/plots/curve-b32.svg").0, 200);
        assert_eq!(get(address, "/comparison.json?x=1").0, 200);
        for path in [
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/plots/../../secret.txt",
            "/private.csv",
            "/experiment.toml",
            "/runs/b32-simclr-s0/config.toml",
            "//etc/passwd",
            "/plots/",
        ] {
            let (status, answer) = get(address, path);
            assert!(
                status == 404 && !answer.contains("secret\n"),
                "{path}: {answer}"
            );
        }
    });
}

#[test]
fn other_methods_and_other_hosts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    made::write_whole(folder.path()).unwrap();
    with_server(folder.path(), |address| {
        let host = address.to_string();
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(send(address, method, "/", &host).0, 405, "{method}");
        }
        let head = send(address, "HEAD", "/", &host);
        assert!(head.0 == 200 && !head.1.contains("<html"));
        assert_eq!(send(address, "GET", "/", "example.org").0, 403);
        assert_eq!(send(address, "GET", "/", "localhost:1").0, 200);
    });
}

#[test]
fn a_run_is_served_and_a_broken_file_is_said_and_recovered_from() {
    let folder = tempfile::tempdir().unwrap();
    made::write_whole(folder.path()).unwrap();
    with_server(folder.path(), |address| {
        assert!(get(address, "/").1.contains("chipmill run"));
        assert_eq!(get(address, "/plots/loss.svg").0, 200);
        std::fs::write(folder.path().join("status.json"), "{").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        let (status, page) = get(address, "/");
        assert!(status == 500 && page.contains("status.json"), "{page}");
        made::write_whole(folder.path()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        assert_eq!(get(address, "/").0, 200);
    });
}

#[test]
fn a_folder_that_is_neither_and_a_port_that_is_taken_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let error = Live::bind(folder.path(), 0).unwrap_err().to_string();
    assert!(error.contains("is an empty folder"), "{error}");
    made::write_whole(folder.path()).unwrap();
    let first = Live::bind(folder.path(), 0).unwrap();
    let error = Live::bind(folder.path(), first.address().port()).unwrap_err();
    assert!(error.to_string().contains("cannot listen"), "{error}");
}
