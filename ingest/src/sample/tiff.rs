//! `GeoTIFF`s as the official ones are, byte layout included, written by GDAL.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use chipmill_schemas::band::{PATCH_METRES, Resolution};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::s1::S1_SIDE;
use gdal::DriverManager;
use gdal::errors::GdalError;
use gdal::raster::{Buffer, GdalType, RasterCreationOptions};
use gdal::vsi::{get_vsi_mem_file_bytes_owned, unlink_mem_file};

use super::names::utm_wkt;

const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTE_COUNTS: u16 = 279;
const MODEL_TIEPOINT: u16 = 33922;

/// TIFF's types of values.
const SHORT: u16 = 3;
const LONG: u16 = 4;
const DOUBLE: u16 = 12;

/// How the values are laid down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A band of v1.0: uncompressed strips, "no data" not declared.
    BandV1,
    /// A band of v2.0: uncompressed strips, 0 declared as "no data".
    BandV2,
    /// A reference map: deflate with horizontal differences, 0 declared as "no data".
    Map,
    /// A polarisation of Sentinel-1: uncompressed strips, "no data" not declared.
    S1,
}

/// A type of pixels.
trait Pixel: GdalType + Copy {
    /// Pixels of which no two are the same.
    fn all_different(count: usize) -> Vec<Self>;

    /// The bytes of pixels, little-endian.
    fn bytes(values: &[Self]) -> Vec<u8>;
}

impl Pixel for u16 {
    fn all_different(count: usize) -> Vec<Self> {
        (1..).take(count).collect()
    }

    fn bytes(values: &[Self]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }
}

impl Pixel for f32 {
    fn all_different(count: usize) -> Vec<Self> {
        (1u16..).take(count).map(Self::from).collect()
    }

    fn bytes(values: &[Self]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }
}

/// Where a raster lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) epsg: u32,
    /// Easting and northing of the upper left corner, metres.
    pub(super) corner: (u32, u32),
}

/// Encodes a reference map.
pub(super) fn encode_map(codes: &[u16], place: Place) -> Result<Vec<u8>, GdalError> {
    encode(codes, Form::Map, place)
}

/// The band files of one coordinate system: GDAL writes one file of each resolution, the files of the
/// patches differ from it in their corner and their pixels alone.
#[derive(Debug)]
pub(super) struct BandFiles([Template; 3]);

impl BandFiles {
    pub(super) fn new(version: DatasetVersion, epsg: u32) -> Result<Self, GdalError> {
        let form = match version {
            DatasetVersion::V1 => Form::BandV1,
            DatasetVersion::V2 => Form::BandV2,
        };
        let [fine, middle, coarse] =
            Resolution::ALL.map(|r| Template::new::<u16>(form, epsg, r.side()));
        Ok(Self([fine?, middle?, coarse?]))
    }

    /// Encodes a band of `resolution`.
    pub(super) fn encode(
        &self,
        resolution: Resolution,
        values: &[u16],
        corner: (u32, u32),
    ) -> Result<Vec<u8>, GdalError> {
        self.0[resolution.index()].file(values, corner)
    }
}

/// The Sentinel-1 files of one coordinate system, made in the same way.
#[derive(Debug)]
pub(super) struct S1Files(Template);

impl S1Files {
    pub(super) fn new(epsg: u32) -> Result<Self, GdalError> {
        Template::new::<f32>(Form::S1, epsg, S1_SIDE).map(Self)
    }

    /// Encodes a polarisation.
    pub(super) fn encode(&self, values: &[f32], corner: (u32, u32)) -> Result<Vec<u8>, GdalError> {
        self.0.file(values, corner)
    }
}

#[derive(Debug)]
struct Template {
    form: Form,
    epsg: u32,
    bytes: Vec<u8>,
    /// Where easting and northing stand. `None` when the pixels are not in one block at the end, as no
    /// GDAL known does it; then GDAL writes each file.
    corner_at: Option<usize>,
}

impl Template {
    fn new<T: Pixel>(form: Form, epsg: u32, side: usize) -> Result<Self, GdalError> {
        // Pixels that are all different show where GDAL puts them.
        let values = T::all_different(side * side);
        let corner = (300_000, 5_400_000);
        let bytes = encode(&values, form, Place { epsg, corner })?;
        let directory = Directory::of(&bytes);
        let tiepoint = directory.find(&bytes, MODEL_TIEPOINT, DOUBLE);
        let in_one_block = bytes.ends_with(&T::bytes(&values));
        // Column, row and level of the tie point come first.
        let corner_at = tiepoint
            .filter(|_| in_one_block)
            .map(|t| t.value as usize + 24);
        Ok(Self {
            form,
            epsg,
            bytes,
            corner_at,
        })
    }

    fn file<T: Pixel>(&self, values: &[T], corner: (u32, u32)) -> Result<Vec<u8>, GdalError> {
        let Some(at) = self.corner_at else {
            let epsg = self.epsg;
            return encode(values, self.form, Place { epsg, corner });
        };
        let mut bytes = self.bytes.clone();
        let pixels = bytes.len() - size_of_val(values);
        bytes[pixels..].copy_from_slice(&T::bytes(values));
        bytes[at..at + 8].copy_from_slice(&f64::from(corner.0).to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&f64::from(corner.1).to_le_bytes());
        Ok(bytes)
    }
}

