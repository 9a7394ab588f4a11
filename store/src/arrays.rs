//! The small arrays beside the pixels: labels, patch ids, coordinate systems, transforms, and the
//! names along the band and class axes. Derived from the patch table and nothing else.

use std::io;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
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
use crate::elements::{Elements, UNKNOWN};
use crate::layout;
use crate::metadata::ArrayDocument;
use crate::object;
use crate::patch_arrays::columns;

/// Rows of a chunk, where there are as many. So many wait in memory until a chunk is written, and their elements while
/// it is encoded: most of what the end of a store needs.
pub(crate) const CHUNK_ROWS: u64 = 16_384;

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
    pub(crate) fn new(
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
    pub(crate) fn chunk_len(&self) -> usize {
        let rows = usize::try_from(self.document.chunk_shape[0]).unwrap_or(usize::MAX);
        rows.saturating_mul(self.width())
    }

    /// The elements, which are as many as a chunk has, as chunk `k`.
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
        Ok((key, encoder.encode(self.elements.to_bytes()?, &shape)?))
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
        let store = MemoryStore::new();
        let copy = |name: String| {
            let bytes = Bytes::from(object::read_object(&layout::object_path(root, &name))?);
            let key = StoreKey::new(name).map_err(io::Error::other)?;
            let set = store.set(&key, Bytes::clone(&bytes));
            set.map_err(io::Error::other)?;
            Ok::<_, io::Error>(bytes)
        };
        let node = copy(layout::metadata_object(&document.path))?;
        let rows = document.shape.first().copied().unwrap_or(0);
        for k in 0..rows.div_ceil(rows_in_chunk(&node)?) {
            copy(layout::chunk_object(
                &document.path,
                k,
                document.shape.len(),
            ))?;
        }
        Ok(store)
    }
}

/// As an array's own metadata say, which need not be [`CHUNK_ROWS`].
fn rows_in_chunk(node: &[u8]) -> io::Result<u64> {
    let node: Value = serde_json::from_slice(node)?;
    let rows = &node["chunk_grid"]["configuration"]["chunk_shape"][0];
    let absent = || io::Error::other(format!("its chunks have {rows} rows, expected a number"));
    rows.as_u64().filter(|&rows| rows > 0).ok_or_else(absent)
}

/// All small arrays of a store with these rows, whole.
pub(crate) fn small_arrays(rows: &[PatchRow], has_s1: bool) -> Vec<SmallArray> {
    let columns = columns(rows.len() as u64).into_iter();
    let per_patch = columns.map(|column| column.whole(rows));
    per_patch.chain(axes(has_s1)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::write_object;

    /// Stores of before have other chunks than we write.
    #[test]
    fn an_array_is_copied_and_read_with_whatever_chunks_it_has() {
        let ids = |range: std::ops::Range<u32>| {
            let texts = range.map(|i| format!("S2A_MSIL2A_20170617T000000_4_{i}"));
            Elements::Texts(texts.collect())
        };
        let array = |elements| {
            let path = layout::PATCH_ID.to_owned();
            SmallArray::new(path, &[6], &[layout::DIM_PATCH], elements, json!({}))
        };
        let expected = array(ids(0..6));
        for rows in [1, 2, 3, 6] {
            let dir = tempfile::tempdir().unwrap();
            let write = |name: &str, bytes: &[u8]| {
                write_object(&dir.path().join(name), bytes).unwrap();
            };
            for k in 0..6 / rows {
                let mut part = array(ids(k * rows..(k + 1) * rows));
                part.document.chunk_shape = vec![rows.into()];
                let node = part.document.to_json().to_string();
                write(&layout::metadata_object(layout::PATCH_ID), node.as_bytes());
                let (name, bytes) = part.chunk(k.into()).unwrap();
                write(&name, &bytes);
            }
            assert_eq!(expected.read(dir.path()).unwrap(), expected.elements);
            let copy: ReadableStorage = Arc::new(expected.copied(dir.path()).unwrap());
            let copy = Array::open(copy, "/patch_id").unwrap();
            let texts = copy.retrieve_array_subset::<Vec<String>>(&copy.subset_all());
            assert_eq!(
                Elements::Texts(texts.unwrap().into_iter().collect()),
                expected.elements
            );
        }
    }
}
