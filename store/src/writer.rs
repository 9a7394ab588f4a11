//! Patches to a store: whole shards first, everything else at the end, the root's metadata last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::manifest::{FormatVersion, Manifest};
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::s1::{Polarisation, S1Manifest, S1SetStatistics};
use chipmill_schemas::statistics::SetStatistics;

use crate::arrays::axes;
use crate::digest::ObjectRecord;
use crate::encode::EncodedPatch;
use crate::error::WriteError;
use crate::layout::{self, StoreShape};
use crate::metadata::{self, ArrayDocument, Nodes};
use crate::object::{remove_stale_temporaries, write_object};
use crate::piecewise::StoreObject;
use crate::row_source::RowSource;
use crate::s1::S1ShardWriter;
use crate::shard_writer::ShardWriter;
use crate::storage;
use crate::units::{self, UnitRow};
use crate::written::{RowFacts, Written};

/// Writes a store. Until [`finalize`](Self::finalize) has ended nothing opens as one.
///
/// Writers in several threads or processes may write different shards of one store, or even the same
/// shard with the same patches: every object is whole or absent.
#[derive(Debug)]
pub struct StoreWriter {
    root: PathBuf,
    shape: StoreShape,
}

impl StoreWriter {
    /// Makes the store's folders and clears temporaries that killed writers left in them.
    ///
    /// # Errors
    /// [`WriteError::Shape`] for an empty store or empty shards; [`WriteError::Io`].
    pub fn new(root: &Path, shape: StoreShape) -> Result<Self, WriteError> {
        if shape.shard_patches == 0 || !(1..=u64::from(u32::MAX)).contains(&shape.patches) {
            return Err(WriteError::Shape {
                patches: shape.patches,
                shard_patches: shape.shard_patches,
            });
        }
        let folders = layout::folders();
        let all = std::iter::once("").chain(folders.iter().map(String::as_str));
        for folder in all {
            let path = layout::object_path(root, folder);
            let prepare = || {
                let storage = storage::of(&path)?;
                storage.make_folder(&path)?;
                storage.clear(&path)
            };
            prepare().map_err(|source| WriteError::Io {
                path: path.clone(),
                source,
            })?;
        }
        for folder in [layout::S1, layout::POLARISATION] {
            let path = layout::object_path(root, folder);
            remove_stale_temporaries(&path).map_err(|source| WriteError::Io { path, source })?;
        }
        let root = root.to_owned();
        Ok(Self { root, shape })
    }

    /// The shape it was made with.
    #[must_use]
    pub fn shape(&self) -> StoreShape {
        self.shape
    }

    /// Writes the three objects of one shard; the same patches give the same bytes.
    ///
    /// # Errors
    /// [`WriteError::ShardLength`] when `patches` are not exactly those of the shard;
    /// [`WriteError::Io`].
    pub fn write_shard(
        &self,
        shard: u64,
        patches: &[EncodedPatch],
    ) -> Result<Vec<ObjectRecord>, WriteError> {
        let expected = self.shape.patches_in_shard(shard);
        if patches.len() as u64 != expected || expected == 0 {
            return Err(WriteError::ShardLength {
                shard,
                found: patches.len(),
                expected,
            });
        }
        let mut writer = self.begin_shard(shard)?;
        patches.iter().try_for_each(|patch| writer.push(patch))?;
        writer.end()
    }

