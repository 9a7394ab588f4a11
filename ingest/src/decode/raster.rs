//! Band rasters through GDAL: every layout that the strict parser does not know.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use chipmill_schemas::patch::Georeference;
use gdal::errors::GdalError;
use gdal::raster::GdalType;
use gdal::{Dataset, DatasetOptions, GdalOpenFlags, vsi};

use super::strict::Sample;

/// Reads a square band raster from the bytes of a GeoTIFF; the error is a reason in words.
///
/// # Shapes
/// `out`: `[side, side]`, values as GDAL gives them.
pub(crate) fn read<T: Sample + GdalType>(
    bytes: &[u8],
    side: usize,
    out: &mut [T],
) -> Result<Option<Georeference>, String> {
    hush();
    let mut copy = bytes.to_vec();
    let path = memory_path();
    let file = vsi::create_mem_file_from_ref(&path, &mut copy).map_err(|e| said(&e))?;
    let read = read_path(&path, side, out);
    drop(file);
    read.map_err(|reason| unnamed(&reason, &path))
}

/// A reason without the name of the copy in memory, which counts the files of this process: the same file has
/// the same reason whenever it is read.
fn unnamed(reason: &str, path: &Path) -> String {
    let reason = reason.replace(&*path.to_string_lossy(), "the file");
    match path.file_name() {
        Some(name) => reason.replace(&*name.to_string_lossy(), "the file"),
        None => reason,
    }
}

fn read_path<T: Sample + GdalType>(
    path: &Path,
    side: usize,
    out: &mut [T],
) -> Result<Option<Georeference>, String> {
    let options = DatasetOptions {
        open_flags: GdalOpenFlags::GDAL_OF_RASTER | GdalOpenFlags::GDAL_OF_VERBOSE_ERROR,
        allowed_drivers: Some(&["GTiff"]),
        sibling_files: Some(&[]),
        ..DatasetOptions::default()
    };
    let dataset = Dataset::open_ex(path, options).map_err(|e| said(&e))?;
    let (width, length) = dataset.raster_size();
    if (width, length) != (side, side) {
        return Err(format!(
            "is {width} x {length} pixels, expected {side} x {side}"
        ));
    }
    if dataset.raster_count() != 1 {
        return Err(format!(
            "has {} samples a pixel, expected 1",
            dataset.raster_count()
        ));
    }
    let band = dataset.rasterband(1).map_err(|e| said(&e))?;
    if band.band_type() != T::datatype() {
        let (found, expected) = (band.band_type(), T::NAME);
        return Err(format!("has pixels of type {found}, expected {expected}"));
    }
    let size = (side, side);
    band.read_into_slice::<T>((0, 0), size, size, out, None)
        .map_err(|e| said(&e))?;
    Ok(georeference(&dataset))
}

fn georeference(dataset: &Dataset) -> Option<Georeference> {
    let [ulx, _, row_rotation, uly, column_rotation, _] = dataset.geo_transform().ok()?;
    let reference = dataset.spatial_ref().ok()?;
    let epsg = u32::try_from(reference.auth_code().ok()?).ok()?;
    let upright = row_rotation == 0.0 && column_rotation == 0.0;
    upright.then_some(Georeference { epsg, ulx, uly })
}

/// Version of the GDAL library in use, such as `3.6.2`.
#[must_use]
pub fn gdal_version() -> String {
    gdal::version::VersionInfo::release_name()
}

/// Short names of the raster and vector drivers that GDAL has, in its order.
#[must_use]
pub fn gdal_drivers() -> Vec<String> {
    hush();
    (0..gdal::DriverManager::count())
        .filter_map(|i| Some(gdal::DriverManager::get_driver(i).ok()?.short_name()))
        .collect()
}

fn said(error: &GdalError) -> String {
    format!("cannot be read by GDAL: {error}")
}

/// A name in GDAL's memory file system that no other call uses.
fn memory_path() -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    PathBuf::from(format!("/vsimem/chipmill-{n}.tif"))
}

/// GDAL writes to stderr by default; what it says is also in the errors that it returns.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        gdal::config::set_error_handler(|class, number, message| {
            tracing::debug!(?class, number, message, "GDAL");
        });
    });
}
