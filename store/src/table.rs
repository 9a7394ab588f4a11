//! `patches.parquet`: the patch table. Row `i` describes index `i` of every array.

use std::num::NonZeroU32;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};
use chipmill_schemas::patch_id::PatchId;

use crate::columns::{BatchWriter, Columns, TableError, read_batches};
use crate::layout;
use crate::rows::{Labels, PatchTable};

/// Rows that are turned into columns at a time.
const BATCH: usize = 2048;

/// The table, row by row.
pub(crate) struct TableWriter {
    writer: BatchWriter,
    rows: Vec<PatchRow>,
}

impl TableWriter {
    pub(crate) fn new() -> Result<Self, TableError> {
        Ok(Self {
            writer: BatchWriter::new(layout::PATCHES, Arc::new(schema()))?,
            rows: Vec::new(),
        })
    }

    /// Takes in a row; gives the next bytes of the table's object, most often none.
    pub(crate) fn push(&mut self, row: PatchRow) -> Result<Vec<u8>, TableError> {
        self.rows.push(row);
        if self.rows.len() == BATCH {
            self.flush()?;
            return Ok(self.writer.take());
        }
        Ok(Vec::new())
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.writer.write(columns(&self.rows))?;
        self.rows.clear();
        Ok(())
    }

    /// The rest of the bytes.
    pub(crate) fn end(mut self) -> Result<Vec<u8>, TableError> {
        self.flush()?;
        self.writer.end()
    }
}

fn columns(rows: &[PatchRow]) -> Vec<ArrayRef> {
    let required = |f: fn(&PatchRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(f)))
    };
    let text = |f: fn(&PatchRow) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<StringArray>())
    };
    let flag = |f: fn(&PatchRow) -> Option<bool>| -> ArrayRef {
        Arc::new(rows.iter().map(f).collect::<BooleanArray>())
    };
    let metres = |f: fn(&Georeference) -> f64| -> ArrayRef {
        let value = |r: &PatchRow| r.georeference.as_ref().map(f);
        Arc::new(rows.iter().map(value).collect::<Float64Array>())
    };
    let epsg = |r: &PatchRow| r.georeference.map(|g| g.epsg);
    vec![
        required(|r| r.id.as_str()),
        required(|r| r.id.acquisition()),
        text(|r| r.tile.as_deref()),
        text(|r| r.split.map(Split::name)),
        text(|r| r.country.as_deref()),
        required(|r| &r.date),
        flag(|r| r.snow),
        flag(|r| r.cloud),
        label_lists(rows, Nomenclature::Clc43),
        label_lists(rows, Nomenclature::Nineteen),
        Arc::new(rows.iter().map(epsg).collect::<UInt32Array>()),
        metres(|g| g.ulx),
        metres(|g| g.uly),
        text(|r| r.s1_name.as_deref()),
        text(|r| r.s2v1_name.as_deref()),
    ]
}

fn schema() -> Schema {
    let required = |name| Field::new(name, DataType::Utf8, false);
    let field = |name, kind| Field::new(name, kind, true);
    let text = |name| field(name, DataType::Utf8);
    let list = |name| Field::new_list(name, element(), true);
    Schema::new(vec![
        required("id"),
        required("acquisition"),
        text("tile"),
        text("split"),
        text("country"),
        required("date"),
        field("snow", DataType::Boolean),
        field("cloud", DataType::Boolean),
        list("labels_43"),
        list("labels_19"),
        field("epsg", DataType::UInt32),
        field("ulx", DataType::Float64),
        field("uly", DataType::Float64),
        text("s1_name"),
        text("s2v1_name"),
    ])
}

fn element() -> Field {
    Field::new("element", DataType::Utf8, false)
}

fn label_lists(rows: &[PatchRow], nomenclature: Nomenclature) -> ArrayRef {
    let names: Vec<_> = nomenclature.classes().collect();
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element());
    for row in rows {
        let labels = row.labels(nomenclature);
        let present = labels.iter().flat_map(|l| l.iter());
        for name in present.filter_map(|i| names.get(i)) {
            lists.values().append_value(name);
        }
        lists.append(labels.is_some());
    }
    Arc::new(lists.finish())
}

/// Columns that are read; the others are derived, or are of a newer minor version.
const READ: [&str; 14] = [
    "id",
    "tile",
    "split",
    "country",
    "date",
    "snow",
    "cloud",
    "labels_43",
    "labels_19",
    "epsg",
    "ulx",
    "uly",
    "s1_name",
    "s2v1_name",
];

/// Reads the table; columns that this version does not know are ignored.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<PatchTable, TableError> {
    let mut table = PatchTable::default();
    for batch in read_batches(layout::PATCHES, bytes, &READ)? {
        decode_batch(&batch?, &mut table)?;
    }
    Ok(table)
}

fn decode_batch(batch: &RecordBatch, table: &mut PatchTable) -> Result<(), TableError> {
    let columns = Columns::new(layout::PATCHES, batch, table.len());
    let [id, date, split] = columns.texts(["id", "date", "split"])?;
    for i in 0..batch.num_rows() {
        let text = columns.required(id, "id", i)?;
        let checked = text.parse::<PatchId>();
        checked.map_err(|e| columns.error("id", i, &e))?;
        table.ids.push(Some(text));
        table.dates.push(Some(columns.required(date, "date", i)?));
        table.splits.push(split_at(&columns, split, i)?);
    }
    let [tile, country] = columns.texts(["tile", "country"])?;
    tile.iter().for_each(|t| table.tiles.push(t));
    country.iter().for_each(|t| table.countries.push(t));
    let [s1_name, s2v1_name] = columns.texts(["s1_name", "s2v1_name"])?;
    s1_name.iter().for_each(|t| table.s1_names.push(t));
    s2v1_name.iter().for_each(|t| table.s2v1_names.push(t));
    let [snow, cloud] = columns.flags(["snow", "cloud"])?;
    table.snow.extend(snow.iter());
    table.cloud.extend(cloud.iter());
    decode_labels(&columns, Nomenclature::Clc43, &mut table.labels_43)?;
    decode_labels(&columns, Nomenclature::Nineteen, &mut table.labels_19)?;
    decode_places(&columns, table)
}

