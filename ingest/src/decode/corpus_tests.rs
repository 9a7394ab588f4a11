//! Band files damaged in every way: refused with a reason, or read to the same pixels by both readers.

use std::fs;

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::patch_id::DatasetVersion;

use super::*;
use crate::sample::{SampleOptions, write};

/// Band files of the official layout, place included: of each release, of each resolution.
fn official() -> Vec<(Vec<u8>, usize)> {
    let mut found = Vec::new();
    for layout in [DatasetVersion::V1, DatasetVersion::V2] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("raw");
        write(&SampleOptions {
            out: out.clone(),
            layout,
            patches: 1,
            seed: 1,
            archive: None,
            s1: false,
        })
        .unwrap();
        let mut folders = vec![out];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                match Band::from_name(name.rsplit('_').next().unwrap()) {
                    _ if path.is_dir() => folders.push(path),
                    Some(band @ (Band::B01 | Band::B02 | Band::B05)) => {
                        found.push((fs::read(path).unwrap(), band.resolution().side()));
                    }
                    _ => {}
                }
            }
        }
    }
    assert_eq!(found.len(), 6);
    found
}

/// What became of a damaged file.
#[derive(Debug, Default)]
struct Tally {
    refused: u64,
    read: u64,
    by_both: u64,
    /// Files that the two readers read differently.
    apart: Vec<String>,
}

impl Tally {
    /// A refusal has a reason. Where both readers accept the file, they must agree on the pixels, and on the
    /// place where both know one.
    fn take(&mut self, bytes: &[u8], side: usize, what: &str) -> Option<Vec<u16>> {
        let mut pixels = vec![0; side * side];
        let read = match read_band(bytes, side, &mut pixels) {
            Err(reason) => {
                assert!(reason.len() > 10, "{what}: {reason}");
                self.refused += 1;
                return None;
            }
            Ok(read) => read,
        };
        self.read += 1;
        let mut theirs = vec![0; side * side];
        if let (false, Ok(place)) = (read.1, raster::read(bytes, side, &mut theirs)) {
            // A damaged key that we do not need keeps GDAL from placing the raster.
            let placed_alike = place.is_none() || read.0 == place;
            if pixels != theirs || !placed_alike {
                self.apart.push(format!("{what}: {:?}, {place:?}", read.0));
            }
            self.by_both += 1;
        }
        Some(pixels)
    }
}

impl Tally {
    fn done(&self) {
        let (refused, read, both) = (self.refused, self.read, self.by_both);
        println!("{refused} refused, {read} read, {both} of them by both readers");
        let apart = &self.apart[..self.apart.len().min(5)];
        assert!(apart.is_empty(), "read differently: {apart:#?}");
    }
}

fn is_long_campaign() -> bool {
    std::env::var("CHIPMILL_CAMPAIGN").is_ok_and(|v| v == "long")
}

