//! The elements of small arrays, before they are compressed.

use std::fmt::{Display, Write as _};

use serde_json::{Value, json};
use zarrs::array::{ArrayBytes, ArrayBytesOffsets};

use crate::codec::{self, ChunkError};

/// Value of a label that no source told.
pub(crate) const UNKNOWN: u8 = 255;

/// The elements of a small array in C order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Elements {
    Bytes(Vec<u8>),
    Floats(Vec<f64>),
    Texts(Texts),
}

/// Texts end to end: a chunk of 16,384 ids takes 1 MB in place of 2.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Texts {
    text: String,
    /// A chunk's texts are far below 4 GB.
    ends: Vec<u32>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: impl Display) {
        // Writing to a text cannot fail.
        let _ = write!(self.text, "{text}");
        if self.ends.is_empty() {
            // Ids have nearly the same lengths, and so have codes.
            let others = self.ends.capacity().saturating_sub(1);
            self.text.reserve_exact(others * (self.text.len() + 1));
        }
        self.ends
            .push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
    }

    pub(crate) fn get(&self, i: usize) -> Option<&str> {
        let start = i.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..*self.ends.get(i)? as usize)
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut all = Self::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

impl Elements {
    pub(crate) fn data_type(&self) -> &'static str {
        match self {
            Self::Bytes(_) => "uint8",
            Self::Floats(_) => "float64",
            Self::Texts(_) => "string",
        }
    }

    pub(crate) fn fill(&self) -> Value {
        match self {
            Self::Bytes(_) => json!(UNKNOWN),
            Self::Floats(_) => json!("NaN"),
            Self::Texts(_) => json!(""),
        }
    }

    pub(crate) fn codecs(&self) -> Value {
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

    /// Makes room for exactly so many elements more.
    pub(crate) fn reserve(&mut self, elements: usize) {
        match self {
            Self::Bytes(v) => v.reserve_exact(elements),
            Self::Floats(v) => v.reserve_exact(elements),
            Self::Texts(v) => v.ends.reserve_exact(elements),
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(v) => v.len(),
            Self::Floats(v) => v.len(),
            Self::Texts(v) => v.ends.len(),
        }
    }

    pub(crate) fn push_text(&mut self, text: impl Display) {
        if let Self::Texts(texts) = self {
            texts.push(text);
        }
    }

    /// Fills up the last chunk of an array.
    pub(crate) fn fill_up(&mut self, len: usize) {
        match self {
            Self::Bytes(v) => v.resize(len, UNKNOWN),
            Self::Floats(v) => v.resize(len, f64::NAN),
            Self::Texts(v) => {
                let end = v.ends.last().copied().unwrap_or(0);
                v.ends.resize(len, end);
            }
        }
    }

    /// As zarrs takes them.
    pub(crate) fn to_bytes(&self) -> Result<ArrayBytes<'_>, ChunkError> {
        match self {
            Self::Bytes(v) => Ok(ArrayBytes::new_flen(v.as_slice())),
            Self::Floats(v) => Ok(ArrayBytes::new_flen(bytemuck::cast_slice(v))),
            Self::Texts(v) => texts(v),
        }
    }
}

fn texts(texts: &Texts) -> Result<ArrayBytes<'_>, ChunkError> {
    let refused = |reason: String| ChunkError::Codec {
        codec: "vlen-utf8",
        reason,
    };
    let ends = texts.ends.iter().map(|&end| end as usize);
    let mut offsets = Vec::with_capacity(texts.ends.len() + 1);
    offsets.extend(std::iter::once(0).chain(ends));
    let offsets = ArrayBytesOffsets::new(offsets).map_err(|e| refused(e.to_string()))?;
    let bytes = texts.text.as_bytes();
    ArrayBytes::new_vlen(bytes, offsets).map_err(|e| refused(e.to_string()))
}
