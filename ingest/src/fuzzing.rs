//! Readers of what comes from outside, for the fuzz targets in `fuzz/` alone: they are private for good
//! reasons, and each is given bytes, asserts what it promises, and gives nothing back.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::PathBuf;

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::patch_id::PatchId;

use crate::catalog::label_file;
use crate::decode;
use crate::source::archive::{self, Receiver};
use crate::source::input::Input;
use crate::source::{Archive, Compression, Content, FILE_CAP, FileRole, RawFiles, RawPatch};
use crate::statistics;

/// A band file, as one of each resolution: what the strict parser reads, GDAL reads alike or not at all.
pub fn tiff(bytes: &[u8]) {
    for resolution in Resolution::ALL {
        let side = resolution.side();
        decode::read_alike(bytes, side, &mut vec![0; side * side]);
    }
}

/// A patch id: it gives back its text, and no other text is equal to it.
pub fn patch_id(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(id) = text.parse::<PatchId>() {
        assert_eq!(id.as_str(), text);
        assert!(id.h() < 100 && id.v() < 100 && id.date().len() == 10);
        assert!(id.acquisition().len() < text.len());
    }
    let halves: Vec<_> = text.splitn(2, '\n').map(str::parse::<PatchId>).collect();
    if let [Ok(a), Ok(b)] = &halves[..] {
        assert_eq!(a.cmp(b).is_eq(), a == b);
        assert_eq!(a.cmp(b), b.cmp(a).reverse());
    }
    if let Some((id, rest)) = PatchId::split_file_name(&text) {
        assert_eq!(format!("{id}_{rest}"), text);
    }
}

/// A v1 label file.
pub fn label_file(bytes: &[u8]) {
    match label_file::read(bytes) {
        Ok(told) => assert!(told.labels_43.is_some()),
        Err(reason) => assert!(reason.len() < 1_000),
    }
}

/// A metadata file.
///
/// # Errors
/// As an ingest that is given it.
pub fn tables(path: &std::path::Path) -> Result<(), crate::IngestError> {
    crate::catalog::Catalog::load(&[path.to_owned()], None).map(|_| ())
}

/// A tar stream: patches come with whole names and files within the cap, each once at a time.
pub fn archive(bytes: &[u8]) {
    let mut all = All::default();
    let source = Archive {
        input: Input::Files(vec![PathBuf::from("fuzzed.tar")]),
        compression: Compression::None,
        content: Content::Patches,
    };
    // That it is damaged is fine.
    let _ = archive::stream_bytes(&source, bytes.to_vec(), &mut all);
}

/// Histograms of a unit.
pub fn histograms(bytes: &[u8]) {
    if let Ok(histograms) = statistics::from_bytes(bytes) {
        let again = statistics::to_bytes(&histograms).unwrap_or_default();
        assert!(statistics::from_bytes(&again).is_ok_and(|h| h == histograms));
    }
}

#[derive(Default)]
struct All(HashSet<PatchId>);

impl Receiver for All {
    fn wants(&mut self, id: &PatchId) -> bool {
        !self.0.contains(id)
    }

    fn receive(&mut self, id: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        if let Some(patch) = patch {
            let RawFiles::Memory(files) = &patch.files else {
                unreachable!("an archive's files are in memory");
            };
            let length = |band| files.get(FileRole::Band(band)).map_or(0, <[u8]>::len);
            assert!(patch.id == id && Band::ALL.map(length).iter().all(|&l| l as u64 <= FILE_CAP));
        }
        self.0.insert(id);
        ControlFlow::Continue(())
    }
}
