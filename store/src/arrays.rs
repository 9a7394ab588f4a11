//! The small arrays beside the pixels: labels, patch ids, coordinate systems, transforms, and the
//! names along the band and class axes. Derived from the patch table and nothing else.

use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::PatchRow;
use serde_json::{Value, json};
use zarrs::array::{Array, ArrayBytes, ArrayBytesOffsets, FillValue, data_type};
use zarrs::filesystem::FilesystemStore;

use crate::codec::{self, ChunkEncoder, ChunkError};
use crate::layout;
use crate::metadata::ArrayDocument;

/// Rows of a chunk, where there are as many.
const CHUNK_ROWS: u64 = 65_536;

/// Value of a label that no source told.
const UNKNOWN: u8 = 255;

/// The elements of a small array in C order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    Bytes(Vec<u8>),
    Floats(Vec<f64>),
    Texts(Vec<String>),
}

impl Elements {
    fn data_type(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "uint8",
            Self::Floats(_) => "float64",
            Self::Texts(_) => "string",
        }
    }

    fn fill(&self) -> Value {
        match self {
            Self::Bytes(_) => json!(UNKNOWN),
            Self::Floats(_) => json!("NaN"),
            Self::Texts(_) => json!(""),
        }
    }

    fn codecs(&self) -> Value {
        codec::small_codecs(match self {
            Self::Bytes(_) => json!({"name": "bytes"}),
            Self::Floats(_) => json!({"name": "bytes", "configuration": {"endian": "little"}}),
            Self::Texts(_) => json!({"name": "vlen-utf8"}),
        })
    }

    /// Whether element `i` is the same in both; two NaNs are.
    pub(crate) fn same_at(&self, other: &Self, i: usize) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a.get(i) == b.get(i),
            (Self::Texts(a), Self::Texts(b)) => a.get(i) == b.get(i),
            (Self::Floats(a), Self::Floats(b)) => {
                a.get(i).map(|v| v.to_bits()) == b.get(i).map(|v| v.to_bits())
            }
            _ => false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::Floats(v) => v.len(),
            Self::Texts(v) => v.len(),
        }
    }

    /// Elements of one chunk, filled up to `len` where the array ends.
    fn chunk(&self, start: usize, len: usize) -> Result<ArrayBytes<'static>, ChunkError> {
        let end = self.len().min(start + len);
        match self {
            Self::Bytes(v) => Ok(ArrayBytes::new_flen(padded(&v[start..end], len, UNKNOWN))),
            Self::Floats(v) => {
                let values = padded(&v[start..end], len, f64::NAN);
                Ok(ArrayBytes::new_flen(bytemuck::cast_slice(&values).to_vec()))
            }
            Self::Texts(v) => texts(&padded(&v[start..end], len, String::new())),
        }
    }
}

fn padded<T: Clone>(values: &[T], len: usize, fill: T) -> Vec<T> {
    let mut values = values.to_vec();
    values.resize(len, fill);
    values
}

fn texts(values: &[String]) -> Result<ArrayBytes<'static>, ChunkError> {
    let mut offsets = vec![0];
    for value in values {
        offsets.push(offsets.last().copied().unwrap_or(0) + value.len());
    }
    let refused = |reason: String| ChunkError::Codec {
        codec: "vlen-utf8",
        reason,
    };
    let offsets = ArrayBytesOffsets::new(offsets).map_err(|e| refused(e.to_string()))?;
    let bytes = values.concat().into_bytes();
    ArrayBytes::new_vlen(bytes, offsets).map_err(|e| refused(e.to_string()))
}

