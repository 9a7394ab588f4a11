use std::fs;
use std::path::{Path, PathBuf};

use chipmill_schemas::band::{Band, Resolution};
use proptest::prelude::*;

use super::*;
use crate::source::RawFiles;

fn shared() -> PathBuf {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    std::env::var_os("CHIPMILL_SHARED").map_or_else(|| default.into(), PathBuf::from)
}

/// All band files below a folder, each with its side in pixels.
fn band_files(folder: &Path) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if let Some(band) = Band::from_name(name.rsplit('_').next().unwrap()) {
                found.push((path, band.resolution().side()));
            }
        }
    }
    found.sort();
    found
}

fn real_files() -> Vec<(PathBuf, usize)> {
    let data = shared().join("data");
    let folders = [
        "bigearthnet-v1/BigEarthNet-v1.0",
        "bigearthnet-v2/BigEarthNet-S2",
    ];
    let present = folders
        .into_iter()
        .map(|f| data.join(f))
        .filter(|f| f.is_dir());
    present.flat_map(|f| band_files(&f)).collect()
}

#[test]
fn strict_and_gdal_give_the_same_pixels_and_place_on_real_files() {
    let files = real_files();
    if files.is_empty() {
        println!("skipped: needs ../shared (data/bigearthnet-v1, data/bigearthnet-v2)");
        return;
    }
    for (path, side) in files {
        let bytes = fs::read(&path).unwrap();
        let (mut ours, mut theirs) = (vec![1u16; side * side], vec![2u16; side * side]);
        let place = strict::read(&bytes, side, &mut ours).unwrap();
        assert_eq!(
            raster::read(&bytes, side, &mut theirs).unwrap(),
            place,
            "{}",
            path.display()
        );
        assert!(place.is_some() && ours == theirs, "{}", path.display());
    }
}

/// A band file of the official layout with four strips, without georeference.
pub(super) fn tiff(side: u16, kind: [u16; 2]) -> Vec<u8> {
    let rows = side.div_ceil(4);
    let strips = side.div_ceil(rows);
    let row_bytes = u32::from(side) * u32::from(kind[0]) / 8;
    let tags = 11u32;
    let offsets_at = 8 + 2 + tags * 12 + 4;
    let counts_at = offsets_at + 4 * u32::from(strips);
    let data_at = counts_at + 4 * u32::from(strips);
    let mut out = b"II*\0\x08\0\0\0".to_vec();
    out.extend(u16::try_from(tags).unwrap().to_le_bytes());
    let mut tag = |tag: u16, kind: u16, count: u32, value: u32| {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    };
    tag(256, 3, 1, u32::from(side));
    tag(257, 3, 1, u32::from(side));
    tag(258, 3, 1, u32::from(kind[0]));
    tag(259, 3, 1, 1);
    tag(262, 3, 1, 1);
    tag(273, 4, u32::from(strips), offsets_at);
    tag(277, 3, 1, 1);
    tag(278, 3, 1, u32::from(rows));
    tag(279, 4, u32::from(strips), counts_at);
    tag(284, 3, 1, 1);
    tag(339, 3, 1, u32::from(kind[1]));
    out.extend([0; 4]);
    let strip_rows = |i: u16| u32::from(rows.min(side - i * rows));
    let mut at = data_at;
    for i in 0..strips {
        out.extend(at.to_le_bytes());
        at += strip_rows(i) * row_bytes;
    }
    (0..strips).for_each(|i| out.extend((strip_rows(i) * row_bytes).to_le_bytes()));
    let pixels = (0..at - data_at).map(|i| (i * 7 % 251) as u8);
    out.extend(pixels);
    out
}

fn both(bytes: &[u8], side: usize) -> (Result<Vec<u16>, NotStrict>, Result<Vec<u16>, String>) {
    let (mut ours, mut theirs) = (vec![0; side * side], vec![0; side * side]);
    (
        strict::read(bytes, side, &mut ours).map(|_| ours),
        raster::read(bytes, side, &mut theirs).map(|_| theirs),
    )
}