fn split_at(
    columns: &Columns<'_>,
    splits: &StringArray,
    row: usize,
) -> Result<Option<Split>, TableError> {
    if splits.is_null(row) {
        return Ok(None);
    }
    let name = splits.value(row);
    let split = Split::from_name(name);
    let wrong = || columns.error("split", row, &format!("`{name}` is no split"));
    split.map(Some).ok_or_else(wrong)
}

/// All three or none: what is null in one is unknown.
fn decode_places(columns: &Columns<'_>, table: &mut PatchTable) -> Result<(), TableError> {
    let epsg = columns.numbers::<UInt32Type>("epsg")?;
    let ulx = columns.numbers::<Float64Type>("ulx")?;
    let uly = columns.numbers::<Float64Type>("uly")?;
    for ((epsg, ulx), uly) in epsg.iter().zip(ulx).zip(uly) {
        let corner = ulx.zip(uly);
        let known = corner.and(epsg).and_then(NonZeroU32::new);
        table.epsg.push(known);
        table
            .corners
            .push(corner.map_or([0.0; 2], <[f64; 2]>::from));
    }
    Ok(())
}

fn decode_labels(
    columns: &Columns<'_>,
    nomenclature: Nomenclature,
    into: &mut Labels,
) -> Result<(), TableError> {
    let column = match nomenclature {
        Nomenclature::Clc43 => "labels_43",
        Nomenclature::Nineteen => "labels_19",
    };
    let lists = columns.lists(column)?;
    let names = lists.values().as_string_opt::<i32>();
    let names = names.ok_or_else(|| columns.error(column, 0, &"the elements are no texts"))?;
    for (row, ends) in lists.value_offsets().windows(2).enumerate() {
        if lists.is_null(row) {
            into.push(None);
            continue;
        }
        let places = usize::try_from(ends[0]).unwrap_or(0)..usize::try_from(ends[1]).unwrap_or(0);
        let index = |i: usize| {
            let name = if names.is_valid(i) {
                names.value(i)
            } else {
                ""
            };
            let unknown =
                || format!("`{name}` is no class of the {nomenclature}-class nomenclature");
            let index = nomenclature.index_of(name);
            index.ok_or_else(|| columns.error(column, row, &unknown()))
        };
        into.push(Some(places.map(index).collect::<Result<_, _>>()?));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use chipmill_schemas::label::LabelSet;

    use super::*;

    fn rows() -> Vec<PatchRow> {
        let id = |v: u8| format!("S2A_MSIL2A_20170617T113321_4_{v}").parse().unwrap();
        let bare = PatchRow::from_id(id(1));
        let full = PatchRow {
            tile: Some("T29UPV".to_owned()),
            split: Some(Split::Validation),
            country: Some("Ireland".to_owned()),
            snow: Some(false),
            cloud: Some(true),
            labels_43: Some([2, 30].into_iter().collect()),
            labels_19: Some(LabelSet::default()),
            georeference: Some(Georeference {
                epsg: 32_629,
                ulx: 600_000.0,
                uly: 5_900_040.5,
            }),
            s1_name: Some("S1A_X".to_owned()),
            s2v1_name: Some("S2A_Y".to_owned()),
            ..PatchRow::from_id(id(2))
        };
        vec![bare, full]
    }

    fn encode(rows: &[PatchRow]) -> Result<Vec<u8>, TableError> {
        let (mut table, mut bytes) = (TableWriter::new()?, Vec::new());
        for row in rows {
            bytes.extend(table.push(row.clone())?);
        }
        bytes.extend(table.end()?);
        Ok(bytes)
    }

    #[test]
    fn a_table_of_several_batches_has_all_rows_in_order() {
        let id = |i: usize| format!("S2A_MSIL2A_20170617T{i:06}_4_1").parse().unwrap();
        let all: Vec<_> = (0..2 * BATCH + 7)
            .map(|i| PatchRow::from_id(id(i)))
            .collect();
        assert!(decode(encode(&all).unwrap()).unwrap().to_rows() == all);
    }

    #[test]
    fn rows_come_back_as_they_were_and_unknown_stays_apart_from_empty() {
        let rows = rows();
        let back = decode(encode(&rows).unwrap()).unwrap().to_rows();
        assert_eq!(back, rows);
        assert_eq!(
            (back[0].labels_19, back[1].labels_19),
            (None, Some(LabelSet::default()))
        );
    }

    #[test]
    fn equal_rows_are_equal_bytes() {
        assert_eq!(encode(&rows()).unwrap(), encode(&rows()).unwrap());
    }

    #[test]
    fn a_table_cut_short_is_an_error_that_names_it() {
        let bytes = encode(&rows()).unwrap();
        for length in [0, 3, bytes.len() / 2, bytes.len() - 1] {
            let error = decode(bytes[..length].to_vec()).unwrap_err();
            assert!(error.to_string().contains("patches.parquet"), "{error}");
        }
    }
}