    /// Begins a shard whose patches come one by one. How many they will be is the caller's matter:
    /// [`finalize`](Self::finalize) refuses shards that do not make up the store.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn begin_shard(&self, shard: u64) -> Result<ShardWriter, WriteError> {
        ShardWriter::begin(&self.root, shard, self.shape.shard_patches)
    }

    /// Begins a shard of Sentinel-1, as [`begin_shard`](Self::begin_shard) does one of Sentinel-2.
    ///
    /// # Errors
    /// [`WriteError::Io`].
    pub fn begin_s1_shard(&self, shard: u64) -> Result<S1ShardWriter, WriteError> {
        S1ShardWriter::begin(&self.root, shard, self.shape.shard_patches)
    }

    /// Completes a store of Sentinel-2 alone, whose rows are in memory; see
    /// [`finalize_contents`](Self::finalize_contents).
    ///
    /// # Errors
    /// As there.
    pub fn finalize(
        &self,
        rows: &[PatchRow],
        units: &[UnitRow],
        statistics: Vec<SetStatistics>,
        versions: &[DatasetVersion],
    ) -> Result<Manifest, WriteError> {
        let contents = Contents {
            units,
            statistics,
            versions,
            s1: None,
        };
        self.finalize_contents(rows, contents)
    }

    /// Completes the store: labels, ids, coordinate systems, names along the axes, the tables, and
    /// last the root's metadata, with which the store begins to exist.
    ///
    /// `rows` gives all patches in store order, once; a few thousand of them are in memory at a time.
    /// Calling it again with the same arguments writes the same bytes.
    ///
    /// # Errors
    /// [`WriteError::Inconsistent`] when rows, units, statistics and shards on disk do not agree; then
    /// there is still no store. [`WriteError::Rows`] when the rows cannot be made, [`WriteError::Io`]
    /// when the file system fails.
    pub fn finalize_contents(
        &self,
        rows: &(impl RowSource + ?Sized),
        contents: Contents<'_>,
    ) -> Result<Manifest, WriteError> {
        let s1_units = contents.s1.as_ref().map(|s1| s1.units);
        let mut written = Written::new(self, contents.units, s1_units)?;
        rows.rows(&mut |row| written.push(self, row))?;
        let (mut objects, nodes, facts) = written.end(self, &contents.statistics)?;
        self.check_shards(contents.units, units::shards(&self.shape))?;
        if let Some(units) = s1_units {
            self.check_shards(units, units::s1_shards(&self.shape))?;
        }
        let nodes = self.write_nodes(nodes, s1_units.is_some(), &mut objects)?;
        let mut table = |name, units| {
            let bytes = units::encode(name, units)?;
            objects.push(self.write(name, &bytes)?);
            Ok::<_, WriteError>(())
        };
        table(layout::UNITS, contents.units)?;
        if let Some(units) = s1_units {
            table(layout::S1_UNITS, units)?;
        }
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = self.manifest(&facts, contents)?;
        let root = metadata::root(&manifest, objects, &nodes)?;
        self.write(layout::NODE, &root)?;
        Ok(manifest)
    }

    /// The names along the axes, and the metadata of every node but the root.
    fn write_nodes(
        &self,
        mut nodes: Nodes,
        has_s1: bool,
        objects: &mut Vec<ObjectRecord>,
    ) -> Result<Nodes, WriteError> {
        for array in axes(has_s1) {
            let (path, bytes) = array.chunk(0)?;
            objects.push(self.write(&path, &bytes)?);
            nodes.insert(array.document.path.clone(), array.document.to_json());
        }
        let groups = Resolution::ALL.map(|r| ArrayDocument::pixels(r, &self.shape));
        let s1 = has_s1.then(|| ArrayDocument::s1(&self.shape));
        for document in groups.into_iter().chain(s1) {
            nodes.insert(document.path.clone(), document.to_json());
        }
        let labels = metadata::label_group(&nodes);
        for (path, node) in &nodes {
            let bytes = metadata::render(node.clone())?;
            objects.push(self.write(&layout::metadata_object(path), &bytes)?);
        }
        let path = layout::metadata_object(layout::LABELS);
        objects.push(self.write(&path, &metadata::render(labels)?)?);
        nodes.insert(layout::LABELS.to_owned(), metadata::plain_group());
        Ok(nodes)
    }

    fn manifest(&self, facts: &RowFacts, contents: Contents<'_>) -> Result<Manifest, WriteError> {
        let mut dataset_versions = contents.versions.to_vec();
        dataset_versions.sort_unstable();
        dataset_versions.dedup();
        let s1 = contents.s1.map(S1Contents::manifest).transpose()?;
        Ok(Manifest {
            format_version: FormatVersion::describing(s1.is_some()),
            writer: concat!("chipmill ", env!("CARGO_PKG_VERSION")).to_owned(),
            dataset_versions,
            patches: self.shape.patches,
            shard_patches: self.shape.shard_patches,
            codec: self.shape.codec,
            bands: Band::ALL.to_vec(),
            patch_ids_digest: facts.ids.finalize().to_hex().to_string(),
            statistics: contents.statistics,
            s1,
        })
    }

    /// The units name every shard once, and these are there with the lengths recorded.
    fn check_shards(
        &self,
        units: &[UnitRow],
        shards: impl Iterator<Item = String>,
    ) -> Result<(), WriteError> {
        if let Some((object, reason)) = units::misnamed(units, shards).into_iter().next() {
            return Err(WriteError::Inconsistent { object, reason });
        }
        for record in units.iter().flat_map(|u| &u.objects) {
            let path = layout::object_path(&self.root, &record.path);
            let found = storage::of(&path).and_then(|s| s.length(&path));
            let found = found.map_err(|source| WriteError::Io { path, source })?;
            if found != record.bytes {
                let expected = record.bytes;
                let reason = format!("it has {found} bytes, its unit recorded {expected}");
                return Err(inconsistent(&record.path, reason));
            }
        }
        Ok(())
    }

    /// Begins an object that grows piece by piece.
    pub(crate) fn begin(&self, object: &str) -> Result<StoreObject, WriteError> {
        StoreObject::begin(&self.root, object.to_owned())
    }

    pub(crate) fn write(&self, object: &str, bytes: &[u8]) -> Result<ObjectRecord, WriteError> {
        let path = layout::object_path(&self.root, object);
        match write_object(&path, bytes) {
            Ok(()) => Ok(ObjectRecord::of(object, bytes)),
            Err(source) => Err(WriteError::Io { path, source }),
        }
    }
}

