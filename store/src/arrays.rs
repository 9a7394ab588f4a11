//! The small arrays beside the pixels: labels, patch ids, coordinate systems, transforms, and the
//! names along the band and class axes. Derived from the patch table and nothing else.

use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::s1::Polarisation;
use serde_json::{Value, json};
use zarrs::array::{Array, FillValue, data_type};
use zarrs::filesystem::FilesystemStore;
use zarrs::storage::store::MemoryStore;
use zarrs::storage::{ReadableStorage, StoreKey, WritableStorageTraits as _};

use crate::codec::{ChunkEncoder, ChunkError};
use crate::elements::{Elements, Texts, UNKNOWN};
use crate::layout;
use crate::metadata::ArrayDocument;
use crate::object;

/// Rows of a chunk, where there are as many.
const CHUNK_ROWS: u64 = 65_536;

/// One small array: its metadata and all its elements.
#[derive(Debug, Clone)]
pub(crate) struct SmallArray {
    pub(crate) document: ArrayDocument,
    pub(crate) elements: Elements,
}

/// A chunk: its path inside the store and its bytes.
pub(crate) type Chunk = (String, Vec<u8>);

impl SmallArray {
    /// `shape[0]` rows; the other dimensions are in one chunk.
    fn new(
        path: String,
        shape: &[u64],
        dims: &[&str],
        elements: Elements,
        attributes: Value,
    ) -> Self {
        let mut chunk_shape = shape.to_vec();
        if let Some(rows) = chunk_shape.first_mut() {
            *rows = (*rows).clamp(1, CHUNK_ROWS);
        }
        let document = ArrayDocument {
            path,
            shape: shape.to_vec(),
            chunk_shape,
            data_type: elements.data_type(),
            fill: elements.fill(),
            codecs: elements.codecs(),
            dims: dims.iter().map(|&d| d.to_owned()).collect(),
            attributes,
        };
        Self { document, elements }
    }

    /// Elements in a row.
    pub(crate) fn width(&self) -> usize {
        let rest = self.document.shape.iter().skip(1);
        rest.map(|&n| usize::try_from(n).unwrap_or(usize::MAX))
            .product()
    }

    /// Elements in a chunk.
    fn chunk_len(&self) -> usize {
        let rows = usize::try_from(self.document.chunk_shape[0]).unwrap_or(usize::MAX);
        rows.saturating_mul(self.width())
    }

    /// The elements as chunk `k`, filled up where they are fewer.
    pub(crate) fn chunk(&self, k: u64) -> Result<Chunk, ChunkError> {
        let (data_type, fill) = match &self.elements {
            Elements::Bytes(_) => (data_type::uint8(), FillValue::from(UNKNOWN)),
            Elements::Floats(_) => (data_type::float64(), FillValue::from(f64::NAN)),
            Elements::Texts(_) => (data_type::string(), FillValue::from("")),
        };
        let document = &self.document;
        let encoder = ChunkEncoder::new(&document.codecs, data_type, fill)?;
        let shape = document.chunk_shape.iter();
        let shape: Vec<_> = shape.filter_map(|&n| NonZeroU64::new(n)).collect();
        let key = layout::chunk_object(&document.path, k, document.shape.len());
        let values = self.elements.chunk(self.chunk_len())?;
        Ok((key, encoder.encode(values, &shape)?))
    }

    /// Reads the same array from a store, through zarrs.
    pub(crate) fn read(&self, root: &Path) -> Result<Elements, String> {
        let text = |e: &dyn std::error::Error| e.to_string();
        let store: ReadableStorage = if object::is_address(root) {
            Arc::new(self.copied(root).map_err(|e| text(&e))?)
        } else {
            Arc::new(FilesystemStore::new(root).map_err(|e| text(&e))?)
        };
        let path = format!("/{}", self.document.path);
        let array = Array::open(store, &path).map_err(|e| text(&e))?;
        if array.shape() != self.document.shape {
            let (found, expected) = (array.shape(), &self.document.shape);
            return Err(format!(
                "the array's shape is {found:?}, expected {expected:?}"
            ));
        }
        let all = array.subset_all();
        match self.elements {
            Elements::Bytes(_) => array.retrieve_array_subset(&all).map(Elements::Bytes),
            Elements::Floats(_) => array.retrieve_array_subset(&all).map(Elements::Floats),
            Elements::Texts(_) => {
                let texts = array.retrieve_array_subset::<Vec<String>>(&all);
                texts.map(|t| Elements::Texts(t.into_iter().collect()))
            }
        }
        .map_err(|e| text(&e))
    }

