//! The small arrays with a row a patch, a chunk at a time.
//!
//! Until a chunk's rows are all there they wait in one packed form for all arrays, a third of what the
//! arrays' elements would take; these are made one array after the other.

use chipmill_schemas::band::Resolution;
use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch::{Georeference, PatchRow};
use serde_json::{Value, json};

use crate::arrays::{CHUNK_ROWS, Chunk, SmallArray};
use crate::codec::ChunkError;
use crate::elements::{Elements, Texts, UNKNOWN};
use crate::error::WriteError;
use crate::layout;
use crate::metadata::ArrayDocument;
use crate::rows::PackedLabels;

/// What the arrays hold of a patch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrayRow {
    id: PackedId,
    georeference: Option<Georeference>,
    labels_43: PackedLabels,
    labels_19: PackedLabels,
}

impl From<&PatchRow> for ArrayRow {
    fn from(row: &PatchRow) -> Self {
        Self {
            id: PackedId::from(&row.id),
            georeference: row.georeference,
            labels_43: row.labels_43.into(),
            labels_19: row.labels_19.into(),
        }
    }
}

impl ArrayRow {
    fn labels(&self, nomenclature: Nomenclature) -> Option<LabelSet> {
        match nomenclature {
            Nomenclature::Clc43 => self.labels_43.into(),
            Nomenclature::Nineteen => self.labels_19.into(),
        }
    }
}

/// All of them, filled from one row of the patch table after the other.
pub(crate) struct PatchArrays {
    columns: Vec<Column>,
    /// Those since the last whole chunk.
    rows: Vec<ArrayRow>,
    /// Rows of a whole chunk.
    most: usize,
    /// Those of each array that are made.
    chunks: u64,
}

type Give<'a> = dyn FnMut(Chunk) -> Result<(), WriteError> + 'a;

impl PatchArrays {
    pub(crate) fn new(patches: u64) -> Self {
        let most = usize::try_from(patches.min(CHUNK_ROWS)).unwrap_or(usize::MAX);
        Self {
            columns: columns(patches),
            rows: Vec::with_capacity(most),
            most,
            chunks: 0,
        }
    }

    /// Takes in a row; gives the chunks that are whole with it.
    pub(crate) fn push(&mut self, row: &PatchRow, give: &mut Give<'_>) -> Result<(), WriteError> {
        self.rows.push(row.into());
        match self.rows.len() < self.most {
            true => Ok(()),
            false => self.end(give),
        }
    }

    /// Gives the last chunks, if they are begun.
    pub(crate) fn end(&mut self, give: &mut Give<'_>) -> Result<(), WriteError> {
        if self.rows.is_empty() {
            return Ok(());
        }
        for column in &self.columns {
            give(column.chunk(self.chunks, &self.rows)?)?;
        }
        self.chunks += 1;
        self.rows.clear();
        Ok(())
    }

    pub(crate) fn documents(&self) -> impl Iterator<Item = &ArrayDocument> {
        self.columns.iter().map(|column| &column.array.document)
    }
}

/// A small array with a row a patch.
pub(crate) struct Column {
    /// Without elements.
    array: SmallArray,
    push: fn(&ArrayRow, &mut Elements),
}

impl Column {
    /// Chunk `k`, from its rows: fewer than a whole chunk's where the array ends.
    fn chunk(&self, k: u64, rows: &[ArrayRow]) -> Result<Chunk, ChunkError> {
        let mut array = self.array.clone();
        let len = array.chunk_len();
        array.elements.reserve(len);
        for row in rows {
            (self.push)(row, &mut array.elements);
        }
        array.elements.fill_up(len);
        array.chunk(k)
    }

    /// The array with all its elements.
    pub(crate) fn whole(mut self, rows: &[PatchRow]) -> SmallArray {
        let elements = &mut self.array.elements;
        for row in rows {
            (self.push)(&row.into(), elements);
        }
        self.array
    }
}

/// The arrays with a row a patch, of so many patches.
pub(crate) fn columns(patches: u64) -> Vec<Column> {
    let texts = || Elements::Texts(Texts::default());
    let id = column(
        (layout::PATCH_ID, patches),
        None,
        texts(),
        json!({"long_name": "BigEarthNet patch id"}),
        |row, into| into.push_text(row.id),
    );
    let code = column(
        (layout::PROJ_CODE, patches),
        None,
        texts(),
        json!({"long_name": "projected coordinate system; empty where unknown"}),
        |row, into| {
            let code = row.georeference.map(|g| format!("EPSG:{}", g.epsg));
            into.push_text(code.unwrap_or_default());
        },
    );
    let transform = column(
        (layout::TRANSFORM, patches),
        Some((layout::DIM_COEFFICIENT, 6)),
        Elements::Floats(Vec::new()),
        json!({
            "long_name": "affine transform (a, b, c, d, e, f) of the 10 m grid, in metres: \
                          x = a column + b row + c, y = d column + e row + f; NaN where unknown",
        }),
        push_transform,
    );
    let mut columns = vec![id, code, transform];
    columns.extend(Nomenclature::ALL.map(|n| labels(n, patches)));
    columns
}

