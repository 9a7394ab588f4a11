//! What `chipmill bench augment` and `bench loader` promise: figures that fit together, and their machine.

use crate::support::{Made, json, run};

const QUICK: [&str; 4] = ["--seconds", "0.01", "--repeats", "1"];

fn augment(more: &[&str]) -> serde_json::Value {
    json(
        &[&["bench", "augment", "--json"][..], &QUICK[..], more].concat(),
        0,
    )
}

fn number(value: &serde_json::Value, key: &str) -> f64 {
    let number = value[key].as_f64();
    assert!(number.is_some_and(|n| n > 0.0), "{key}: {value}");
    number.unwrap()
}

#[test]
fn bench_augment_tells_rates_operations_and_a_roofline_that_adds_up() {
    let measured = augment(&[]);
    for key in [
        "views_per_s",
        "views_per_cpu_s",
        "us_per_view",
        "ns_per_normal",
    ] {
        number(&measured, key);
    }
    assert_eq!(measured["view_bytes"], 12 * 120 * 120 * 4);
    assert_eq!(measured["operations"].as_array().unwrap().len(), 8);
    let (line, memory) = (&measured["roofline"], &measured["bandwidth"]);
    assert_eq!(line["read_bytes"], 160_000);
    let us = |bytes: f64, rate: &str| 1e6 * bytes / number(memory, rate);
    let memory_us = us(160_000.0, "read_bytes_per_s") + us(691_200.0, "write_bytes_per_s");
    let compute_us = 1e6 * number(line, "operations") / number(line, "peak_operations_per_s");
    for (key, expected) in [
        ("memory_us", memory_us),
        ("compute_us", compute_us),
        ("us_per_view", memory_us + compute_us),
        (
            "reached",
            (memory_us + compute_us) / number(&measured, "us_per_view"),
        ),
    ] {
        assert!((number(line, key) / expected - 1.0).abs() < 1e-6, "{key}");
    }
    assert!(measured["machine"]["cores"].as_u64().unwrap() > 0);
}

#[test]
fn operations_are_counted_alike_on_every_path_and_plain_code_is_called_slow() {
    let quick = ["--side", "16", "--bands", "rgb", "--no-operations"];
    let count = |simd: &str| {
        let measured = augment(&[&quick[..], &["--simd", simd]].concat());
        number(&measured["roofline"], "operations")
    };
    assert!((count("auto") - count("scalar")).abs() < 1e-9);
    let command = ["bench", "augment", "--simd", "scalar"];
    let (text, _) = run(&[&command[..], &QUICK[..], &quick[..]].concat(), 0);
    for part in [
        "The least that a view could take",
        "Reached: ",
        "plain code",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.lines().all(|line| line.chars().count() <= 100),
        "{text}"
    );
}

#[test]
fn bench_loader_tells_rates_memory_and_bottleneck_and_digests_are_the_same_for_any_workers() {
    let made = Made::v1(40);
    let store = made.store();
    let loader = |workers: &str| {
        let size = [
            "--batch-size",
            "8",
            "--batches",
            "3",
            "--repeats",
            "1",
            "--side",
            "32",
        ];
        let command = [
            "bench",
            "loader",
            "--store",
            &store,
            "--json",
            "--digest",
            "--workers",
        ];
        json(&[&command[..], &[workers], &size[..]].concat(), 0)
    };
    let measured = loader("1");
    for key in [
        "views_per_s",
        "views_per_cpu_s",
        "chips_per_s",
        "bytes_in_flight_max",
        "write_share",
    ] {
        number(&measured, key);
    }
    for key in ["bottleneck", "simd"] {
        assert!(measured[key].is_string(), "{key}: {measured}");
    }
    let share = number(&measured, "views_per_s") * number(&measured, "view_bytes")
        / number(&measured["bandwidth"], "write_bytes_per_s");
    assert!((number(&measured, "write_share") / share - 1.0).abs() < 1e-6);
    let two = loader("2");
    assert_eq!(two["bandwidth"]["threads"], 2);
    assert_eq!(two["digest"], measured["digest"]);
}
