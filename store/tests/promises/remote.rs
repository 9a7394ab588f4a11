//! Stores at addresses: the bytes of a folder, fewer requests, and no step that may fail unseen.
//!
//! Here the object store is one in memory; `tests/remote` of the program has servers and networks.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;
use chipmill_store::fault::{self, Point, Word, memory_store};
use chipmill_store::{
    Creation, PatchPixels, S1Pixels, StoreReader, StoreWriter, create_object, object_exists,
    object_names, read_object, remove_object, use_cache, verify, write_object,
};

use crate::fixture::{CODECS, Fixture, files};

/// Puts the files of a store at an address.
fn copy(from: &Path, to: &Path) {
    for (name, bytes) in files(from) {
        write_object(&to.join(name), &bytes).unwrap();
    }
}

/// Every pixel of a store.
fn all_pixels(store: &StoreReader) -> Result<Vec<PatchPixels>, chipmill_store::ReadError> {
    let patches = u32::try_from(store.len()).unwrap();
    let read = |index| {
        let mut pixels = PatchPixels::zeroed();
        store.read(index, &Resolution::ALL, &mut pixels)?;
        Ok(pixels)
    };
    (0..patches).map(read).collect()
}

#[test]
fn a_store_at_an_address_is_read_verified_and_damaged_like_a_folder() {
    for codec in CODECS {
        let fixture = Fixture::new(7, 3, codec).with_s1();
        let dir = tempfile::tempdir().unwrap();
        let (local, far) = (dir.path().join("store"), memory_store("read", Word::Kept));
        fixture.write(&local);
        copy(&local, &far);
        let (here, there) = (
            StoreReader::open(&local).unwrap(),
            StoreReader::open(&far).unwrap(),
        );
        assert_eq!(there.digest(), here.digest());
        assert_eq!(there.table().to_rows(), here.table().to_rows());
        assert!(all_pixels(&there).unwrap() == fixture.pixels);
        let (mut a, mut b) = (S1Pixels::absent(), S1Pixels::absent());
        for index in 0..7 {
            assert_eq!(
                here.read_s1(index, &mut a).unwrap(),
                there.read_s1(index, &mut b).unwrap()
            );
            let bits = |p: &S1Pixels| p.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&a), bits(&b));
        }
        let (report, expected) = (verify(&far, 2).unwrap(), verify(&local, 2).unwrap());
        assert!(report.ok, "{:?}", report.defects);
        assert_eq!(report.bytes, expected.bytes);
        // One flipped bit, and one object gone.
        let shard = far.join("20m/c.1.0.0.0");
        let mut bytes = read_object(&shard).unwrap();
        bytes[1000] ^= 1;
        write_object(&shard, &bytes).unwrap();
        remove_object(&far.join("10m/c.0.0.0.0")).unwrap();
        let report = verify(&far, 2).unwrap();
        let named: BTreeSet<&str> = report.defects.iter().map(|d| d.object.as_str()).collect();
        assert_eq!(named, BTreeSet::from(["20m/c.1.0.0.0", "10m/c.0.0.0.0"]));
    }
}

#[test]
fn a_store_written_to_an_address_has_the_bytes_of_a_folder_and_opens_when_it_is_whole() {
    let fixture = Fixture::new(40, 16, Codec::None).with_s1();
    let dir = tempfile::tempdir().unwrap();
    let (local, far) = (dir.path().join("store"), memory_store("write", Word::Kept));
    fixture.write(&local);
    assert!(!object_exists(&far.join("zarr.json")).unwrap());
    assert!(StoreReader::open(&far).is_err());
    fixture.write(&far);
    for (name, bytes) in files(&local) {
        assert!(read_object(&far.join(&name)).unwrap() == bytes, "{name}");
    }
    let mut names = object_names(&far.join("10m")).unwrap();
    names.sort();
    assert_eq!(names, ["c.0.0.0.0", "c.1.0.0.0", "c.2.0.0.0", "zarr.json"]);
    assert!(object_names(&far).unwrap().contains(&"labels".to_owned()));
}

#[test]
fn an_object_of_many_parts_is_there_when_it_is_complete_and_given_up_it_never_is() {
    // Each shard is longer than a part of an upload.
    let fixture = Fixture::new(120, 120, Codec::None);
    let far = memory_store("parts", Word::Kept);
    let writer = StoreWriter::new(&far, fixture.shape).unwrap();
    let encoder = chipmill_store::PatchEncoder::new(Codec::None);
    let encoded: Vec<_> = fixture
        .pixels
        .iter()
        .map(|p| encoder.encode(p).unwrap())
        .collect();
    let mut shard = writer.begin_shard(0).unwrap();
    encoded.iter().for_each(|e| shard.push(e).unwrap());
    drop(shard);
    let path = far.join("10m/c.0.0.0.0");
    assert!(!object_exists(&path).unwrap());
    let records = writer.write_shard(0, &encoded).unwrap();
    let bytes = read_object(&path).unwrap();
    assert!(bytes.len() > 8 << 20);
    assert_eq!(records[0].digest, chipmill_store::digest(&bytes));
}