/// Has GDAL write a square raster.
fn encode<T: Pixel>(values: &[T], form: Form, place: Place) -> Result<Vec<u8>, GdalError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = format!("/vsimem/chipmill-sample-{unique}.tif");
    let path = Path::new(&path);
    let written = write(path, values.to_vec(), form, place);
    let bytes = written.and_then(|()| get_vsi_mem_file_bytes_owned(path));
    if bytes.is_err() {
        // Nothing may stay in memory; whether there was a file at all does not matter.
        drop(unlink_mem_file(path));
    }
    let bytes = bytes?;
    Ok(match form {
        Form::BandV1 | Form::S1 => with_long_byte_counts(bytes),
        Form::BandV2 | Form::Map => bytes,
    })
}

fn write<T: Pixel>(path: &Path, values: Vec<T>, form: Form, place: Place) -> Result<(), GdalError> {
    let side = values.len().isqrt();
    let options: &[&str] = match form {
        Form::BandV1 | Form::BandV2 | Form::S1 => &["COMPRESS=NONE"],
        Form::Map => &["COMPRESS=DEFLATE", "PREDICTOR=2"],
    };
    let options = RasterCreationOptions::from_iter(options.iter().copied());
    let driver = DriverManager::get_driver_by_name("GTiff")?;
    let mut file =
        driver.create_with_band_type_with_options::<T, _>(path, side, side, 1, &options)?;
    let pixel = f64::from(PATCH_METRES) / side as f64;
    let (east, north) = (f64::from(place.corner.0), f64::from(place.corner.1));
    file.set_projection(&utm_wkt(place.epsg))?;
    file.set_geo_transform(&[east, pixel, 0.0, north, 0.0, -pixel])?;
    let mut band = file.rasterband(1)?;
    if matches!(form, Form::BandV2 | Form::Map) {
        band.set_no_data_value(Some(0.0))?;
    }
    band.write((0, 0), (side, side), &mut Buffer::new((side, side), values))?;
    file.close()
}

/// The first directory of a little-endian classic TIFF whose directory follows the header.
struct Directory(Vec<Entry>);

/// One entry: its place in the file and what it says.
#[derive(Clone, Copy)]
struct Entry {
    at: usize,
    tag: u16,
    kind: u16,
    count: u32,
    /// The value, or where the values stand.
    value: u32,
}

impl Directory {
    fn of(file: &[u8]) -> Self {
        let entry = |at: usize| Entry {
            at,
            tag: short(file, at),
            kind: short(file, at + 2),
            count: long(file, at + 4),
            value: long(file, at + 8),
        };
        let entries = usize::from(short(file, 8));
        Self((0..entries).map(|n| entry(10 + 12 * n)).collect())
    }

    /// The entry of that tag and type whose values stand outside of it.
    fn find(&self, file: &[u8], tag: u16, kind: u16) -> Option<Entry> {
        let mut outside = self.0.iter().copied().filter(|e| e.is_outside());
        let found = outside.find(|e| e.tag == tag && e.kind == kind);
        found.filter(|e| (e.value as usize) < file.len())
    }
}

impl Entry {
    fn is_outside(self) -> bool {
        let size = match self.kind {
            1 | 2 => 1,
            SHORT => 2,
            LONG => 4,
            _ => 8,
        };
        size * self.count > 4
    }
}

fn short(file: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([file[at], file[at + 1]])
}

fn long(file: &[u8], at: usize) -> u32 {
    u32::from(short(file, at)) | u32::from(short(file, at + 2)) << 16
}

/// The strip byte counts as 32-bit numbers, as in the files of v1.0.
///
/// Those were written before libtiff began to store small counts in 16 bits; what follows the counts
/// lies that much farther back in the file. A file with 32-bit counts stays as it is.
fn with_long_byte_counts(mut file: Vec<u8>) -> Vec<u8> {
    let directory = Directory::of(&file);
    let Some(counts) = directory.find(&file, STRIP_BYTE_COUNTS, SHORT) else {
        return file;
    };
    let growth = 2 * counts.count;
    let moved = |at: u32| if at > counts.value { at + growth } else { at };
    for entry in directory.0.iter().filter(|e| e.is_outside()) {
        if entry.tag == STRIP_OFFSETS {
            for at in (0..entry.count).map(|strip| (entry.value + 4 * strip) as usize) {
                let offset = moved(long(&file, at));
                file[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            }
        }
        file[entry.at + 8..entry.at + 12].copy_from_slice(&moved(entry.value).to_le_bytes());
    }
    file[counts.at + 2..counts.at + 4].copy_from_slice(&LONG.to_le_bytes());
    let short_counts = counts.value as usize..(counts.value + growth) as usize;
    let widened = file[short_counts.clone()].chunks_exact(2);
    let long_counts: Vec<u8> = widened.flat_map(|c| [c[0], c[1], 0, 0]).collect();
    file.splice(short_counts, long_counts);
    file
}
