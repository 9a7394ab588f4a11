//! Real BigEarthNet patches, from `../shared/data`; skipped visibly where they are not at hand.

use std::process::Command;

use crate::support::{json, objects, run, shared, text};

const V2: &str = "data/bigearthnet-v2-400";

#[test]
fn the_official_v2_archive_is_streamed_with_its_labels_splits_and_flags() {
    let Some(data) = shared(V2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| text(&folder.path().join(name)).to_owned();
    let archive = text(&data.join("BigEarthNet-S2.tar.zst")).to_owned();
    let tables = [
        text(&data.join("metadata.parquet")).to_owned(),
        text(&data.join("metadata_for_patches_with_snow_cloud_or_shadow.parquet")).to_owned(),
    ];
    let ingest = |source: &str, store: &str| {
        let mut args = vec!["ingest", source, "--store", store, "--json"];
        tables.iter().for_each(|t| args.extend(["--metadata", t]));
        json(&args, 0)
    };
    let streamed = path("streamed");
    let summary = ingest(&archive, &streamed);
    assert_eq!(
        (&summary["patches"], &summary["missing"]),
        (&400.into(), &0.into()),
        "{summary}"
    );

    let counts = json(&["inspect", &streamed, "--json"], 0)["counts"].clone();
    let splits = &counts["splits"];
    assert_eq!(
        (&splits["train"], &splits["validation"], &splits["test"]),
        (&168.into(), &98.into(), &134.into())
    );
    assert_eq!(
        (
            &counts["countries"]["Austria"],
            &counts["countries"]["Finland"]
        ),
        (&323.into(), &31.into())
    );
    assert_eq!(
        (&counts["snow"]["yes"], &counts["cloud"]["yes"]),
        (&3.into(), &3.into())
    );
    assert_eq!(counts["labels_43"]["unknown"], 400);
    assert!(counts["labels_19"].get("unknown").is_none());
    assert_eq!(json(&["verify", &streamed, "--json"], 0)["patches"], 400);

    // The folder form of the same patches.
    let unpacked = Command::new("tar")
        .args([
            "--use-compress-program=unzstd",
            "-xf",
            &archive,
            "-C",
            text(folder.path()),
        ])
        .status();
    if !unpacked.is_ok_and(|s| s.success()) {
        println!("skipped: needs tar and zstd to unpack the archive (folder form)");
        return;
    }
    let from_folder = path("from_folder");
    ingest(&path("BigEarthNet-S2"), &from_folder);
    assert!(
        objects(&streamed) == objects(&from_folder),
        "the two forms give different objects"
    );
}

#[test]
fn the_v1_folder_is_stored_with_43_labels_and_the_derived_19() {
    let Some(source) = shared("data/bigearthnet-v1/BigEarthNet-v1.0") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let store = text(&folder.path().join("store")).to_owned();
    let summary = json(&["ingest", text(&source), "--store", &store, "--json"], 0);
    assert_eq!(summary["patches"], 11, "{summary}");
    let inspection = json(&["inspect", &store, "--json"], 0);
    let counts = &inspection["counts"];
    assert!(
        counts["labels_43"].get("unknown").is_none()
            && counts["labels_19"].get("unknown").is_none()
    );
    let of = |set: &str| -> u64 {
        counts[set]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_u64().unwrap())
            .sum()
    };
    assert!(of("labels_43") >= of("labels_19") && of("labels_19") > 0);
    run(&["verify", &store], 0);
}
