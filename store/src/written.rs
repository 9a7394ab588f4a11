//! What follows from the rows, made while they pass: small arrays, the patch table, and what they must
//! agree with.

use std::collections::BTreeMap;

use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::statistics::SetStatistics;

use crate::arrays::{Column, columns};
use crate::digest::ObjectRecord;
use crate::error::WriteError;
use crate::layout;
use crate::metadata::Nodes;
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
    columns: Vec<Column>,
    table: TableWriter,
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
            columns: columns(store.shape().patches),
            table: TableWriter::new()?,
            objects: Vec::new(),
        })
    }

    pub(crate) fn push(&mut self, store: &StoreWriter, row: PatchRow) -> Result<(), WriteError> {
        self.facts.take(&row)?;
        if self.facts.patches > store.shape().patches {
            return Err(too_many_or_few(self.facts.patches, store.shape().patches));
        }
        self.partitions.iter_mut().for_each(|p| p.take(&row.id));
        for column in &mut self.columns {
            if let Some((path, bytes)) = column.push(&row)? {
                self.objects.push(store.write(&path, &bytes)?);
            }
        }
        Ok(self.table.push(row)?)
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
        // What one no longer needs is freed before the next: rows of a whole chunk are in all of them.
        let table = self.table.end()?;
        let mut nodes = Nodes::new();
        for mut column in self.columns {
            if let Some((path, bytes)) = column.end()? {
                self.objects.push(store.write(&path, &bytes)?);
            }
            let document = column.document();
            nodes.insert(document.path.clone(), document.to_json());
        }
        self.objects.push(store.write(layout::PATCHES, &table)?);
        Ok((self.objects, nodes, self.facts))
    }
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
