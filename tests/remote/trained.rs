//! Training from a store at an address: the same losses, features and scores as from a folder.

use std::path::Path;

use serde_json::Value;

use super::{Afar, STORE};
use crate::support::Made;

/// What of a run may not depend on where its store lies: losses by step.
fn losses(run: &str) -> Vec<(Value, Value)> {
    let text = std::fs::read_to_string(Path::new(run).join("metrics.jsonl")).unwrap();
    let rows = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| (row["step"].clone(), row["loss"].clone()))
        .collect()
}

/// Everything that a store is trained on for, from this one.
fn trained(
    afar: &Afar,
    made: &Made,
    store: &str,
    name: &str,
) -> (Vec<(Value, Value)>, Vec<u8>, Value) {
    let (run, features, cache) = (
        made.path(name),
        made.path(&format!("{name}.safetensors")),
        made.path("cache"),
    );
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/configs/smoke.toml");
    let from = ["--store", store, "--cache", &cache];
    let call = |args: &[&str]| afar.run(&[args, &from[..]].concat(), 0).0;
    call(&["pretrain", "--config", config, "--run", &run]);
    call(&["embed", "--run", &run, "--out", &features]);
    let probe = call(&[
        "probe", "--run", &run, "--task", "notes4", "--split", "i_mod_3", "--json",
    ]);
    let scores: Value = serde_json::from_str(&probe).unwrap();
    (
        losses(&run),
        std::fs::read(&features).unwrap(),
        scores["entries"].clone(),
    )
}

#[test]
fn a_run_from_a_store_at_an_address_has_the_losses_features_and_scores_of_one_from_a_folder() {
    let Some(afar) = Afar::start() else { return };
    let made = afar.ingested(160);
    let local = trained(&afar, &made, &made.store(), "near");
    assert!(local.0.len() > 2, "{:?}", local.0);
    let far = trained(&afar, &made, STORE, "far");
    assert_eq!(far.0, local.0);
    assert_eq!(far.2, local.2);
    assert!(far.1 == local.1, "features differ");
}
