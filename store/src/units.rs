//! `units.parquet`: what each unit of work wrote, so that `.ingest` may be deleted afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow_schema::{DataType, Field, Schema};
use chipmill_schemas::band::Resolution;
use chipmill_schemas::patch_id::PatchId;
use serde::{Deserialize, Serialize};

use crate::columns::{Columns, TableError, read_batches, write_batch};
use crate::digest::ObjectRecord;
use crate::layout::{self, StoreShape};

/// One unit of work: consecutive patches of the store, and the shards that hold them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRow {
    /// Number of the unit.
    pub unit: u64,
    /// BLAKE3 over the unit's patch ids, each followed by a line feed (hex).
    pub patch_ids_digest: String,
    /// Patches of the unit.
    pub patches: u64,
    /// The shards it wrote.
    pub objects: Vec<ObjectRecord>,
}

/// The bytes of the object of a table of units.
pub(crate) fn encode(table: &'static str, units: &[UnitRow]) -> Result<Vec<u8>, TableError> {
    let number = |f: fn(&UnitRow) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(units.iter().map(f)))
    };
    let digests = units.iter().map(|u| &u.patch_ids_digest);
    let columns = vec![
        number(|u| u.unit),
        Arc::new(StringArray::from_iter_values(digests)),
        number(|u| u.patches),
        texts(units, |o| &o.path),
        lengths(units),
        texts(units, |o| &o.digest),
    ];
    write_batch(table, Arc::new(schema()), columns)
}

fn schema() -> Schema {
    let field = |name, kind| Field::new(name, kind, false);
    let list = |name, kind| Field::new_list(name, element(kind), false);
    Schema::new(vec![
        field("unit", DataType::UInt64),
        field("patch_ids_digest", DataType::Utf8),
        field("patches", DataType::UInt64),
        list("object_path", DataType::Utf8),
        list("object_bytes", DataType::UInt64),
        list("object_digest", DataType::Utf8),
    ])
}

fn element(kind: DataType) -> Field {
    Field::new("element", kind, false)
}