fn column(
    (path, patches): (&str, u64),
    second: Option<(&str, u64)>,
    elements: Elements,
    attributes: Value,
    push: fn(&ArrayRow, &mut Elements),
) -> Column {
    let dims: Vec<_> = [(layout::DIM_PATCH, patches)]
        .into_iter()
        .chain(second)
        .collect();
    let (names, shape): (Vec<_>, Vec<_>) = dims.into_iter().unzip();
    Column {
        array: SmallArray::new(path.to_owned(), &shape, &names, elements, attributes),
        push,
    }
}

fn push_transform(row: &ArrayRow, into: &mut Elements) {
    let pixel = f64::from(Resolution::M10.metres());
    let transform = match row.georeference {
        Some(g) => [pixel, 0.0, g.ulx, 0.0, -pixel, g.uly],
        None => [f64::NAN; 6],
    };
    if let Elements::Floats(values) = into {
        values.extend(transform);
    }
}

fn labels(nomenclature: Nomenclature, patches: u64) -> Column {
    column(
        (&layout::labels_array(nomenclature), patches),
        Some((&layout::class_dim(nomenclature), nomenclature.len() as u64)),
        Elements::Bytes(Vec::new()),
        json!({
            "classes": nomenclature.classes().collect::<Vec<_>>(),
            "long_name": "1 present, 0 absent, 255 unknown",
        }),
        match nomenclature {
            Nomenclature::Clc43 => |row, into| push_labels(row, Nomenclature::Clc43, into),
            Nomenclature::Nineteen => |row, into| push_labels(row, Nomenclature::Nineteen, into),
        },
    )
}

fn push_labels(row: &ArrayRow, nomenclature: Nomenclature, into: &mut Elements) {
    let labels = row.labels(nomenclature);
    let flag = |class| labels.map_or(UNKNOWN, |l| u8::from(l.contains(class)));
    if let Elements::Bytes(values) = into {
        values.extend((0..nomenclature.len()).map(flag));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arrays::small_arrays;
    use crate::object::write_object;

    fn row(i: u32) -> PatchRow {
        let id = format!("S2A_MSIL2A_20170617T{i:06}_4_1");
        let known = !i.is_multiple_of(7);
        PatchRow {
            georeference: known.then(|| Georeference {
                epsg: 32_600 + i % 60,
                ulx: f64::from(i),
                uly: -f64::from(i),
            }),
            labels_43: known.then(|| LabelSet(u64::from(i))),
            labels_19: (!i.is_multiple_of(3)).then(|| LabelSet(u64::from(i % 19))),
            ..PatchRow::from_id(id.parse().unwrap())
        }
    }

    #[test]
    fn the_chunks_of_more_rows_than_one_holds_are_read_back_by_zarrs_as_the_whole_arrays() {
        let count = u32::try_from(CHUNK_ROWS).unwrap() + 5;
        let rows: Vec<_> = (0..count).map(row).collect();
        let dir = tempfile::tempdir().unwrap();
        let mut arrays = PatchArrays::new(rows.len() as u64);
        let mut names = Vec::new();
        let mut give = |(name, bytes): Chunk| {
            write_object(&dir.path().join(&name), &bytes).unwrap();
            names.push(name);
            Ok(())
        };
        for row in &rows {
            arrays.push(row, &mut give).unwrap();
        }
        arrays.end(&mut give).unwrap();
        arrays.end(&mut give).unwrap();
        assert_eq!(names.len(), 2 * arrays.columns.len());
        for document in arrays.documents() {
            let path = dir.path().join(layout::metadata_object(&document.path));
            write_object(&path, document.to_json().to_string().as_bytes()).unwrap();
        }
        for whole in small_arrays(&rows, false).iter().take(arrays.columns.len()) {
            let read = whole.read(dir.path()).unwrap();
            let len = whole.elements.len();
            assert_eq!(read.len(), len);
            assert!((0..len).all(|i| whole.elements.same_at(&read, i)));
        }
    }
}