/// A counter-based generator, so that every run damages the same bits.
fn draw(counter: usize, below: usize) -> usize {
    let mut x = (counter as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    usize::try_from((x ^ x >> 31) % below as u64).unwrap()
}

fn put(bytes: &[u8], at: usize, value: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[at..at + value.len()].copy_from_slice(value);
    changed
}

#[test]
fn a_band_file_cut_at_any_64th_byte_is_refused_with_a_reason() {
    let mut tally = Tally::default();
    for (bytes, side) in official() {
        for length in (0..bytes.len()).step_by(64) {
            tally.take(&bytes[..length], side, &format!("cut at {length}"));
        }
    }
    tally.done();
    assert_eq!(tally.read, 0);
}

#[test]
fn a_flipped_bit_is_refused_or_read_alike_by_both_readers() {
    let mut tally = Tally::default();
    for (bytes, side) in official() {
        // Bits of the 60 m files' directories, and some anywhere.
        let directory = (bytes.len() - 2 * side * side) * 8;
        let is_small = side == Resolution::M60.side();
        let directory = if is_small { directory } else { 0 };
        let (stride, random) = if is_long_campaign() {
            (1, 5_000)
        } else {
            (7, 170)
        };
        let random = (0..random).map(|i| draw(i, bytes.len() * 8));
        for bit in (0..directory).step_by(stride).chain(random) {
            let flipped = put(&bytes, bit / 8, &[bytes[bit / 8] ^ 1 << (bit % 8)]);
            tally.take(&flipped, side, &format!("{side} pixels, bit {bit}"));
        }
    }
    tally.done();
    assert!(tally.refused > 100 && tally.by_both > 1000);
}

#[test]
fn loops_and_lies_in_the_directory_are_refused_or_read_alike() {
    let mut tally = Tally::default();
    for (bytes, side) in official() {
        let entries = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let next = 10 + 12 * entries;
        for target in [8u32, 10, u32::try_from(next).unwrap(), u32::MAX, 2] {
            let looped = put(&bytes, next, &target.to_le_bytes());
            tally.take(&looped, side, &format!("next directory at {target}"));
        }
        // Every field of every entry says something huge.
        for at in (10..next).step_by(12) {
            for huge in [1u32 << 31, u32::MAX, 0, 65_536] {
                for field in [4, 8] {
                    let lie = put(&bytes, at + field, &huge.to_le_bytes());
                    let lie = put(&lie, at + 2, &4u16.to_le_bytes());
                    tally.take(&lie, side, &format!("entry at {at}+{field} says {huge}"));
                }
            }
        }
    }
    tally.done();
    assert!(tally.refused > 100);
}

#[test]
fn a_raster_said_to_be_two_to_the_31_wide_is_refused_by_size() {
    for (bytes, side) in official() {
        for entry in 0..2 {
            let at = 10 + 12 * entry;
            let wide = put(&bytes, at + 2, &4u16.to_le_bytes());
            let wide = put(&wide, at + 8, &(1u32 << 31).to_le_bytes());
            let refused = read_band(&wide, side, &mut vec![0u16; side * side]).unwrap_err();
            assert!(refused.contains("2147483648"), "{refused}");
            // GDAL by itself neither allocates that much nor reads it.
            assert!(raster::read(&wide, side, &mut vec![0u16; side * side]).is_err());
        }
    }
}

#[test]
fn every_layout_that_gdal_writes_gives_the_same_pixels_or_a_reason() {
    let variants: [&[&str]; 12] = [
        &["COMPRESS=LZW"],
        &["COMPRESS=PACKBITS"],
        &["COMPRESS=ZSTD", "PREDICTOR=2"],
        &["COMPRESS=LERC"],
        &["COMPRESS=LZMA"],
        &[
            "COMPRESS=DEFLATE",
            "TILED=YES",
            "BLOCKXSIZE=16",
            "BLOCKYSIZE=32",
        ],
        &["COMPRESS=DEFLATE", "BIGTIFF=YES", "ENDIANNESS=BIG"],
        &["TILED=YES"],
        &["BLOCKYSIZE=1"],
        &["PHOTOMETRIC=MINISWHITE"],
        &["NBITS=12"],
        &["SPARSE_OK=TRUE"],
    ];
    let driver = gdal::DriverManager::get_driver_by_name("GTiff").unwrap();
    let side = Resolution::M20.side();
    let expected: Vec<u16> = (0..4000).cycle().take(side * side).collect();
    let mut tally = Tally::default();
    for options in variants {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b.tif");
        let list = gdal::raster::RasterCreationOptions::from_iter(options.iter().copied());
        let made = driver.create_with_band_type_with_options::<u16, _>(&path, side, side, 1, &list);
        let Ok(mut dataset) = made else {
            println!("this GDAL does not write {options:?}");
            continue;
        };
        let mut pixels = gdal::raster::Buffer::new((side, side), expected.clone());
        let mut band = dataset.rasterband(1).unwrap();
        band.write((0, 0), (side, side), &mut pixels).unwrap();
        dataset.flush_cache().unwrap();
        drop(dataset);
        let what = format!("{options:?}");
        let bytes = fs::read(&path).unwrap();
        if let Some(pixels) = tally.take(&bytes, side, &what) {
            assert_eq!(pixels, expected, "{what}");
        }
        // Damaged, a compressed file is a matter of GDAL and its libraries.
        for counter in 0..if is_long_campaign() { 2_000 } else { 40 } {
            let bit = draw(counter, bytes.len() * 8);
            let flipped = put(&bytes, bit / 8, &[bytes[bit / 8] ^ 1 << (bit % 8)]);
            tally.take(&flipped, side, &what);
        }
        for length in (0..bytes.len()).step_by(if is_long_campaign() { 64 } else { 448 }) {
            tally.take(&bytes[..length], side, &what);
        }
    }
    tally.done();
    assert!(tally.read > 10);
}
