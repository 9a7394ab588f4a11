//! Patches to a store: whole shards first, everything else at the end, the root's metadata last.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::manifest::{FormatVersion, Manifest};
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::statistics::SetStatistics;

use crate::arrays::small_arrays;
use crate::digest::{ObjectRecord, patch_ids_digest};
use crate::encode::EncodedPatch;
use crate::error::WriteError;
use crate::layout::{self, StoreShape};
use crate::metadata::{self, ArrayDocument, Nodes};
use crate::object::{create_folder, remove_stale_temporaries, write_object};
use crate::shard_writer::ShardWriter;
use crate::units::UnitRow;
use crate::{table, units};

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
                if !path.is_dir() {
                    create_folder(&path)?;
                }
                remove_stale_temporaries(&path)
            };
            prepare().map_err(|source| WriteError::Io {
                path: path.clone(),
                source,
            })?;
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

    /// Completes the store: labels, ids, coordinate systems, names along the axes, both tables, and
    /// last the root's metadata, with which the store begins to exist.
    ///
    /// `rows` are all patches in store order; `units`, in ascending order, partition them and name
    /// every shard once; `statistics` are those of all patches, then of each split that occurs.
    /// Calling it again with the same arguments writes the same bytes.
    ///
    /// # Errors
    /// [`WriteError::Inconsistent`] when rows, units, statistics and shards on disk do not agree; then
    /// there is still no store. [`WriteError::Io`] when the file system fails.
    pub fn finalize(
        &self,
        rows: &[PatchRow],
        units: &[UnitRow],
        statistics: Vec<SetStatistics>,
        versions: &[DatasetVersion],
    ) -> Result<Manifest, WriteError> {
        check_rows(rows, &self.shape)?;
        check_sets(rows, &statistics)?;
        self.check_units(rows, units)?;
        let (mut objects, nodes) = self.write_nodes(rows)?;
        objects.push(self.write(layout::PATCHES, &table::encode(rows)?)?);
        objects.push(self.write(layout::UNITS, &units::encode(units)?)?);
        objects.sort_by(|a, b| a.path.cmp(&b.path));
        let manifest = self.manifest(rows, statistics, versions);
        let root = metadata::root(&manifest, objects, &nodes)?;
        self.write(layout::NODE, &root)?;
        Ok(manifest)
    }

    /// Small arrays and the metadata of every node but the root.
    fn write_nodes(&self, rows: &[PatchRow]) -> Result<(Vec<ObjectRecord>, Nodes), WriteError> {
        let mut objects = Vec::new();
        let mut nodes = Nodes::new();
        for array in small_arrays(rows) {
            for (path, bytes) in array.chunks()? {
                objects.push(self.write(&path, &bytes)?);
            }
            nodes.insert(array.document.path.clone(), array.document.to_json());
        }
        for resolution in Resolution::ALL {
            let document = ArrayDocument::pixels(resolution, &self.shape);
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
        Ok((objects, nodes))
    }

    fn manifest(
        &self,
        rows: &[PatchRow],
        statistics: Vec<SetStatistics>,
        versions: &[DatasetVersion],
    ) -> Manifest {
        let mut dataset_versions = versions.to_vec();
        dataset_versions.sort_unstable();
        dataset_versions.dedup();
        Manifest {
            format_version: FormatVersion::CURRENT,
            writer: concat!("chipmill ", env!("CARGO_PKG_VERSION")).to_owned(),
            dataset_versions,
            patches: self.shape.patches,
            shard_patches: self.shape.shard_patches,
            codec: self.shape.codec,
            bands: Band::ALL.to_vec(),
            patch_ids_digest: patch_ids_digest(rows.iter().map(|r| &r.id)),
            statistics,
        }
    }

    fn write(&self, object: &str, bytes: &[u8]) -> Result<ObjectRecord, WriteError> {
        let path = layout::object_path(&self.root, object);
        match write_object(&path, bytes) {
            Ok(()) => Ok(ObjectRecord::of(object, bytes)),
            Err(source) => Err(WriteError::Io { path, source }),
        }
    }

    fn check_units(&self, rows: &[PatchRow], units: &[UnitRow]) -> Result<(), WriteError> {
        let wrong = units::disagreements(units, rows, &self.shape);
        if let Some((object, reason)) = wrong.into_iter().next() {
            return Err(WriteError::Inconsistent { object, reason });
        }
        for record in units.iter().flat_map(|u| &u.objects) {
            let path = layout::object_path(&self.root, &record.path);
            let found = fs::metadata(&path).map(|m| m.len());
            let found = found.map_err(|source| WriteError::Io { path, source })?;
            if found != record.bytes {
                let expected = record.bytes;
                let reason = format!("it has {found} bytes, its unit recorded {expected}");
                return Err(inconsistent(&record.path, reason));
            }
        }
        Ok(())
    }
}

fn inconsistent(object: &str, reason: String) -> WriteError {
    WriteError::Inconsistent {
        object: object.to_owned(),
        reason,
    }
}

fn check_rows(rows: &[PatchRow], shape: &StoreShape) -> Result<(), WriteError> {
    let (found, expected) = (rows.len(), shape.patches);
    if found as u64 != expected {
        let reason = format!("there are {found} rows, expected {expected}");
        return Err(inconsistent(layout::PATCHES, reason));
    }
    match rows.windows(2).find(|w| w[0].id >= w[1].id) {
        Some(w) => {
            let reason = format!("{} must not come after {}", w[1].id, w[0].id);
            Err(inconsistent(layout::PATCHES, reason))
        }
        None => Ok(()),
    }
}

fn check_sets(rows: &[PatchRow], statistics: &[SetStatistics]) -> Result<(), WriteError> {
    let found: Vec<_> = statistics.iter().map(|s| (s.split, s.patches)).collect();
    let expected = sets(rows);
    if found == expected {
        return Ok(());
    }
    let reason = format!("the statistics cover {found:?} (split, patches), expected {expected:?}");
    Err(inconsistent(layout::NODE, reason))
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
