//! `patches.parquet`: the patch table. Row `i` describes index `i` of every array.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema};
use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::patch::{Georeference, PatchRow, Split};

use crate::columns::{Columns, TableError, read_batches, write_batch};
use crate::layout;

/// The bytes of the table's object.
pub(crate) fn encode(rows: &[PatchRow]) -> Result<Vec<u8>, TableError> {
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
    let columns = vec![
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
    ];
    write_batch(layout::PATCHES, Arc::new(schema()), columns)
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

/// Reads the table; columns that this version does not know are ignored.
pub(crate) fn decode(bytes: Vec<u8>) -> Result<Vec<PatchRow>, TableError> {
    let mut rows = Vec::new();
    for batch in read_batches(layout::PATCHES, bytes)? {
        decode_batch(&batch, &mut rows)?;
    }
    Ok(rows)
}

fn decode_batch(batch: &RecordBatch, rows: &mut Vec<PatchRow>) -> Result<(), TableError> {
    let columns = Columns::new(layout::PATCHES, batch, rows.len());
    let [id, tile, split, country] = columns.texts(["id", "tile", "split", "country"])?;
    let [date, s1_name, s2v1_name] = columns.texts(["date", "s1_name", "s2v1_name"])?;
    let [snow, cloud] = columns.flags(["snow", "cloud"])?;
    let epsg = columns.numbers::<UInt32Type>("epsg")?;
    let ulx = columns.numbers::<Float64Type>("ulx")?;
    let uly = columns.numbers::<Float64Type>("uly")?;
    let labels_43 = columns.lists("labels_43")?;
    let labels_19 = columns.lists("labels_19")?;
    let text = |column: &StringArray, i| column.is_valid(i).then(|| column.value(i).to_owned());
    let flag = |column: &BooleanArray, i| column.is_valid(i).then(|| column.value(i));
    for i in 0..batch.num_rows() {
        let id = columns.required(id, "id", i)?;
        let id = id.parse().map_err(|e| columns.error("id", i, &e))?;
        let split = match text(split, i) {
            Some(name) => Some(
                Split::from_name(&name)
                    .ok_or_else(|| columns.error("split", i, &format!("`{name}` is no split")))?,
            ),
            None => None,
        };
        let known = [epsg.is_valid(i), ulx.is_valid(i), uly.is_valid(i)];
        let georeference = known.iter().all(|&k| k).then(|| Georeference {
            epsg: epsg.value(i),
            ulx: ulx.value(i),
            uly: uly.value(i),
        });
        rows.push(PatchRow {
            id,
            tile: text(tile, i),
            split,
            country: text(country, i),
            date: columns.required(date, "date", i)?.to_owned(),
            snow: flag(snow, i),
            cloud: flag(cloud, i),
            labels_43: label_set(&columns, labels_43, Nomenclature::Clc43, i)?,
            labels_19: label_set(&columns, labels_19, Nomenclature::Nineteen, i)?,
            georeference,
            s1_name: text(s1_name, i),
            s2v1_name: text(s2v1_name, i),
        });
    }
    Ok(())
}

fn label_set(
    columns: &Columns<'_>,
    lists: &ListArray,
    nomenclature: Nomenclature,
    row: usize,
) -> Result<Option<LabelSet>, TableError> {
    if lists.is_null(row) {
        return Ok(None);
    }
    let column = match nomenclature {
        Nomenclature::Clc43 => "labels_43",
        Nomenclature::Nineteen => "labels_19",
    };
    let values = lists.value(row);
    let names = values.as_string_opt::<i32>();
    let names = names.ok_or_else(|| columns.error(column, row, &"the elements are no texts"))?;
    let index = |name: Option<&str>| {
        let name = name.unwrap_or_default();
        let unknown = format!("`{name}` is no class of the {nomenclature}-class nomenclature");
        nomenclature
            .index_of(name)
            .ok_or_else(|| columns.error(column, row, &unknown))
    };
    names.iter().map(index).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn rows_come_back_as_they_were_and_unknown_stays_apart_from_empty() {
        let rows = rows();
        let back = decode(encode(&rows).unwrap()).unwrap();
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
