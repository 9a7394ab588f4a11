//! What `chipmill bench` promises: the figures, their machine, and that they are of whole reads.

use crate::support::{Made, json, run};

const QUICK: [&str; 4] = ["--seconds", "0.05", "--repeats", "2"];

fn read(store: &str, more: &[&str]) -> serde_json::Value {
    let command = ["bench", "read", "--store", store, "--json"];
    json(&[&command[..], &QUICK[..], more].concat(), 0)
}

#[test]
fn bench_read_tells_rates_rounds_and_machine() {
    let made = Made::v1(40);
    let store = made.store();
    let measured = read(
        &store,
        &["--threads", "2", "--order", "random", "--seed", "5"],
    );
    for rate in [
        "chips_per_s",
        "chips_per_cpu_s",
        "bytes_per_s",
        "stored_bytes_per_s",
    ] {
        assert!(measured[rate].as_f64().unwrap() > 0.0, "{rate}: {measured}");
    }
    assert_eq!(measured["codec"], "lz4");
    assert_eq!(
        (&measured["threads"], &measured["seed"]),
        (&2.into(), &5.into())
    );
    assert_eq!(measured["patches"], 40);
    assert_eq!(measured["rounds"].as_array().unwrap().len(), 2);
    assert!(measured["machine"]["cores"].as_u64().unwrap() > 0);
    assert!(!measured["machine"]["cpu"].as_str().unwrap().is_empty());
    let command = ["bench", "read", "--store", &store, "--order", "sequential"];
    let (text, _) = run(&[&command[..], &QUICK[..]].concat(), 0);
    assert!(text.contains("chips per CPU-second"), "{text}");
    assert!(text.contains("Its parts alone take"), "{text}");
    let long = |line: &&str| !line.contains(&store) && line.chars().count() > 80;
    assert_eq!(text.lines().find(long), None);
}

#[test]
fn bench_read_tells_what_its_parts_cost_alone() {
    let made = Made::v1(12);
    let whole = read(&made.store(), &[]);
    let floor = &whole["floor"];
    for part in ["stored_us", "decode_us", "widen_us"] {
        assert!(floor[part].as_f64().unwrap() > 0.0, "{part}: {floor}");
    }
    assert!(whole["floor_reached"].as_f64().unwrap() > 0.0, "{whole}");
    // Two threads share a memory, and half the way has another floor.
    for other in [["--threads", "2"], ["--stage", "pixels"]] {
        assert!(read(&made.store(), &other)["floor"].is_null());
    }
}

#[test]
fn bench_read_maps_uncompressed_stores_and_refuses_others() {
    let made = Made::v1(8);
    let (source, plain) = (made.path("raw/BigEarthNet-v1.0"), made.path("plain"));
    let ingest = ["ingest", &source, "--store", &plain, "--codec", "none"];
    run(&ingest, 0);
    let measured = read(&plain, &["--map"]);
    assert!(measured["chips_per_cpu_s"].as_f64().unwrap() > 0.0);
    assert_eq!(measured["map"], true);
    assert!(measured["floor"].is_null(), "{measured}");
    let (_, error) = run(&["bench", "read", "--store", &made.store(), "--map"], 2);
    assert!(error.contains("codec lz4"), "{error}");
    for other in [&["--drop-cache"][..], &["--stage", "pixels"]] {
        let command = ["bench", "read", "--store", &plain, "--map"];
        run(&[&command[..], other].concat(), 2);
    }
}

#[test]
fn with_drop_cache_every_round_reads_every_patch_once() {
    let made = Made::v1(40);
    let measured = read(
        &made.store(),
        &["--drop-cache", "--threads", "8", "--batch", "7"],
    );
    for round in measured["rounds"].as_array().unwrap() {
        assert_eq!(round["chips"], 40, "{measured}");
    }
}

#[test]
fn bench_read_fails_on_a_damaged_chunk_and_names_the_patch() {
    let made = Made::v1(8);
    let shard = made.path("store/10m/c.0.0.0.0");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&shard, bytes).unwrap();
    let (_, error) = run(&["bench", "read", "--store", &made.store()], 2);
    assert!(
        error.contains("S2A_MSIL2A") || error.contains("S2B_MSIL2A"),
        "{error}"
    );
    assert!(error.contains("crc32c"), "{error}");
}

#[test]
fn a_large_store_without_pixels_is_sound_and_opens_with_every_column_filled() {
    let made = tempfile::tempdir().unwrap();
    let store = made.path().join("large").display().to_string();
    run(&["bench", "large", &store, "--patches", "8200"], 0);
    run(&["verify", &store], 0);
    let measured = json(
        &[
            "bench",
            "open",
            "--store",
            &store,
            "--repeats",
            "1",
            "--json",
        ],
        0,
    );
    assert_eq!(
        (&measured["patches"], &measured["shards"]),
        (&8200.into(), &27.into())
    );
    assert!(measured["open_s"].as_f64().unwrap() > 0.0);
    let counts = &json(&["inspect", &store, "--json"], 0)["counts"];
    for column in ["splits", "countries", "snow", "cloud"] {
        assert_eq!(
            counts[column]["unknown"],
            serde_json::Value::Null,
            "{column}"
        );
    }
}