#[test]
fn a_file_without_georeference_is_read_and_has_no_place() {
    let bytes = tiff(20, [16, 1]);
    let (ours, theirs) = both(&bytes, 20);
    assert_eq!(ours.unwrap(), theirs.unwrap());
    let mut out = vec![0; 400];
    assert_eq!(strict::read(&bytes, 20, &mut out), Ok(None));
    assert_eq!(raster::read(&bytes, 20, &mut out), Ok(None));
}

#[test]
fn wrong_size_and_type_are_named_with_found_and_expected() {
    let reason = |bytes: &[u8]| match both(bytes, 60) {
        (Err(NotStrict::Broken(ours)), Err(theirs)) => {
            assert_eq!(ours, theirs);
            ours
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(
        reason(&tiff(20, [16, 1])),
        "is 20 x 20 pixels, expected 60 x 60"
    );
    assert_eq!(
        reason(&tiff(60, [32, 3])),
        "has pixels of type Float32, expected UInt16"
    );
    assert_eq!(
        reason(&tiff(60, [16, 2])),
        "has pixels of type Int16, expected UInt16"
    );
}

#[test]
fn a_truncated_file_is_broken_wherever_it_is_cut() {
    let bytes = tiff(20, [16, 1]);
    for length in 0..bytes.len() {
        let (ours, theirs) = both(&bytes[..length], 20);
        assert!(
            matches!(ours, Err(NotStrict::Broken(_))),
            "cut at {length}: {ours:?}"
        );
        assert!(theirs.is_err(), "GDAL reads a file cut at {length}");
    }
}

#[test]
fn other_layouts_go_through_gdal_and_give_the_same_pixels() {
    let side = 60;
    let plain = tiff(60, [16, 1]);
    let expected = both(&plain, side).0.unwrap();
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let variants: [&[&str]; 4] = [
        &["COMPRESS=DEFLATE", "PREDICTOR=2"],
        &["TILED=YES", "BLOCKXSIZE=16", "BLOCKYSIZE=16"],
        &["ENDIANNESS=BIG"],
        &["BIGTIFF=YES"],
    ];
    for options in variants {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.tif");
        let list = gdal::raster::RasterCreationOptions::from_iter(options.iter().copied());
        let mut dataset = driver
            .create_with_band_type_with_options::<u16, _>(&path, side, side, 1, &list)
            .unwrap();
        let mut pixels = gdal::raster::Buffer::new((side, side), expected.clone());
        dataset
            .rasterband(1)
            .unwrap()
            .write((0, 0), (side, side), &mut pixels)
            .unwrap();
        dataset.flush_cache().unwrap();
        drop(dataset);
        let (ours, theirs) = both(&fs::read(&path).unwrap(), side);
        assert!(
            matches!(ours, Err(NotStrict::Foreign(_))),
            "{options:?}: {ours:?}"
        );
        assert_eq!(theirs.unwrap(), expected, "{options:?}");
    }
}

#[test]
fn a_patch_without_a_band_is_a_defect_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let id: PatchId = "S2A_MSIL2A_20170617T113321_4_55".parse().unwrap();
    let folder = dir.path().join(id.as_str());
    fs::create_dir(&folder).unwrap();
    for band in Band::ALL.into_iter().filter(|&b| b != Band::B8A) {
        let side = u16::try_from(band.resolution().side()).unwrap();
        let name = FileRole::Band(band).file_name(id.as_str());
        fs::write(folder.join(name), tiff(side, [16, 1])).unwrap();
    }
    let listing = crate::source::folder::Listing::of(dir.path()).unwrap();
    let raw = listing.raw(&listing.patches[0]);
    let decoded = Decoder::default().decode(&raw, &mut PatchPixels::zeroed());
    let Err(Undecoded::Defect(defect)) = decoded else {
        panic!("{decoded:?}")
    };
    assert_eq!(defect.band, Some(Band::B8A));
    assert_eq!(
        defect.reason,
        format!("{id}_B8A.tif is missing; a patch has twelve band files")
    );
    assert_eq!(listing.patches[0].defect(), Some(defect));
}

/// A band file whose layout is the official one, or not quite.
fn variant(side: u16, kind: usize) -> Vec<u8> {
    let mut bytes = tiff(side, [16, 1]);
    let offsets = 8 + 2 + 11 * 12 + 4;
    match kind {
        // Bytes behind the pixels, and one too few.
        1 => bytes.extend([7; 5]),
        2 => bytes.truncate(bytes.len() - 1),
        // Two strips in each other's place.
        3 => (0..4).for_each(|i| bytes.swap(offsets + i, offsets + 4 + i)),
        // As long as any other, and of another type.
        4 => bytes = tiff(side, [16, 2]),
        // A compression that nobody knows: GDAL is asked.
        5 => bytes[8 + 2 + 3 * 12 + 8] = 77,
        // More than one read gives.
        6 => bytes.resize(1 << 17, 3),
        _ => {}
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Files on disk are decoded after one read where that is enough, those of archives never are.
    #[test]
    fn files_on_disk_give_what_files_in_memory_give(
        patches in proptest::collection::vec((0usize..16, 0usize..7), 1..5),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut from_disk, mut from_memory) = (Decoder::default(), Decoder::default());
        for (number, (odd_band, kind)) in patches.into_iter().enumerate() {
            let id: PatchId = format!("S2A_MSIL2A_20170617T113321_{number}_55").parse().unwrap();
            let folder = dir.path().join(id.as_str());
            fs::create_dir(&folder).unwrap();
            let mut memory = Box::new(crate::source::MemoryFiles::default());
            for band in Band::ALL {
                let side = u16::try_from(band.resolution().side()).unwrap();
                let bytes = variant(side, if band.index() == odd_band { kind } else { 0 });
                let role = FileRole::Band(band);
                fs::write(folder.join(role.file_name(id.as_str())), &bytes).unwrap();
                memory.add(role, bytes.len()).copy_from_slice(&bytes);
            }
            let files = RawFiles::Folder(folder);
            let on_disk = RawPatch { id: id.clone(), files };
            let in_memory = RawPatch { id, files: RawFiles::Memory(memory) };
            let (mut ours, mut theirs) = (PatchPixels::zeroed(), PatchPixels::zeroed());
            let decoded = (
                from_disk.decode(&on_disk, &mut ours),
                from_memory.decode(&in_memory, &mut theirs),
            );
            match decoded {
                (Ok(a), Ok(b)) => {
                    prop_assert_eq!((a.bytes, a.through_gdal), (b.bytes, b.through_gdal));
                    for band in Band::ALL {
                        prop_assert_eq!(ours.band_slice(band), theirs.band_slice(band));
                    }
                }
                (Err(Undecoded::Defect(a)), Err(Undecoded::Defect(b))) => prop_assert_eq!(a, b),
                (a, b) => prop_assert!(false, "{:?} from a folder, {:?} from memory", a, b),
            }
        }
    }
}

#[test]
fn a_file_on_disk_larger_than_any_is_read_is_a_defect_even_if_it_begins_well() {
    let dir = tempfile::tempdir().unwrap();
    let id: PatchId = "S2A_MSIL2A_20170617T113321_4_55".parse().unwrap();
    let path = dir
        .path()
        .join(FileRole::Band(Band::B01).file_name(id.as_str()));
    let mut bytes = variant(20, 0);
    bytes.resize(usize::try_from(crate::source::FILE_CAP).unwrap() + 1, 0);
    fs::write(&path, bytes).unwrap();
    let files = RawFiles::Folder(dir.path().to_owned());
    let decoded = Decoder::default().decode(&RawPatch { id, files }, &mut PatchPixels::zeroed());
    let Err(Undecoded::Defect(defect)) = decoded else {
        panic!("{decoded:?}")
    };
    assert!(defect.reason.contains("more than the"), "{}", defect.reason);
}

proptest! {
    #[test]
    fn flipped_bits_never_panic_and_never_part_strict_from_gdal(
        at in 0usize..1170, bit in 0u8..8, cut in 0usize..1300,
    ) {
        let side = Resolution::M60.side();
        let mut bytes = tiff(20, [16, 1]);
        bytes.truncate(cut);
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 1 << bit;
        }
        if let (Ok(ours), Ok(theirs)) = both(&bytes, side) {
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn no_bytes_make_the_strict_parser_panic(noise in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend(noise);
        let _ = strict::read(&bytes, 20, &mut [0u16; 400]);
    }
}
