//! What follows from the rows, made while they pass: small arrays, the patch table, and what they must
//! agree with.

use std::collections::BTreeMap;

use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::statistics::SetStatistics;

use crate::arrays::Chunk;
use crate::digest::ObjectRecord;
use crate::error::WriteError;
use crate::layout;
use crate::metadata::Nodes;
use crate::patch_arrays::PatchArrays;
use crate::piecewise::StoreObject;
use crate::table::TableWriter;
use crate::units::{Partition, UnitRow};
use crate::writer::{StoreWriter, inconsistent};

/// What is learnt of the rows while they are written.
pub(crate) struct RowFacts {
    patches: u64,
    last: Option<PatchId>,
    pub(crate) ids: blake3::Hasher,
    splits: BTreeMap<Split, u64>,
}

/// The tables and arrays that follow from the rows, in the making.
pub(crate) struct Written<'a> {
    facts: RowFacts,
    partitions: Vec<Partition<'a>>,
    arrays: PatchArrays,
    table: TableWriter,
    table_object: StoreObject,
    objects: Vec<ObjectRecord>,
}

impl<'a> Written<'a> {
    pub(crate) fn new(
        store: &StoreWriter,
        units: &'a [UnitRow],
        s1_units: Option<&'a [UnitRow]>,
    ) -> Result<Self, WriteError> {
        let of_s1 = s1_units.map(|units| Partition::new(layout::S1_UNITS, units));
        let partitions = std::iter::once(Partition::new(layout::UNITS, units));
        Ok(Self {
            facts: RowFacts {
                patches: 0,
                last: None,
                ids: blake3::Hasher::new(),
                splits: BTreeMap::new(),
            },
            partitions: partitions.chain(of_s1).collect(),
            arrays: PatchArrays::new(store.shape().patches),
            table: TableWriter::new()?,
            table_object: store.begin(layout::PATCHES)?,
            objects: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, store: &StoreWriter, row: PatchRow) -> Result<(), WriteError> {
        self.facts.take(&row)?;
        if self.facts.patches > store.shape().patches {
            return Err(too_many_or_few(self.facts.patches, store.shape().patches));
        }
        self.partitions.iter_mut().for_each(|p| p.take(&row.id));
        let objects = &mut self.objects;
        self.arrays
            .push(&row, &mut |chunk| keep(store, chunk, objects))?;
        self.table_object.push(&self.table.push(row)?)
    }

    pub(crate) fn end(
        mut self,
        store: &StoreWriter,
        statistics: &[SetStatistics],
    ) -> Result<(Vec<ObjectRecord>, Nodes, RowFacts), WriteError> {
        let (found, expected) = (self.facts.patches, store.shape().patches);
        if found != expected {
            return Err(too_many_or_few(found, expected));
        }
        check_sets(&self.facts.sets(), statistics)?;
        let wrong = self.partitions.into_iter().flat_map(Partition::end).next();
        if let Some((object, reason)) = wrong {
            return Err(WriteError::Inconsistent { object, reason });
        }
        // Before the arrays, which need memory: the table's last rows are not compressed yet.
        self.table_object.push(&self.table.end()?)?;
        let objects = &mut self.objects;
        self.arrays.end(&mut |chunk| keep(store, chunk, objects))?;
        objects.push(self.table_object.end()?);
        let documents = self.arrays.documents();
        let nodes = documents.map(|d| (d.path.clone(), d.to_json())).collect();
        Ok((self.objects, nodes, self.facts))
    }
}

fn keep(
    store: &StoreWriter,
    (path, bytes): Chunk,
    objects: &mut Vec<ObjectRecord>,
) -> Result<(), WriteError> {
    objects.push(store.write(&path, &bytes)?);
    Ok(())
}

impl RowFacts {
    fn take(&mut self, row: &PatchRow) -> Result<(), WriteError> {
        if let Some(last) = self.last.as_ref().filter(|last| **last >= row.id) {
            let reason = format!("{} must not come after {last}", row.id);
            return Err(inconsistent(layout::PATCHES, reason));
        }
        self.patches += 1;
        self.last = Some(row.id.clone());
        self.ids.update(row.id.as_str().as_bytes()).update(b"\n");
        if let Some(split) = row.split {
            *self.splits.entry(split).or_insert(0) += 1;
        }
        Ok(())
    }

    /// The sets that statistics must cover, in their order, with their numbers of patches.
    fn sets(&self) -> Vec<(Option<Split>, u64)> {
        let all = std::iter::once((None, self.patches));
        let splits = self.splits.iter();
        all.chain(splits.map(|(&split, &n)| (Some(split), n)))
            .collect()
    }
}

fn too_many_or_few(found: u64, expected: u64) -> WriteError {
    let reason = format!("there are {found} rows, expected {expected}");
    inconsistent(layout::PATCHES, reason)
}

fn check_sets(
    expected: &[(Option<Split>, u64)],
    statistics: &[SetStatistics],
) -> Result<(), WriteError> {
    let found: Vec<_> = statistics.iter().map(|s| (s.split, s.patches)).collect();
    if found == expected {
        return Ok(());
    }
    let reason = format!("the statistics cover {found:?} (split, patches), expected {expected:?}");
    Err(inconsistent(layout::NODE, reason))
}
