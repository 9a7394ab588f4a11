//! Archives made to do harm: nothing is written outside the store, and memory stays bounded.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use chipmill_schemas::band::Band;
use tar::{Builder, EntryType, Header};

use crate::support::*;

/// Most bytes of a file that are read.
const FILE_CAP: u64 = 256 << 10;

/// A header whose name is taken as it is: the builder would refuse a hostile one.
fn header(name: &str, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

/// The archive of patches without its end, so that members can follow.
fn open_ended(patches: &[Patch]) -> Vec<u8> {
    let mut bytes = tar(patches);
    bytes.truncate(bytes.len() - 1024);
    bytes
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.sort();
    found
}

#[test]
fn members_that_lead_elsewhere_write_nothing_and_are_noted() {
    let dir = memory_dir();
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    let id = Patch::v2(7).id;
    let mut hostile = Builder::new(Vec::new());
    for (name, kind) in [("link", EntryType::Symlink), ("hard", EntryType::Link)] {
        let mut link = header(name, kind, 0);
        link.set_link_name(target).unwrap();
        link.set_cksum();
        hostile.append(&link, io::empty()).unwrap();
        // Through the link: its own name is harmless, and so must be what becomes of it.
        let through = header(&format!("{name}/{id}"), EntryType::Regular, 3);
        hostile.append(&through, &b"bad"[..]).unwrap();
    }
    for (name, kind) in [
        ("../outside/a", EntryType::Regular),
        ("x/../../outside/b", EntryType::Regular),
        ("/dev/shm/chipmill-c", EntryType::Regular),
        ("d", EntryType::Char),
        ("e", EntryType::Block),
        ("f", EntryType::Fifo),
    ] {
        let size = if kind == EntryType::Regular { 3 } else { 0 };
        let content = &b"bad"[..usize::try_from(size).unwrap()];
        hostile.append(&header(name, kind, size), content).unwrap();
    }
    let mut long = Header::new_gnu();
    long.set_size(3);
    let name = format!("{}/x", "n/".repeat(2_500));
    hostile.append_data(&mut long, name, &b"bad"[..]).unwrap();
    let mut bytes = open_ended(&v2(2));
    bytes.extend(hostile.into_inner().unwrap());
    let path = dir.path().join("a.tar");
    fs::write(&path, bytes).unwrap();
    let before = all_files(dir.path());
    let (summary, _) = stored(&options(&path, &dir.path().join("store")));
    assert_eq!((summary.patches, summary.quarantined), (2, 0));
    let notes = summary.notes.join("\n");
    for note in [
        "name with `..`: 2",
        "absolute name: 1",
        "name longer than 4096 bytes: 1",
        "not plain files (links, devices, sparse): 5",
        "files not understood: 2",
    ] {
        assert!(notes.contains(note), "{note} is not in\n{notes}");
    }
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert_eq!(all_files(dir.path()), before);
    assert!(!Path::new("/dev/shm/chipmill-c").exists());
}

#[test]
fn a_million_members_that_are_none_are_passed_over_in_bounded_memory() {
    let entries = if is_long_campaign() {
        1_000_000
    } else {
        50_000
    };
    let peak = peak_of(|file| {
        let mut archive = zstd::Encoder::new(file, 1).unwrap();
        archive.write_all(&open_ended(&v2(1))).unwrap();
        for i in 0..entries {
            let name = format!("junk/{i}");
            let header = header(&name, EntryType::Regular, 0);
            archive.write_all(header.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
    });
    println!("{entries} members: {} MiB at most", peak >> 20);
    assert!(peak < 200 << 20, "{} MiB", peak >> 20);
}

/// More than 1,000 bytes for one: a giant member, and patches whose every file is as large as is read.
#[test]
fn a_bomb_of_either_compression_is_defused_in_bounded_memory() {
    let size = if is_long_campaign() {
        4u64 << 30
    } else {
        100 << 20
    };
    let giant = |out: &mut dyn Write| {
        let mut builder = Builder::new(out);
        let id = Patch::v2(0).id;
        let mut large = Header::new_gnu();
        large.set_size(size);
        let name = format!("{id}/{id}_{}.tif", Band::B01);
        let zeros = io::repeat(0).take(size);
        builder.append_data(&mut large, name, zeros).unwrap();
        for patch in v2(40).split_off(1) {
            for (name, _) in &patch.files {
                let mut large = Header::new_gnu();
                large.set_size(FILE_CAP);
                let name = format!("{}/{name}", patch.id);
                let zeros = io::repeat(0).take(FILE_CAP);
                builder.append_data(&mut large, name, zeros).unwrap();
            }
        }
        for (name, bytes) in &Patch::v2(50).files {
            let mut header = Header::new_gnu();
            header.set_size(bytes.len() as u64);
            let name = format!("{}/{name}", Patch::v2(50).id);
            builder.append_data(&mut header, name, &bytes[..]).unwrap();
        }
        builder.finish().unwrap();
    };
    let gzip = peak_of(|file| {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        giant(&mut encoder);
        encoder.finish().unwrap();
    });
    let zstd = peak_of(|file| {
        let mut encoder = zstd::Encoder::new(file, 1).unwrap();
        giant(&mut encoder);
        encoder.finish().unwrap();
    });
    println!(
        "bombs: gzip {} MiB, zstd {} MiB at most",
        gzip >> 20,
        zstd >> 20
    );
    assert!(gzip.max(zstd) < 300 << 20, "{} MiB", gzip.max(zstd) >> 20);
}

/// The most memory that an ingest of an archive takes in a process of its own, in bytes. One patch of
/// the archive is whole.
fn peak_of(write: impl FnOnce(fs::File)) -> u64 {
    let dir = memory_dir();
    let path = dir.path().join("a.tar");
    write(fs::File::create(&path).unwrap());
    let ratio = || fs::metadata(&path).unwrap().len();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "an_archive_is_ingested_by_a_process_that_tells_its_memory",
            "--nocapture",
        ])
        .env("CHIPMILL_TEST_ARCHIVE", &path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{} bytes: {text}", ratio());
    let line = text.lines().find_map(|l| l.split_once("VmHWM:"));
    let number = line.unwrap().1.trim().trim_end_matches(" kB");
    number.parse::<u64>().unwrap() << 10
}

/// Also the process whose memory the tests above measure.
#[test]
fn an_archive_is_ingested_by_a_process_that_tells_its_memory() {
    let dir = memory_dir();
    let path = dir.path().join("own.tar");
    fs::write(&path, tar(&v2(1))).unwrap();
    let path = std::env::var_os("CHIPMILL_TEST_ARCHIVE").map_or(path, PathBuf::from);
    let (summary, _) = stored(&options(&path, &dir.path().join("store")));
    assert_eq!(summary.patches, 1);
    println!("\n{}", fs::read_to_string("/proc/self/status").unwrap());
}