/// One small array: its metadata and all its elements.
#[derive(Debug, Clone)]
pub(crate) struct SmallArray {
    pub(crate) document: ArrayDocument,
    pub(crate) elements: Elements,
}

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

    /// The chunks: their paths inside the store and their bytes.
    pub(crate) fn chunks(&self) -> Result<Vec<(String, Vec<u8>)>, ChunkError> {
        let (data_type, fill) = match &self.elements {
            Elements::Bytes(_) => (data_type::uint8(), FillValue::from(UNKNOWN)),
            Elements::Floats(_) => (data_type::float64(), FillValue::from(f64::NAN)),
            Elements::Texts(_) => (data_type::string(), FillValue::from("")),
        };
        let document = &self.document;
        let encoder = ChunkEncoder::new(&document.codecs, data_type, fill)?;
        let shape = document.chunk_shape.iter();
        let shape: Vec<_> = shape.filter_map(|&n| NonZeroU64::new(n)).collect();
        let rows = usize::try_from(document.chunk_shape[0]).unwrap_or(usize::MAX);
        let len = rows * self.width();
        let starts = (0..self.elements.len()).step_by(len.max(1));
        (0u64..)
            .zip(starts)
            .map(|(k, start)| {
                let key = layout::chunk_object(&document.path, k, document.shape.len());
                let values = self.elements.chunk(start, len)?;
                Ok((key, encoder.encode(values, &shape)?))
            })
            .collect()
    }

    /// Reads the same array from a store, through zarrs.
    pub(crate) fn read(&self, root: &Path) -> Result<Elements, String> {
        let text = |e: &dyn std::error::Error| e.to_string();
        let store = Arc::new(FilesystemStore::new(root).map_err(|e| text(&e))?);
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
            Elements::Texts(_) => array.retrieve_array_subset(&all).map(Elements::Texts),
        }
        .map_err(|e| text(&e))
    }
}

/// All small arrays of a store with these rows.
pub(crate) fn small_arrays(rows: &[PatchRow]) -> Vec<SmallArray> {
    let mut arrays = vec![patch_ids(rows), proj_codes(rows), transforms(rows)];
    arrays.extend(Nomenclature::ALL.map(|n| labels(rows, n)));
    arrays.extend(Nomenclature::ALL.map(class_names));
    arrays.extend(Resolution::ALL.map(band_names));
    arrays
}

fn patch_ids(rows: &[PatchRow]) -> SmallArray {
    let ids = rows.iter().map(|r| r.id.to_string()).collect();
    let attributes = json!({"long_name": "BigEarthNet patch id"});
    per_patch(layout::PATCH_ID, Elements::Texts(ids), attributes)
}

fn proj_codes(rows: &[PatchRow]) -> SmallArray {
    let code = |r: &PatchRow| r.georeference.map(|g| format!("EPSG:{}", g.epsg));
    let codes = rows.iter().map(|r| code(r).unwrap_or_default()).collect();
    let attributes = json!({"long_name": "projected coordinate system; empty where unknown"});
    per_patch(layout::PROJ_CODE, Elements::Texts(codes), attributes)
}

fn per_patch(path: &str, elements: Elements, attributes: Value) -> SmallArray {
    let shape = [elements.len() as u64];
    SmallArray::new(
        path.to_owned(),
        &shape,
        &[layout::DIM_PATCH],
        elements,
        attributes,
    )
}

fn transforms(rows: &[PatchRow]) -> SmallArray {
    let pixel = f64::from(Resolution::M10.metres());
    let transform = |r: &PatchRow| match r.georeference {
        Some(g) => [pixel, 0.0, g.ulx, 0.0, -pixel, g.uly],
        None => [f64::NAN; 6],
    };
    let elements = Elements::Floats(rows.iter().flat_map(transform).collect());
    let attributes = json!({
        "long_name": "affine transform (a, b, c, d, e, f) of the 10 m grid, in metres: \
                      x = a column + b row + c, y = d column + e row + f; NaN where unknown",
    });
    let dims = [layout::DIM_PATCH, layout::DIM_COEFFICIENT];
    let shape = [rows.len() as u64, 6];
    SmallArray::new(
        layout::TRANSFORM.to_owned(),
        &shape,
        &dims,
        elements,
        attributes,
    )
}

fn labels(rows: &[PatchRow], nomenclature: Nomenclature) -> SmallArray {
    let classes = nomenclature.len();
    let row = |r: &PatchRow| {
        let labels = r.labels(nomenclature);
        (0..classes).map(move |c| labels.map_or(UNKNOWN, |l| u8::from(l.contains(c))))
    };
    let elements = Elements::Bytes(rows.iter().flat_map(row).collect());
    let attributes = json!({
        "classes": nomenclature.classes().collect::<Vec<_>>(),
        "long_name": "1 present, 0 absent, 255 unknown",
    });
    let dims = [layout::DIM_PATCH, &layout::class_dim(nomenclature)];
    let shape = [rows.len() as u64, classes as u64];
    SmallArray::new(
        layout::labels_array(nomenclature),
        &shape,
        &dims,
        elements,
        attributes,
    )
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
    SmallArray::new(path, &shape, &[dim], Elements::Texts(names), json!({}))
}
