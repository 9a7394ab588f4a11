use chipmill_schemas::band::Band;
use proptest::prelude::*;
use tar::{Builder, Header};

use super::super::Compression;
use super::super::input::Input;
use super::super::{FILE_CAP, RawFiles};
use super::*;

const ID: &str = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57";

/// A patch's id and the lengths of its files.
type Lengths = (String, Vec<usize>);

fn roles() -> impl Iterator<Item = FileRole> {
    let bands = Band::ALL.into_iter().map(FileRole::Band);
    bands.chain([FileRole::Labels, FileRole::ReferenceMap])
}

#[derive(Default)]
struct All(Vec<Lengths>);

impl Receiver for All {
    fn wants(&mut self, _: &PatchId) -> bool {
        true
    }

    fn receive(&mut self, id: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        let Some(RawPatch {
            files: RawFiles::Memory(files),
            ..
        }) = patch
        else {
            panic!("wanted patches come with their files")
        };
        let length = |role| Some(files.get(role).ok()?.len());
        self.0
            .push((id.to_string(), roles().filter_map(length).collect()));
        ControlFlow::Continue(())
    }
}

fn read_all(tar: &[u8]) -> (Result<Notes, IngestError>, Vec<Lengths>) {
    let dir = tempfile::tempdir().unwrap();
    let source = plain(&dir, tar);
    let mut all = All::default();
    let notes = stream(&source, &mut all);
    (notes, all.0)
}

fn plain(dir: &tempfile::TempDir, tar: &[u8]) -> Archive {
    let path = dir.path().join("a.tar");
    std::fs::write(&path, tar).unwrap();
    Archive {
        input: Input::Files(vec![path]),
        compression: Compression::None,
        content: Content::Patches,
    }
}

fn header(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header
}

/// A header whose name is taken as it is: the builder would refuse a hostile one.
fn raw_header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = header(kind, size);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    header
}

fn good_member(builder: &mut Builder<Vec<u8>>) {
    let name = format!("BigEarthNet-S2/tile/{ID}/{ID}_B02.tif");
    builder
        .append_data(&mut header(EntryType::Regular, 5), name, &b"12345"[..])
        .unwrap();
}

#[test]
fn gnu_long_names_and_pax_paths_are_understood() {
    let long = format!("BigEarthNet-S2/{}/{ID}/{ID}_B02.tif", "x".repeat(120));
    let mut gnu = Builder::new(Vec::new());
    gnu.append_data(&mut header(EntryType::Regular, 5), &long, &b"12345"[..])
        .unwrap();
    let mut pax = Builder::new(Vec::new());
    pax.append_pax_extensions([("path", long.as_bytes()), ("size", b"5")])
        .unwrap();
    pax.append(&raw_header(b"short", EntryType::Regular, 5), &b"12345"[..])
        .unwrap();
    for builder in [gnu, pax] {
        let (notes, patches) = read_all(&builder.into_inner().unwrap());
        assert_eq!(notes.unwrap(), Notes::default());
        assert_eq!(patches, [(ID.to_owned(), vec![5])]);
    }
}

#[test]
fn hostile_members_are_refused_and_the_good_ones_kept() {
    let mut builder = Builder::new(Vec::new());
    let v1 = "S2A_MSIL2A_20170617T113321_4_55";
    let hostile = format!("../{v1}/{v1}_B03.tif");
    for name in [hostile.as_str(), "/etc/passwd"] {
        builder
            .append(
                &raw_header(name.as_bytes(), EntryType::Regular, 3),
                &b"abc"[..],
            )
            .unwrap();
    }
    for kind in [
        EntryType::Symlink,
        EntryType::Link,
        EntryType::Char,
        EntryType::Fifo,
    ] {
        builder
            .append(&raw_header(b"x", kind, 0), &b""[..])
            .unwrap();
    }
    good_member(&mut builder);
    let (notes, patches) = read_all(&builder.into_inner().unwrap());
    let notes = notes.unwrap().lines();
    assert_eq!(patches, [(ID.to_owned(), vec![5])]);
    assert!(notes.iter().any(|n| n.contains("`..`: 1")), "{notes:?}");
    assert!(
        notes.iter().any(|n| n.contains("absolute name: 1")),
        "{notes:?}"
    );
    assert!(
        notes
            .iter()
            .any(|n| n.contains("not plain files") && n.contains(": 4")),
        "{notes:?}"
    );
}

#[test]
fn a_link_in_place_of_a_band_is_a_flaw_of_its_patch() {
    let mut builder = Builder::new(Vec::new());
    good_member(&mut builder);
    let name = format!("{ID}/{ID}_B03.tif");
    let mut link = header(EntryType::Link, 0);
    builder.append_link(&mut link, name, "/etc/passwd").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let source = plain(&dir, &builder.into_inner().unwrap());
    let mut flaws = Flaws::default();
    stream(&source, &mut flaws).unwrap();
    assert_eq!(flaws.0, [Flaw::NotAFile]);
}

#[derive(Default)]
struct Flaws(Vec<Flaw>);

impl Receiver for Flaws {
    fn wants(&mut self, _: &PatchId) -> bool {
        true
    }

    fn receive(&mut self, _: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        if let Some(RawPatch {
            files: RawFiles::Memory(files),
            ..
        }) = patch
        {
            let flaws = roles().filter_map(|role| files.get(role).err());
            self.0.extend(flaws.filter(|flaw| *flaw != Flaw::Missing));
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn an_archive_that_lies_about_sizes_is_refused() {
    let mut two_sizes = Builder::new(Vec::new());
    two_sizes
        .append_pax_extensions([("size", &b"4"[..])])
        .unwrap();
    good_member(&mut two_sizes);
    let mut giant_name = Builder::new(Vec::new());
    let size = EXTENSION_CAP + 1;
    let header = raw_header(b"././@LongLink", EntryType::GNULongName, size);
    giant_name
        .append(&header, io::repeat(b'a').take(size))
        .unwrap();
    for (builder, word) in [(two_sizes, "by PAX"), (giant_name, "65537 bytes")] {
        let text = read_all(&builder.into_inner().unwrap()).0.unwrap_err();
        let source = std::error::Error::source(&text).unwrap().to_string();
        assert!(
            source.contains(word) && text.to_string().contains("a.tar"),
            "{source}"
        );
    }
}

#[test]
fn a_member_beyond_the_cap_is_not_read() {
    let mut builder = Builder::new(Vec::new());
    let name = format!("{ID}/{ID}_B02.tif");
    let mut large = header(EntryType::Regular, FILE_CAP + 1);
    builder
        .append_data(&mut large, name, io::repeat(0).take(FILE_CAP + 1))
        .unwrap();
    let (notes, patches) = read_all(&builder.into_inner().unwrap());
    notes.unwrap();
    assert_eq!(patches, [(ID.to_owned(), vec![])]);
}

#[test]
fn a_cut_archive_is_an_error_that_names_it() {
    let mut builder = Builder::new(Vec::new());
    good_member(&mut builder);
    let tar = builder.into_inner().unwrap();
    let end = tar.len() - 1024 - 512;
    let text = read_all(&tar[..end + 2]).0.unwrap_err().to_string();
    assert!(
        text.contains("a.tar") && text.contains("cut short"),
        "{text}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_splitter_panic(noise in proptest::collection::vec(any::<u8>(), 0..3000), at in 0usize..2000) {
        let mut builder = Builder::new(Vec::new());
        good_member(&mut builder);
        let mut tar = builder.into_inner().unwrap();
        let at = at.min(tar.len());
        tar.splice(at..at, noise);
        let _ = read_all(&tar);
    }
}