    /// Its objects, from afar into memory.
    fn copied(&self, root: &Path) -> io::Result<MemoryStore> {
        let document = &self.document;
        let rows = document.shape.first().zip(document.chunk_shape.first());
        let chunks = rows.map_or(0, |(&rows, &chunk)| rows.div_ceil(chunk.max(1)));
        let dimensions = document.shape.len();
        let chunks = (0..chunks).map(|k| layout::chunk_object(&document.path, k, dimensions));
        let store = MemoryStore::new();
        for name in std::iter::once(layout::metadata_object(&document.path)).chain(chunks) {
            let bytes = object::read_object(&layout::object_path(root, &name))?;
            let key = StoreKey::new(name).map_err(io::Error::other)?;
            store.set(&key, bytes.into()).map_err(io::Error::other)?;
        }
        Ok(store)
    }
}

/// A small array with a row a patch, filled from one row of the patch table after the other.
pub(crate) struct Column {
    /// The elements are those since the last whole chunk.
    array: SmallArray,
    push: fn(&PatchRow, &mut Elements),
    chunks: u64,
}

impl Column {
    pub(crate) fn document(&self) -> &ArrayDocument {
        &self.array.document
    }

    /// Takes in a row; gives a chunk that is whole with it.
    pub(crate) fn push(&mut self, row: &PatchRow) -> Result<Option<Chunk>, ChunkError> {
        if self.array.elements.len() == 0 {
            self.array.elements.reserve(self.array.chunk_len());
        }
        (self.push)(row, &mut self.array.elements);
        if self.array.elements.len() < self.array.chunk_len() {
            return Ok(None);
        }
        self.end()
    }

    /// The last chunk, if it is begun.
    pub(crate) fn end(&mut self) -> Result<Option<Chunk>, ChunkError> {
        if self.array.elements.len() == 0 {
            return Ok(None);
        }
        let chunk = self.array.chunk(self.chunks)?;
        self.chunks += 1;
        self.array.elements.clear();
        Ok(Some(chunk))
    }

    fn whole(mut self, rows: &[PatchRow]) -> SmallArray {
        let elements = &mut self.array.elements;
        rows.iter().for_each(|row| (self.push)(row, elements));
        self.array
    }
}

/// All small arrays of a store with these rows, whole.
pub(crate) fn small_arrays(rows: &[PatchRow], has_s1: bool) -> Vec<SmallArray> {
    let columns = columns(rows.len() as u64).into_iter();
    let per_patch = columns.map(|column| column.whole(rows));
    per_patch.chain(axes(has_s1)).collect()
}

/// The arrays with a row a patch, of so many patches.
pub(crate) fn columns(patches: u64) -> Vec<Column> {
    let texts = || Elements::Texts(Texts::default());
    let id = column(
        (layout::PATCH_ID, patches),
        None,
        texts(),
        json!({"long_name": "BigEarthNet patch id"}),
        |row, into| into.push_text(row.id.as_str()),
    );
    let code = column(
        (layout::PROJ_CODE, patches),
        None,
        texts(),
        json!({"long_name": "projected coordinate system; empty where unknown"}),
        |row, into| {
            let code = row.georeference.map(|g| format!("EPSG:{}", g.epsg));
            into.push_text(&code.unwrap_or_default());
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
    push: fn(&PatchRow, &mut Elements),
) -> Column {
    let dims: Vec<_> = [(layout::DIM_PATCH, patches)]
        .into_iter()
        .chain(second)
        .collect();
    let (names, shape): (Vec<_>, Vec<_>) = dims.into_iter().unzip();
    Column {
        array: SmallArray::new(path.to_owned(), &shape, &names, elements, attributes),
        push,
        chunks: 0,
    }
}

fn push_transform(row: &PatchRow, into: &mut Elements) {
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

fn push_labels(row: &PatchRow, nomenclature: Nomenclature, into: &mut Elements) {
    let labels = row.labels(nomenclature);
    let flag = |class| labels.map_or(UNKNOWN, |l| u8::from(l.contains(class)));
    if let Elements::Bytes(values) = into {
        values.extend((0..nomenclature.len()).map(flag));
    }
}

/// The names along the axes.
pub(crate) fn axes(has_s1: bool) -> Vec<SmallArray> {
    let mut arrays: Vec<_> = Nomenclature::ALL.map(class_names).into();
    arrays.extend(Resolution::ALL.map(band_names));
    if has_s1 {
        let names = Polarisation::ALL.map(|p| p.name().to_owned()).to_vec();
        let path = layout::POLARISATION;
        arrays.push(names_along(path.to_owned(), path, names));
    }
    arrays
}

fn class_names(nomenclature: Nomenclature) -> SmallArray {
    let names = nomenclature.classes().map(str::to_owned).collect();
    let dim = layout::class_dim(nomenclature);
    names_along(layout::classes_array(nomenclature), &dim, names)
}

fn band_names(resolution: Resolution) -> SmallArray {
    let names = resolution.bands().iter().map(|b| b.name().to_owned());
    let dim = layout::band_dim(resolution);
    names_along(dim.clone(), &dim, names.collect())
}

fn names_along(path: String, dim: &str, names: Vec<String>) -> SmallArray {
    let shape = [names.len() as u64];
    let names = Elements::Texts(names.into_iter().collect());
    SmallArray::new(path, &shape, &[dim], names, json!({}))
}
