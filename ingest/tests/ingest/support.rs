//! Small raw data sets, and looking at what became of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use chipmill_ingest::{IngestError, IngestOptions, Silent, ingest};
use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::selection::Selection;

/// One file of a patch: its name in the patch's folder, and its bytes.
pub(crate) type File = (String, Vec<u8>);

/// A raw patch, to be changed by a test before it is written.
#[derive(Debug, Clone)]
pub(crate) struct Patch {
    pub(crate) id: String,
    pub(crate) files: Vec<File>,
}

impl Patch {
    /// A v2 patch; its pixels follow from `number`.
    pub(crate) fn v2(number: u16) -> Self {
        let (h, v) = (number / 10, number % 10);
        let id = format!("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_{h:02}_{v:02}");
        let files = Band::ALL.map(|b| (format!("{id}_{b}.tif"), band_file(b, number)));
        Self {
            id,
            files: files.to_vec(),
        }
    }

    /// A v1 patch with a label file.
    pub(crate) fn v1(number: u16) -> Self {
        let id = format!("S2B_MSIL2A_20170924T93021_{}_{}", number / 10, number % 10);
        let v2 = Self::v2(number);
        let rename = |(name, bytes): File| (name.replace(&v2.id, &id), bytes);
        let mut files: Vec<File> = v2.files.into_iter().map(rename).collect();
        let json =
            r#"{"labels": ["Bare rock", "Pastures"], "acquisition_date": "2017-09-24 09:30:21"}"#;
        files.push((
            format!("{id}_labels_metadata.json"),
            json.as_bytes().to_vec(),
        ));
        Self { id, files }
    }

    /// The bytes of one band's file.
    pub(crate) fn band(&mut self, band: Band) -> &mut Vec<u8> {
        let name = format!("{}_{band}.tif", self.id);
        &mut self.files.iter_mut().find(|f| f.0 == name).unwrap().1
    }

    pub(crate) fn without(mut self, band: Band) -> Self {
        self.files
            .retain(|f| !f.0.ends_with(&format!("_{band}.tif")));
        self
    }

    fn folder(&self) -> String {
        match self.id.split_once("_N9999") {
            Some(_) => format!("{}/{}", &self.id[..self.id.len() - 6], self.id),
            None => self.id.clone(),
        }
    }
}

/// The Sentinel-1 patch of a patch, which its label file names; its pixels follow from `number`.
pub(crate) fn s1(patch: &Patch, number: u16) -> Patch {
    let (h, v) = (number / 10, number % 10);
    // Ordered otherwise than the patches they belong to.
    let second = 59 - number % 60;
    let id = format!("S1A_IW_GRDH_1SDV_20170613T1650{second:02}_33UUP_{h}_{v}");
    let pixel = |i: u16| -6.0 - f32::from(number) / 8.0 - f32::from(i % 113) / 16.0;
    let band = |offset: f32| s1_tiff(&(0..14_400).map(|i| pixel(i) - offset).collect::<Vec<_>>());
    let json = format!(
        r#"{{"labels": [], "corresponding_s2_patch": "{}"}}"#,
        patch.id
    );
    let files = vec![
        (format!("{id}_VH.tif"), band(7.0)),
        (format!("{id}_VV.tif"), band(0.0)),
        (format!("{id}_labels_metadata.json"), json.into_bytes()),
    ];
    Patch { id, files }
}

/// The Sentinel-1 patches of some patches, in the order of their names.
pub(crate) fn s1_of(patches: &[Patch]) -> Vec<Patch> {
    let mut all: Vec<_> = patches.iter().zip(0..).map(|(p, n)| s1(p, n)).collect();
    all.sort_by(|a, b| a.id.cmp(&b.id));
    all
}