/// What a store is completed with, besides its rows.
#[derive(Debug)]
pub struct Contents<'a> {
    /// In ascending order; they partition the rows and name every shard once.
    pub units: &'a [UnitRow],
    /// Of all patches, then of each split that occurs.
    pub statistics: Vec<SetStatistics>,
    /// Releases that the patches come from.
    pub versions: &'a [DatasetVersion],
    /// Sentinel-1, if the store is to have it.
    pub s1: Option<S1Contents<'a>>,
}

/// The Sentinel-1 part of a store.
#[derive(Debug)]
pub struct S1Contents<'a> {
    /// In ascending order; they partition the rows and name every shard of Sentinel-1 once.
    pub units: &'a [UnitRow],
    /// Of all patches, then of each split that occurs among those with Sentinel-1.
    pub statistics: Vec<S1SetStatistics>,
}

impl S1Contents<'_> {
    fn manifest(self) -> Result<S1Manifest, WriteError> {
        let all = self.statistics.first().filter(|s| s.split.is_none());
        let wrong = || {
            inconsistent(
                layout::S1,
                "there are no statistics of all patches".to_owned(),
            )
        };
        Ok(S1Manifest {
            polarisations: Polarisation::ALL.to_vec(),
            patches: all.ok_or_else(wrong)?.patches,
            statistics: self.statistics,
        })
    }
}

pub(crate) fn inconsistent(object: &str, reason: String) -> WriteError {
    WriteError::Inconsistent {
        object: object.to_owned(),
        reason,
    }
}

/// The sets that statistics must cover, in their order, with their numbers of patches.
pub(crate) fn sets(rows: &[PatchRow]) -> Vec<(Option<Split>, u64)> {
    let mut splits = BTreeMap::new();
    for split in rows.iter().filter_map(|r| r.split) {
        *splits.entry(split).or_insert(0) += 1;
    }
    let all = std::iter::once((None, rows.len() as u64));
    all.chain(splits.into_iter().map(|(split, n)| (Some(split), n)))
        .collect()
}
