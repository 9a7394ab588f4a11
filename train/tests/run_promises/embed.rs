//! Features in a file.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not recognise as such"
)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_train::TrainError;
use chipmill_train::embed::{Embed, Embedded};
use safetensors::SafeTensors;

use crate::world::{Recipe, World, config};

fn world() -> World {
    let world = World::with(Recipe {
        patches: 48,
        ..Recipe::default()
    });
    world.start("a", &config()).unwrap();
    world
}

fn embed(
    world: &World,
    rows: &[u32],
    out: &Path,
    batch_size: usize,
    stop: bool,
) -> Result<Embedded, TrainError> {
    let (run, stop) = (world.path("a"), AtomicBool::new(stop));
    let embed = Embed {
        store: &world.store,
        run: &run,
        device: "cpu",
        batch_size,
        stop: &stop,
    };
    let seen = AtomicBool::new(false);
    let result = embed.write(rows, out, |done| {
        assert!(done <= rows.len());
        seen.store(true, Ordering::Relaxed);
    });
    assert!(result.is_err() || seen.into_inner());
    result
}

fn words<const N: usize>(bytes: &[u8]) -> Vec<[u8; N]> {
    bytes
        .chunks_exact(N)
        .map(|b| b.try_into().unwrap())
        .collect()
}

fn features(path: &Path) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let features = file.tensor("features").unwrap();
    words(features.data())
        .into_iter()
        .map(f32::from_le_bytes)
        .collect()
}

#[test]
fn every_row_of_the_file_names_its_patch_and_the_file_is_what_the_format_says() {
    let world = world();
    let out = world.path("f.safetensors");
    let rows: Vec<u32> = (0..48).rev().step_by(2).collect();
    let written = embed(&world, &rows, &out, 16, false).unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let shape = file.tensor("features").unwrap().shape().to_vec();
    assert_eq!(shape, [rows.len(), written.dim]);
    let found = words(file.tensor("rows").unwrap().data());
    let found: Vec<u32> = found.into_iter().map(u32::from_le_bytes).collect();
    assert_eq!(found, rows);
    let ids = file.tensor("patch_id").unwrap();
    for (row, id) in rows.iter().zip(ids.data().chunks_exact(ids.shape()[1])) {
        let expected = world.store.table().id(*row as usize).unwrap().to_owned();
        assert_eq!(String::from_utf8_lossy(id).trim_end_matches('\0'), expected);
    }
}

#[test]
fn parquet_holds_the_same_features_and_ids_in_the_same_order() {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, UInt32Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    let world = world();
    let (a, b) = (world.path("f.safetensors"), world.path("f.parquet"));
    let rows: Vec<u32> = (0..48).rev().step_by(3).collect();
    let written = embed(&world, &rows, &a, 7, false).unwrap();
    assert_eq!(embed(&world, &rows, &b, 7, false).unwrap().dim, written.dim);
    let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&b).unwrap());
    let (mut found, mut values) = (Vec::new(), Vec::new());
    for batch in builder.unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let ids = batch.column(0).as_string::<i32>();
        found.extend(batch.column(1).as_primitive::<UInt32Type>().values());
        let lists = batch.column(2).as_fixed_size_list();
        values.extend(lists.values().as_primitive::<Float32Type>().values());
        for (id, row) in ids
            .iter()
            .zip(batch.column(1).as_primitive::<UInt32Type>().values())
        {
            assert_eq!(id, world.store.table().id(*row as usize));
        }
    }
    assert_eq!((found, values), (rows.clone(), features(&a)));
    let bytes = std::fs::read(&b).unwrap();
    embed(&world, &rows, &b, 7, false).unwrap();
    assert_eq!(std::fs::read(&b).unwrap(), bytes);
    let refused = embed(&world, &[10_000], &world.path("h.parquet"), 8, false);
    assert!(refused.is_err() && !world.path("h.parquet").exists());
}

#[test]
fn features_depend_neither_on_the_batch_size_nor_on_the_order_of_rows() {
    let world = world();
    let (a, b) = (world.path("a.safetensors"), world.path("b.safetensors"));
    let rows: Vec<u32> = (0..48).collect();
    let dim = embed(&world, &rows, &a, 16, false).unwrap().dim;
    let reversed: Vec<u32> = rows.iter().copied().rev().collect();
    embed(&world, &reversed, &b, 5, false).unwrap();
    let (a, b) = (features(&a), features(&b));
    for (x, y) in a.chunks_exact(dim).zip(b.rchunks_exact(dim)) {
        for (x, y) in x.iter().zip(y) {
            assert!((x - y).abs() <= 1e-5 * x.abs().max(1.0), "{x} and {y}");
        }
    }
}

#[test]
fn what_cannot_be_embedded_leaves_no_file() {
    let world = world();
    let out = world.path("h.safetensors");
    let refused = embed(&world, &[10_000], &out, 8, false);
    assert!(matches!(refused, Err(TrainError::NoSuchRow { .. })));
    let stopped = embed(&world, &[1, 2], &out, 8, true);
    assert!(matches!(stopped, Err(TrainError::Stopped)));
    let left = std::fs::read_dir(world.folder.path()).unwrap().flatten();
    let is_left = |name: std::ffi::OsString| name.to_string_lossy().starts_with("h.");
    assert!(!left.map(|e| e.file_name()).any(is_left));
}
