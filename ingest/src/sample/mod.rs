//! A synthetic raw data set in the official layout of BigEarthNet v1.0 or v2.0.
//!
//! Every file is of the kind, name, size and byte layout of the real ones, so all of ingest can be run
//! on it; and the labels follow from what the pixels show, so pretraining and probing mean something.
//! The ids are of acquisitions that the real data set does not have.
//!
//! ```text
//! plan      which patches, where, in which split, showing what
//! scene     landscape -> zones -> cover; sparse classes on top; light, air, sensor -> digital numbers
//! radar     the same ground -> Sentinel-1's decibels
//! tiff      digital numbers and decibels -> `GeoTIFF`
//! tables    labels -> JSON (v1), parquet (v2), name lists (v1)
//! files     the files of a patch, in chunks of patches
//! archive   files -> folders or tar
//! ```
//!
//! The same layout, number of patches and seed give the same bytes, for any number of threads.

mod airfield;
mod archive;
mod built;
mod burn;
mod cover;
mod files;
mod ground;
mod landscape;
mod lines;
mod names;
mod noise;
mod plan;
mod radar;
mod random;
mod relief;
mod scene;
mod spectra;
mod tables;
#[cfg(test)]
mod tests;
mod tiff;
mod tip;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chipmill_schemas::label::CLC_43;
use chipmill_schemas::patch_id::DatasetVersion;
use gdal::errors::GdalError;
use serde::{Deserialize, Serialize};

use files::{Chunk, Renderer, S1Renderer, Trees};
use plan::{CAPACITY, PatchPlan, Weather};

/// What to make.
#[derive(Debug, Clone)]
pub struct SampleOptions {
    /// Folder for everything; must be empty or not exist.
    pub out: PathBuf,
    /// Whose names, files and tables.
    pub layout: DatasetVersion,
    /// How many patches.
    pub patches: usize,
    /// Everything random follows from it.
    pub seed: u64,
    /// An archive in place of the folders of files.
    pub archive: Option<ArchiveKind>,
    /// Sentinel-1 as well.
    pub s1: bool,
}

/// Kind of archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveKind {
    /// Not compressed.
    Tar,
    /// gzip.
    TarGz,
    /// Zstandard, one frame, as v2.0 is published.
    TarZst,
}

impl ArchiveKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Tar, Self::TarGz, Self::TarZst];

    /// The file extension, without a leading dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
        }
    }
}

impl std::str::FromStr for ArchiveKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::extension).join(", ");
        Self::ALL
            .into_iter()
            .find(|kind| kind.extension() == text)
            .ok_or_else(|| format!("no kind of archive is named `{text}`; there are {names}"))
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleSummary {
    /// Patches.
    pub patches: u64,
    /// `GeoTIFF`s and label files, in folders or archives.
    pub files: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// Acquisitions (tile and date).
    pub acquisitions: u64,
    /// Patches flagged as snow.
    pub snow: u64,
    /// Patches flagged as cloud.
    pub cloud: u64,
    /// Patches with each 43-class label, in the nomenclature's order; classes that occur.
    pub labels: Vec<(String, u64)>,
    /// What lies in the output folder, sorted.
    pub written: Vec<PathBuf>,
}

