//! Chunks that are corrupt or gone.

use super::*;

/// Flips one bit in the middle of an object.
fn corrupt(root: &Path, shard: &str) -> Result<(), Box<dyn Error>> {
    let path = root.join(shard);
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    std::fs::write(path, bytes)?;
    Ok(())
}

#[test]
fn a_corrupt_chunk_is_an_error_in_its_place_that_names_the_patch() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let sequential = LoaderSpec {
        order: Order::Sequential,
        epochs: Some(1),
        ..spec()
    };
    let whole = all(&reader, sequential.clone());
    let shard = chipmill_store::layout::shard_object(Resolution::M20, 1);
    corrupt(reader.path(), &shard).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();

    let mut loader = Loader::start(reader.clone(), sequential.clone()).unwrap();
    let mut failures = Vec::new();
    for expected in &whole {
        let before = loader.state();
        match loader.next().unwrap() {
            Ok(batch) => assert_eq!(batch.patches(), expected.1),
            Err(LoaderError::Read { at, row, patch, .. }) => {
                assert_eq!((at.epoch, at.batch), expected.0);
                assert!(expected.1.contains(&row));
                assert_eq!(patch, reader.table().id(row as usize).unwrap());
                assert_eq!(loader.state(), before, "an error is not consumed");
                failures.push(row);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(loader.next().is_none());
    let [row] = failures[..] else {
        panic!("one flipped bit spoils one batch: {failures:?}")
    };
    assert!((16..32).contains(&row), "the second shard holds row {row}");

    // Bands that do not need the damaged group are not disturbed.
    let ten_metre = LoaderSpec {
        view: ViewConfig {
            bands: BandChoice::Named(NamedBands::TenMetre),
            ..sequential.view.clone()
        },
        ..sequential
    };
    assert_eq!(all(&reader, ten_metre).len(), whole.len());
}

#[test]
fn a_corrupt_chunk_is_skipped_when_asked_for_and_batches_stay_whole() {
    let folder = tempfile::tempdir().unwrap();
    let reader = store(&folder);
    let shard = chipmill_store::layout::shard_object(Resolution::M20, 1);
    corrupt(reader.path(), &shard).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();
    let skipping = LoaderSpec {
        on_corrupt: OnCorrupt::Skip,
        ..spec()
    };
    let expected = all(&reader, skipping.clone());
    assert_eq!(expected.len(), 16);
    let mut loader = Loader::start(
        reader.clone(),
        LoaderSpec {
            workers: 5,
            ..skipping.clone()
        },
    )
    .unwrap();
    assert!(contents(&mut loader, usize::MAX) == expected);
    let stats = loader.stats();
    let [damaged] = &stats.damaged[..] else {
        panic!("one flipped bit: {:?}", stats.damaged)
    };
    assert_eq!(stats.replaced, 2, "once an epoch");
    assert_eq!(
        damaged.patch,
        reader.table().id(damaged.row as usize).unwrap()
    );
    assert!(
        damaged
            .reason
            .contains("the chunk is corrupt: its crc32c is"),
        "{}",
        damaged.reason
    );
    assert!(
        expected
            .iter()
            .all(|content| !content.1.contains(&damaged.row))
    );

    // A shard that is gone damages all its patches; half the selection is left to take their place.
    std::fs::remove_file(reader.path().join(&shard)).unwrap();
    let reader = StoreReader::open(reader.path()).unwrap();
    let mut loader = Loader::start(reader, skipping).unwrap();
    assert_eq!(loader.by_ref().map(Result::unwrap).count(), 16);
    assert_eq!(loader.stats().replaced, 2 * 16);
    assert_eq!(loader.stats().damaged.len(), 16);
}
