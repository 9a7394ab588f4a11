//! v2's `metadata.parquet` tables.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, ListArray, RecordBatch, StringArray};
use arrow_schema::DataType;
use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::patch::Split;
use chipmill_schemas::patch_id::PatchId;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::{Listed, sound};
use crate::IngestError;

/// First (and last) bytes of a parquet file.
pub(super) const MAGIC: &[u8] = b"PAR1";

const REQUIRED: [&str; 3] = ["patch_id", "labels", "split"];
const OPTIONAL: [&str; 5] = [
    "country",
    "s1_name",
    "s2v1_name",
    "contains_seasonal_snow",
    "contains_cloud_or_shadow",
];

/// Reads a table and gives each row on.
pub(super) fn read(
    path: &Path,
    give: &mut dyn FnMut(PatchId, Listed) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let damaged = |e: String| {
        IngestError::metadata(
            path,
            format!("is a damaged or truncated parquet table: {e}"),
        )
    };
    // The arrow schema that some writers embed would give strings in many forms; the parquet one
    // gives them in one.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let file = File::open(path).map_err(IngestError::reading(path))?;
    let length = file.metadata().map_err(IngestError::reading(path))?.len();
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
        .map_err(|e| damaged(e.to_string()))?;
    sound::check(builder.metadata(), length).map_err(damaged)?;
    let present: Vec<String> = builder
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    if let Some(column) = REQUIRED.iter().find(|c| !present.iter().any(|p| p == *c)) {
        let reason = format!("has no column `{column}`; found {}", present.join(", "));
        return Err(IngestError::metadata(path, reason));
    }
    let used = REQUIRED.iter().chain(&OPTIONAL).copied();
    let mask = ProjectionMask::columns(builder.parquet_schema(), used);
    let reader = builder
        .with_projection(mask)
        .build()
        .map_err(|e| damaged(e.to_string()))?;
    let mut row = 0;
    for batch in sound::caught(reader) {
        let batch = batch.map_err(damaged)?;
        let columns = Columns::of(path, &batch)?;
        for i in 0..batch.num_rows() {
            let (id, listed) = columns
                .row(i)
                .map_err(|e| IngestError::metadata(path, format!("row {}: {e}", row + i)))?;
            give(id, listed)?;
        }
        row += batch.num_rows();
    }
    Ok(())
}

struct Columns<'a> {
    patch_id: &'a StringArray,
    labels: &'a ListArray,
    split: &'a StringArray,
    country: Option<&'a StringArray>,
    s1_name: Option<&'a StringArray>,
    s2v1_name: Option<&'a StringArray>,
    snow: Option<&'a BooleanArray>,
    cloud: Option<&'a BooleanArray>,
}

impl<'a> Columns<'a> {
    fn of(path: &Path, batch: &'a RecordBatch) -> Result<Self, IngestError> {
        let wrong = |column: &str, found: &DataType, expected: &str| {
            let reason = format!("has column `{column}` of type {found}, expected {expected}");
            IngestError::metadata(path, reason)
        };
        let text = |column: &str| -> Result<Option<&'a StringArray>, IngestError> {
            let Some(array) = batch.column_by_name(column) else {
                return Ok(None);
            };
            let texts = array.as_string_opt::<i32>();
            texts
                .map(Some)
                .ok_or_else(|| wrong(column, array.data_type(), "string"))
        };
        let flag = |column: &str| -> Result<Option<&'a BooleanArray>, IngestError> {
            let Some(array) = batch.column_by_name(column) else {
                return Ok(None);
            };
            let flags = array.as_boolean_opt();
            flags
                .map(Some)
                .ok_or_else(|| wrong(column, array.data_type(), "bool"))
        };
        let absent = || IngestError::metadata(path, "lost a column while it was read");
        let labels = batch.column_by_name("labels").ok_or_else(absent)?;
        let lists = labels.as_list_opt::<i32>();
        let lists = lists.filter(|l| l.value_type() == DataType::Utf8);
        Ok(Self {
            patch_id: text("patch_id")?.ok_or_else(absent)?,
            labels: lists.ok_or_else(|| wrong("labels", labels.data_type(), "list of string"))?,
            split: text("split")?.ok_or_else(absent)?,
            country: text("country")?,
            s1_name: text("s1_name")?,
            s2v1_name: text("s2v1_name")?,
            snow: flag("contains_seasonal_snow")?,
            cloud: flag("contains_cloud_or_shadow")?,
        })
    }

    fn row(&self, i: usize) -> Result<(PatchId, Listed), String> {
        let id = text(Some(self.patch_id), i).ok_or("patch_id is null")?;
        let id: PatchId = id.parse().map_err(|e| format!("patch_id: {e}"))?;
        let split = match text(Some(self.split), i) {
            None => None,
            Some(name) => Some(Split::from_name(name).ok_or_else(|| {
                format!("split of {id} is `{name}`, expected train, validation or test")
            })?),
        };
        let listed = Listed {
            split,
            country: text(self.country, i).map(Box::from),
            snow: flag(self.snow, i),
            cloud: flag(self.cloud, i),
            labels_19: self.labels(i).map_err(|e| format!("labels of {id}: {e}"))?,
            s1_name: text(self.s1_name, i).map(Box::from),
            s2v1_name: text(self.s2v1_name, i).map(Box::from),
        };
        Ok((id, listed))
    }

    fn labels(&self, i: usize) -> Result<Option<LabelSet>, String> {
        if self.labels.is_null(i) {
            return Ok(None);
        }
        let names = self.labels.value(i);
        let names = names.as_string::<i32>();
        let class = |name: Option<&str>| {
            let name = name.ok_or("a label is null")?;
            Nomenclature::Nineteen
                .index_of(name)
                .ok_or_else(|| unknown_class(name, Nomenclature::Nineteen))
        };
        names
            .iter()
            .map(class)
            .collect::<Result<LabelSet, _>>()
            .map(Some)
    }
}

/// A class name that the nomenclature does not have, in words.
pub(super) fn unknown_class(name: &str, nomenclature: Nomenclature) -> String {
    // The longest name has 92 characters; a much longer one is no misspelling.
    let name: String = name.chars().take(120).collect();
    let nearest = chipmill_schemas::nearest(&name, nomenclature.classes()).unwrap_or_default();
    format!("`{name}` is none of the {nomenclature} classes; the nearest is `{nearest}`")
}

fn text(array: Option<&StringArray>, i: usize) -> Option<&str> {
    array.filter(|a| a.is_valid(i)).map(|a| a.value(i))
}

fn flag(array: Option<&BooleanArray>, i: usize) -> Option<bool> {
    array.filter(|a| a.is_valid(i)).map(|a| a.value(i))
}