fn texts(units: &[UnitRow], text: fn(&ObjectRecord) -> &str) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element(DataType::Utf8));
    for unit in units {
        let values = unit.objects.iter().map(text);
        values.for_each(|v| lists.values().append_value(v));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

fn lengths(units: &[UnitRow]) -> ArrayRef {
    let values = PrimitiveBuilder::<UInt64Type>::new();
    let mut lists = ListBuilder::new(values).with_field(element(DataType::UInt64));
    for unit in units {
        let values = unit.objects.iter().map(|o| o.bytes);
        values.for_each(|v| lists.values().append_value(v));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

/// Its columns.
const READ: [&str; 6] = [
    "unit",
    "patch_ids_digest",
    "patches",
    "object_path",
    "object_bytes",
    "object_digest",
];

/// Reads a table of units.
pub(crate) fn decode(table: &'static str, bytes: Vec<u8>) -> Result<Vec<UnitRow>, TableError> {
    let mut units = Vec::new();
    for batch in read_batches(table, bytes, &READ)? {
        decode_batch(table, &batch?, &mut units)?;
    }
    Ok(units)
}

fn decode_batch(
    table: &'static str,
    batch: &RecordBatch,
    units: &mut Vec<UnitRow>,
) -> Result<(), TableError> {
    let columns = Columns::new(table, batch, units.len());
    let unit = columns.numbers::<UInt64Type>("unit")?;
    let patches = columns.numbers::<UInt64Type>("patches")?;
    let [digest] = columns.texts(["patch_ids_digest"])?;
    let paths = columns.lists("object_path")?;
    let lengths = columns.lists("object_bytes")?;
    let digests = columns.lists("object_digest")?;
    for i in 0..batch.num_rows() {
        let objects = objects(paths, lengths, digests, i);
        units.push(UnitRow {
            unit: unit.value(i),
            patch_ids_digest: columns.required(digest, "patch_ids_digest", i)?.to_owned(),
            patches: patches.value(i),
            objects: objects.ok_or_else(|| {
                columns.error("object_path", i, &"the three lists do not belong together")
            })?,
        });
    }
    Ok(())
}

fn objects(
    paths: &ListArray,
    lengths: &ListArray,
    digests: &ListArray,
    row: usize,
) -> Option<Vec<ObjectRecord>> {
    let (paths, lengths, digests) = (paths.value(row), lengths.value(row), digests.value(row));
    let paths = paths.as_string_opt::<i32>()?;
    let lengths = lengths.as_primitive_opt::<UInt64Type>()?;
    let digests = digests.as_string_opt::<i32>()?;
    if paths.len() != lengths.len() || paths.len() != digests.len() {
        return None;
    }
    let each = paths.iter().zip(lengths).zip(digests);
    each.map(|((path, bytes), digest)| {
        Some(ObjectRecord {
            path: path?.to_owned(),
            bytes: bytes?,
            digest: digest?.to_owned(),
        })
    })
    .collect()
}

/// The units whose patches the rows must be, taken in row by row.
#[derive(Debug)]
pub(crate) struct Partition<'a> {
    table: &'static str,
    units: &'a [UnitRow],
    /// The unit of the next row, and how many rows it has had.
    next: usize,
    rows: u64,
    hasher: blake3::Hasher,
    /// Rows beyond the last unit, and the first of them.
    rest: u64,
    first_beyond: Option<String>,
    found: Vec<(String, String)>,
}

impl<'a> Partition<'a> {
    pub(crate) fn new(table: &'static str, units: &'a [UnitRow]) -> Self {
        let mut found = Vec::new();
        if units.windows(2).any(|w| w[0].unit >= w[1].unit) {
            let reason = "the units are not in ascending order".to_owned();
            found.push((table.to_owned(), reason));
        }
        Self {
            table,
            units,
            next: 0,
            rows: 0,
            hasher: blake3::Hasher::new(),
            rest: 0,
            first_beyond: None,
            found,
        }
    }

    pub(crate) fn take(&mut self, id: &PatchId) {
        while self
            .units
            .get(self.next)
            .is_some_and(|u| u.patches == self.rows)
        {
            self.end_unit();
        }
        if self.next == self.units.len() {
            self.rest += 1;
            self.first_beyond.get_or_insert_with(|| id.to_string());
            return;
        }
        self.hasher.update(id.as_str().as_bytes()).update(b"\n");
        self.rows += 1;
    }

    fn end_unit(&mut self) {
        let hasher = std::mem::replace(&mut self.hasher, blake3::Hasher::new());
        let digest = hasher.finalize().to_hex();
        let rows = std::mem::take(&mut self.rows);
        if let Some(unit) = self.units.get(self.next)
            && (rows != unit.patches || *digest != *unit.patch_ids_digest)
        {
            let reason = format!(
                "unit {} holds other patches than the next {} rows of {}",
                unit.unit,
                unit.patches,
                layout::PATCHES
            );
            self.found.push((self.table.to_owned(), reason));
        }
        self.next += 1;
    }

    /// Where units and rows do not agree: the object at fault, and what is wrong with it.
    pub(crate) fn end(mut self) -> Vec<(String, String)> {
        while self.next < self.units.len() {
            self.end_unit();
        }
        if let Some(first) = self.first_beyond {
            let reason = format!("no unit holds {} patches, from {first} on", self.rest);
            self.found.push((self.table.to_owned(), reason));
        }
        self.found
    }
}

/// Where the units do not name each of these shards once: the object at fault, and what is wrong with
/// it.
pub(crate) fn misnamed(
    units: &[UnitRow],
    shards: impl Iterator<Item = String>,
) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut named: BTreeMap<&str, usize> = BTreeMap::new();
    for object in units.iter().flat_map(|u| &u.objects) {
        *named.entry(object.path.as_str()).or_default() += 1;
    }
    let expected: BTreeSet<String> = shards.collect();
    for object in &expected {
        match named.get(object.as_str()).copied().unwrap_or(0) {
            1 => {}
            n => {
                let reason = format!("{n} units have written it, expected 1");
                found.push((object.clone(), reason));
            }
        }
    }
    for object in named.keys().filter(|o| !expected.contains(**o)) {
        let reason = "it is no shard of this store".to_owned();
        found.push(((*object).to_owned(), reason));
    }
    found
}

/// The shards of the Sentinel-2 groups.
pub(crate) fn shards(shape: &StoreShape) -> impl Iterator<Item = String> {
    (0..shape.shards()).flat_map(|k| Resolution::ALL.map(|r| layout::shard_object(r, k)))
}

/// The shards of Sentinel-1.
pub(crate) fn s1_shards(shape: &StoreShape) -> impl Iterator<Item = String> {
    (0..shape.shards()).map(layout::s1_shard_object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_back_as_they_were() {
        let object = |path: &str| ObjectRecord::of(path, path.as_bytes());
        let unit = |unit, objects| UnitRow {
            unit,
            patch_ids_digest: crate::digest(b"ids"),
            patches: unit * 3 + 1,
            objects,
        };
        let units = vec![
            unit(0, vec![object("10m/c.0.0.0.0"), object("20m/c.0.0.0.0")]),
            unit(1, vec![]),
        ];
        let bytes = encode(layout::UNITS, &units).unwrap();
        assert_eq!(decode(layout::UNITS, bytes).unwrap(), units);
    }
}