#[test]
fn patches_of_a_batch_are_fetched_with_few_requests() {
    let fixture = Fixture::new(64, 16, Codec::Lz4);
    let far = memory_store("few", Word::Kept);
    fixture.write(&far);
    let store = StoreReader::open(&far).unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let _armed = fault::arm(&far, move |point, _| {
        counted.fetch_add(usize::from(point == Point::Request), SeqCst);
        Ok(())
    });
    let rows: Vec<u32> = (0..64).rev().collect();
    let fetched = store.fetch(&rows, &Resolution::ALL).unwrap();
    // Four shards of three groups: an index and the chunks of each.
    assert_eq!(requests.swap(0, SeqCst), 4 * 3 * 2);
    let again = store.fetch(&rows, &Resolution::ALL).unwrap();
    assert_eq!(requests.swap(0, SeqCst), 4 * 3);
    assert_eq!(again.bytes(), fetched.bytes());
    let mut pixels = PatchPixels::zeroed();
    for row in rows {
        let read = store.read_fetched(Some(&fetched), row, &Resolution::ALL, &mut pixels);
        read.unwrap();
        assert!(pixels == fixture.pixels[row as usize]);
    }
    assert_eq!(requests.load(SeqCst), 0);
}

/// Lets the Nth request or change below a folder fail, for all N, until one run needs fewer.
fn at_every_step(far: &Path, mut run: impl FnMut() -> Result<(), String>) -> usize {
    for n in 0.. {
        let step = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&step);
        let armed = fault::arm(far, move |_, _| match counted.fetch_add(1, SeqCst) {
            step if step == n => Err(io::Error::other("made to fail")),
            _ => Ok(()),
        });
        let result = run();
        drop(armed);
        let has_failed = step.load(SeqCst) > n;
        match result {
            Ok(()) if !has_failed => return n,
            Ok(()) => {}
            Err(text) => assert!(text.contains("made to fail"), "step {n}: {text}"),
        }
    }
    unreachable!("a run has an end")
}

#[test]
fn a_request_that_fails_while_reading_is_an_error_or_nothing_is_wrong() {
    let fixture = Fixture::new(10, 4, Codec::Lz4);
    let far = memory_store("failing", Word::Kept);
    fixture.write(&far);
    let steps = at_every_step(&far, || {
        let chain = |e: &dyn std::error::Error| {
            let mut text = e.to_string();
            let mut cause = e.source();
            while let Some(e) = cause {
                text += &format!(": {e}");
                cause = e.source();
            }
            text
        };
        let store = StoreReader::open(&far).map_err(|e| chain(&e))?;
        let rows: Vec<u32> = (0..10).collect();
        let fetched = store.fetch(&rows, &Resolution::ALL);
        let mut pixels = PatchPixels::zeroed();
        for row in rows {
            let read = store.read_fetched(fetched.as_ref(), row, &Resolution::ALL, &mut pixels);
            read.map_err(|e| chain(&e))?;
            assert!(pixels == fixture.pixels[row as usize]);
        }
        Ok(())
    });
    assert!(steps >= 15, "{steps}");
}

#[test]
fn plain_servers_are_for_reading_alone() {
    let path = Path::new("https://localhost/ben.zarr/zarr.json");
    let refused = write_object(path, b"").unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ReadOnlyFilesystem);
    assert!(refused.to_string().contains("for reading alone"));
}

#[test]
fn of_many_creations_one_wins_and_a_store_that_lies_can_be_told() {
    let far = memory_store("create", Word::Kept);
    let winners = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..16u8 {
            let (far, winners) = (&far, &winners);
            scope.spawn(move || {
                if create_object(&far.join("plan"), &[i; 100]).unwrap() == Creation::Created {
                    winners.lock().unwrap().push(i);
                }
            });
        }
    });
    let winners = winners.into_inner().unwrap();
    assert_eq!(winners.len(), 1);
    assert_eq!(read_object(&far.join("plan")).unwrap(), [winners[0]; 100]);
    let lying = memory_store("lying", Word::Broken);
    for i in 0..2u8 {
        let created = create_object(&lying.join("plan"), &[i]).unwrap();
        assert_eq!(created, Creation::Created);
    }
}

/// Alone in its process where tests run in processes of their own; the cache is the whole process's.
#[test]
fn what_was_read_once_comes_from_the_cache_and_a_damaged_cache_is_noticed() {
    let fixture = Fixture::new(64, 16, Codec::Lz4);
    let far = memory_store("cached", Word::Kept);
    fixture.write(&far);
    let dir = tempfile::tempdir().unwrap();
    use_cache(dir.path(), 64 << 20).unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let _armed = fault::arm(&far, move |point, _| {
        counted.fetch_add(usize::from(point == Point::Request), SeqCst);
        Ok(())
    });
    let read = || {
        let store = StoreReader::open(&far).unwrap();
        assert!(all_pixels(&store).unwrap() == fixture.pixels);
        requests.swap(0, SeqCst)
    };
    let first = read();
    assert!(first > 12, "{first}");
    // The root alone: it says what the cache may be asked for.
    assert_eq!(read(), 1);
    let path = dir.path().join("blocks.cache");
    let mut bytes = std::fs::read(&path).unwrap();
    let mut flipped = 0;
    for byte in bytes
        .iter_mut()
        .skip(4096)
        .step_by(4099)
        .filter(|b| **b != 0)
    {
        *byte ^= 1;
        flipped += 1;
    }
    assert!(flipped > 100, "{flipped}");
    std::fs::write(&path, bytes).unwrap();
    assert!(read() > 1);
    assert_eq!(read(), 1);
    assert!(std::fs::metadata(&path).unwrap().len() <= 64 << 20);
    // Another store in the same place has other digests.
    let other = Fixture::new(20, 16, Codec::Zstd);
    for name in ["zarr.json", "10m/c.2.0.0.0", "10m/c.3.0.0.0"] {
        remove_object(&far.join(name)).unwrap();
    }
    other.write(&far);
    let store = StoreReader::open(&far).unwrap();
    assert!(all_pixels(&store).unwrap() == other.pixels);
    // And verification never looks into the cache.
    requests.store(0, SeqCst);
    assert!(verify(&far, 1).unwrap().ok);
    assert!(requests.load(SeqCst) > 10);
}