/// A data set could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// No or too many patches asked for.
    #[error("cannot make {found} patches: expected 1 to {CAPACITY}")]
    Count {
        /// How many were asked for.
        found: usize,
    },
    /// The output folder holds something.
    #[error("`{}` is not empty (it holds `{found}`); give a folder that is empty or does not exist", path.display())]
    NotEmpty {
        /// The output folder.
        path: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// A file or folder could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// GDAL could not write a `GeoTIFF`.
    #[error("GDAL cannot write `{file}`: {source}")]
    Gdal {
        /// The file's name.
        file: String,
        /// The cause.
        source: GdalError,
    },
    /// A label file could not be written.
    #[error("cannot write the labels of patch {patch}: {source}")]
    Json {
        /// The patch.
        patch: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// A metadata table could not be written.
    #[error("cannot write `{}`: {source}", path.display())]
    Parquet {
        /// The table.
        path: PathBuf,
        /// The cause.
        source: parquet::errors::ParquetError,
    },
    /// No threads to be had.
    #[error("cannot start the rendering threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl SampleError {
    fn gdal(file: &str, source: GdalError) -> Self {
        Self::Gdal {
            file: file.to_owned(),
            source,
        }
    }

    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Writes a synthetic data set.
///
/// In `out` there are then, for v1, `BigEarthNet-v1.0/` (or `BigEarthNet-S2-v1.0.tar.gz` and the like)
/// with the name lists of splits, snow and cloud; for v2, `BigEarthNet-S2/` and `Reference_Maps/` (or an
/// archive for each) with the two metadata tables. With `s1` there is `BigEarthNet-S1-v1.0` or
/// `BigEarthNet-S1` too, as a folder or an archive, whose members are in the order of their own names.
///
/// # Errors
/// [`SampleError`]: a number of patches that cannot be made, an output folder that is not empty or
/// cannot be written. What was written until then stays.
pub fn write(options: &SampleOptions) -> Result<SampleSummary, SampleError> {
    write_with(options, 0)
}

/// As [`write()`], with a number of threads (0: one a core).
fn write_with(options: &SampleOptions, threads: usize) -> Result<SampleSummary, SampleError> {
    if !(1..=CAPACITY).contains(&options.patches) {
        return Err(SampleError::Count {
            found: options.patches,
        });
    }
    prepare(&options.out)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    let plans = plan::plan(options);
    let renderer = Renderer::new(options.layout, options.seed, &plans)?;
    let mut tally = Tally::default();
    let mut trees = Trees::create(options)?;
    // While one chunk is written, the next is rendered: compression keeps a core busy by itself.
    let (send, receive) = crossbeam_channel::bounded(1);
    let labels = std::thread::scope(|scope| {
        // The renderer owns the sender: when it ends, so does the loop.
        let rendering = scope.spawn(|| renderer.render(&plans, &pool, send));
        for chunk in receive {
            tally.add(&chunk);
            pool.install(|| trees.put(&chunk))?;
        }
        rendering
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    trees.finish()?;
    let labelled: Vec<_> = plans.iter().zip(labels).collect();
    if options.s1 {
        let renderer = S1Renderer::new(options.layout, options.seed, &plans)?;
        renderer.write(options, &labelled, &pool, &mut |chunk| tally.add(chunk))?;
    }
    match options.layout {
        DatasetVersion::V1 => tables::write_v1_lists(&options.out, &labelled)?,
        DatasetVersion::V2 => tables::write_v2_tables(&options.out, options.seed, &labelled)?,
    }
    tally.summary(&options.out, &labelled)
}

/// Makes sure that the output folder exists and is empty.
fn prepare(out: &Path) -> Result<(), SampleError> {
    fs::create_dir_all(out).map_err(|e| SampleError::io(out, e))?;
    let mut entries = fs::read_dir(out).map_err(|e| SampleError::io(out, e))?;
    match entries.next() {
        None => Ok(()),
        Some(entry) => {
            let entry = entry.map_err(|e| SampleError::io(out, e))?;
            Err(SampleError::NotEmpty {
                path: out.to_owned(),
                found: entry.file_name().to_string_lossy().into_owned(),
            })
        }
    }
}

/// Counts of what was written.
#[derive(Default)]
struct Tally {
    files: u64,
    bytes: u64,
}

impl Tally {
    fn add(&mut self, chunk: &Chunk) {
        for member in chunk.patches.iter().chain(&chunk.maps) {
            self.files += 1;
            self.bytes += member.bytes.len() as u64;
        }
    }

    fn summary(
        self,
        out: &Path,
        patches: &[tables::Labelled<'_>],
    ) -> Result<SampleSummary, SampleError> {
        let count =
            |keep: &dyn Fn(&PatchPlan) -> bool| patches.iter().filter(|p| keep(p.0)).count() as u64;
        let with_label = |i: usize| patches.iter().filter(|p| p.1.contains(i)).count() as u64;
        let labels = CLC_43.iter().enumerate();
        let labels = labels.map(|(i, class)| (class.name.to_owned(), with_label(i)));
        let acquisitions: std::collections::BTreeSet<_> =
            patches.iter().map(|p| p.0.acquisition).collect();
        Ok(SampleSummary {
            patches: patches.len() as u64,
            files: self.files,
            bytes: self.bytes,
            acquisitions: acquisitions.len() as u64,
            snow: count(&|p| p.weather == Weather::Snow),
            cloud: count(&|p| p.weather == Weather::Cloud),
            labels: labels.filter(|l| l.1 > 0).collect(),
            written: listing(out).map_err(|e| SampleError::io(out, e))?,
        })
    }
}

fn listing(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
