//! The stored corpus of every fuzz target, through the same functions.
//!
//! `fuzz/corpus/<target>` holds a few seeds that this test makes (with `CHIPMILL_WRITE_SEEDS=1`) and all
//! that fuzzing ever found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chipmill_ingest::fuzzing as ingest;
use chipmill_schemas::band::Band;
use chipmill_store::{EncodedPatch, PatchEncoder, PatchPixels, fuzzing as store};

use crate::support::*;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 8] = [
    ("archive", ingest::archive),
    ("histograms", ingest::histograms),
    ("label_file", ingest::label_file),
    ("patch_id", ingest::patch_id),
    ("root", store::root),
    ("shard_index", store::shard_index),
    ("spooled", store::spooled),
    ("tiff", ingest::tiff),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// Well-formed inputs, text or a few KB.
fn seeds() -> BTreeMap<&'static str, Vec<u8>> {
    let dir = memory_dir();
    let folder = dir.path().join("folder");
    write_folder(&folder, &v2(1));
    let options = options(&folder, &dir.path().join("store"));
    run(&options).unwrap();
    let units = options.store.join(".ingest/units");
    let name = files(&units)
        .into_iter()
        .find(|p| p.extension().is_some_and(|e| e == "hist"));
    let mut small = Patch::v2(0);
    small.files.retain(|(name, _)| name.ends_with("_B01.tif"));
    let index: Vec<u8> = [0u64, 50, 50, 60]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect();
    let ids = [Patch::v1(7).id, Patch::v2(7).id];
    BTreeMap::from([
        ("archive", tar(&[small])),
        ("histograms", fs::read(units.join(name.unwrap())).unwrap()),
        ("label_file", Patch::v1(0).files[12].1.clone()),
        ("patch_id", ids.join("\n").into_bytes()),
        (
            "root",
            manifest_alone(&fs::read(options.store.join("zarr.json")).unwrap()),
        ),
        ("shard_index", [vec![3, 2], index].concat()),
        ("spooled", spooled().to_bytes()),
        ("tiff", Patch::v2(0).band(Band::B01).clone()),
    ])
}

fn spooled() -> EncodedPatch {
    let encoder = PatchEncoder::new(chipmill_schemas::manifest::Codec::Zstd);
    encoder.encode(&PatchPixels::zeroed()).unwrap()
}

/// The root's metadata without the consolidated ones, which are most of it, and with one band.
fn manifest_alone(root: &[u8]) -> Vec<u8> {
    let mut root: serde_json::Value = serde_json::from_slice(root).unwrap();
    root.as_object_mut()
        .unwrap()
        .remove("consolidated_metadata");
    let bands = &mut root["attributes"]["chipmill"]["statistics"][0]["bands"];
    bands.as_array_mut().unwrap().truncate(1);
    let objects = &mut root["attributes"]["chipmill_integrity"]["objects"];
    objects.as_array_mut().unwrap().truncate(2);
    serde_json::to_vec_pretty(&root).unwrap()
}

#[test]
fn every_input_that_fuzzing_kept_is_still_handled() {
    let corpus = fuzz().join("corpus");
    if std::env::var_os("CHIPMILL_WRITE_SEEDS").is_some() {
        for (target, bytes) in seeds() {
            fs::create_dir_all(corpus.join(target)).unwrap();
            fs::write(corpus.join(target).join("seed"), bytes).unwrap();
        }
    }
    let mut replayed = 0;
    for (name, target) in TARGETS {
        let kept = files(&corpus.join(name));
        assert!(!kept.is_empty(), "fuzz/corpus/{name} is empty");
        for file in kept {
            let bytes = fs::read(corpus.join(name).join(&file)).unwrap();
            assert!(
                bytes.len() <= 8 << 10,
                "{name}/{file:?} has {} bytes",
                bytes.len()
            );
            target(&bytes);
            replayed += 1;
        }
    }
    println!("{replayed} inputs replayed");
}

#[test]
fn seeds_cut_short_and_with_flipped_bits_are_handled_by_every_target() {
    let seeds = seeds();
    for (name, target) in TARGETS {
        let seed = &seeds[name];
        target(seed);
        for at in (0..seed.len()).step_by(seed.len().div_ceil(300)) {
            target(&seed[..at]);
            let mut flipped = seed.clone();
            flipped[at] ^= 1 << (at % 8);
            target(&flipped);
        }
    }
}

/// A counter-based generator: round `n` always makes the same input.
struct Draws(u64);

impl Draws {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((x ^ x >> 31) % limit.max(1) as u64).unwrap()
    }
}

/// Flips, overwrites, removes, repeats: one to eight times.
fn mutated(seed: &[u8], round: u64) -> Vec<u8> {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'0', b'"', b'_'];
    let mut draws = Draws(round.wrapping_mul(0xD134_2543_DE82_EF95));
    let mut bytes = seed.to_vec();
    for _ in 0..=draws.below(8) {
        if bytes.is_empty() {
            break;
        }
        let at = draws.below(bytes.len());
        let end = (at + 1 + draws.below(16)).min(bytes.len());
        match draws.below(4) {
            0 => bytes[at] ^= 1 << draws.below(8),
            1 => bytes[at] = TELLING[draws.below(TELLING.len())],
            2 => drop(bytes.drain(at..end)),
            _ => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    bytes
}

#[test]
fn mutated_seeds_are_handled_by_every_target() {
    let seeds = seeds();
    let rounds = if is_long_campaign() { 1_000_000 } else { 500 };
    for (name, target) in TARGETS {
        for round in 0..rounds {
            let bytes = mutated(&seeds[name], round);
            let handled = std::panic::catch_unwind(|| target(&bytes));
            assert!(handled.is_ok(), "{name}, round {round}");
        }
    }
    println!("{rounds} inputs for each of {} targets", TARGETS.len());
}

#[test]
fn every_fuzz_target_is_replayed() {
    let names = files(&fuzz().join("fuzz_targets"));
    let mut names: Vec<_> = names
        .iter()
        .map(|p| p.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, TARGETS.map(|(name, _)| name));
}