/// A Sentinel-1 file of 120 x 120 pixels in one strip, without georeference.
fn s1_tiff(pixels: &[f32]) -> Vec<u8> {
    let mut out = tiff(120, &[]);
    // Bits a sample, bytes of the strip, sample format: the third, ninth and eleventh entry.
    for (entry, value) in [(2, 32), (8, 4 * 14_400), (10, 3u32)] {
        let at = 10 + 12 * entry + 8;
        out[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }
    pixels.iter().for_each(|p| out.extend(p.to_le_bytes()));
    out
}

pub(crate) fn v2(count: u16) -> Vec<Patch> {
    (0..count).map(Patch::v2).collect()
}

fn band_file(band: Band, number: u16) -> Vec<u8> {
    let side = u16::try_from(band.resolution().side()).unwrap();
    let code = u16::try_from(band.index()).unwrap();
    let pixel = |i: u16| 1000 + 37 * code + 11 * number + i % 97;
    tiff(side, &(0..side * side).map(pixel).collect::<Vec<_>>())
}

/// A band file of the official layout in one strip, without georeference.
pub(crate) fn tiff(side: u16, pixels: &[u16]) -> Vec<u8> {
    const TAGS: [u16; 11] = [256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 339];
    let data_at = 8 + 2 + 12 * 11 + 4;
    let side = u32::from(side);
    let values = [
        side,
        side,
        16,
        1,
        1,
        data_at,
        1,
        side,
        side * side * 2,
        1,
        1,
    ];
    let mut out = b"II*\0\x08\0\0\0\x0b\0".to_vec();
    for (tag, value) in TAGS.into_iter().zip(values) {
        out.extend(tag.to_le_bytes());
        out.extend(4u16.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    pixels.iter().for_each(|p| out.extend(p.to_le_bytes()));
    out
}

pub(crate) fn write_folder(root: &Path, patches: &[Patch]) {
    for patch in patches {
        let folder = root.join(patch.folder());
        fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &patch.files {
            fs::write(folder.join(name), bytes).unwrap();
        }
    }
}

/// A tar archive of patches in the order given.
pub(crate) fn tar(patches: &[Patch]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for patch in patches {
        for (name, bytes) in &patch.files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            let path = format!("BigEarthNet/{}/{name}", patch.folder());
            builder.append_data(&mut header, path, &bytes[..]).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn options(source: &Path, store: &Path) -> IngestOptions {
    IngestOptions {
        sources: vec![source.to_owned()],
        store: store.to_owned(),
        threads: 2,
        shard_patches: 4,
        ..IngestOptions::default()
    }
}

/// The first patches of a source.
pub(crate) fn first(limit: usize) -> Selection {
    Selection {
        limit,
        ..Selection::default()
    }
}

pub(crate) fn run(options: &IngestOptions) -> Result<IngestSummary, IngestError> {
    ingest(options, &AtomicBool::new(false), &Silent)
}

/// Ingests into a new folder and gives the summary and all objects of the store.
pub(crate) fn stored(options: &IngestOptions) -> (IngestSummary, BTreeMap<PathBuf, Vec<u8>>) {
    let summary = run(options).unwrap();
    (summary, objects(&options.store))
}

/// All files of a store outside `.ingest`.
pub(crate) fn objects(store: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = files(store);
    found.retain(|path| !path.starts_with(".ingest"));
    let read = |path: PathBuf| (path.clone(), fs::read(store.join(path)).unwrap());
    found.into_iter().map(read).collect()
}

/// The paths of all files below a folder, as seen from it.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    found
}

/// A temporary folder in memory where there is such a place: hundreds of ingests shall not wait for a
/// disk.
pub(crate) fn memory_dir() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// Whether there is time for everything.
pub(crate) fn is_long_campaign() -> bool {
    std::env::var("CHIPMILL_CAMPAIGN").is_ok_and(|v| v == "long")
}

/// Names only what differs: stores are too large to print.
pub(crate) fn assert_same(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) {
    let paths: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
    let differing: Vec<_> = paths
        .into_iter()
        .filter(|&p| a.get(p) != b.get(p))
        .collect();
    assert!(differing.is_empty(), "these objects differ: {differing:?}");
}

/// The summary without what differs from call to call.
pub(crate) fn timeless(summary: IngestSummary) -> IngestSummary {
    IngestSummary {
        seconds: 0.0,
        cpu_seconds: 0.0,
        patches_per_s: 0.0,
        ..summary
    }
}

/// The message with all its causes.
pub(crate) fn chain(error: &IngestError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
