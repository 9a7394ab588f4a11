//! The values of a batch in the type that was asked for.

use chipmill_schemas::config::ViewType;

use crate::element::Element;
use crate::simd::Line;

/// Memory for the values of one batch. It begins at a cache line, as views that are written past the
/// caches should.
#[derive(Debug, Default)]
pub(crate) struct Values {
    dtype: ViewType,
    len: usize,
    lines: Vec<Line>,
}

impl Values {
    /// Bytes that so many values take.
    pub(crate) fn bytes_of(dtype: ViewType, len: usize) -> usize {
        let bytes = len.saturating_mul(dtype.bytes());
        bytes.div_ceil(size_of::<Line>()) * size_of::<Line>()
    }

    /// Takes memory for so many values, unless that has been done.
    pub(crate) fn reserve(&mut self, dtype: ViewType, len: usize) {
        let lines = Self::bytes_of(dtype, len) / size_of::<Line>();
        if self.lines.len() != lines {
            self.lines = bytemuck::zeroed_vec(lines);
            chipmill_store::prefer_large_pages(&mut self.lines);
        }
        (self.dtype, self.len) = (dtype, len);
    }

    pub(crate) fn dtype(&self) -> ViewType {
        self.dtype
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.lines);
        &bytes[..self.len * self.dtype.bytes()]
    }

    /// The values, if they are of this type.
    pub(crate) fn of<T: Element>(&self) -> Option<&[T]> {
        let same = T::NAME == self.dtype.name();
        same.then(|| bytemuck::try_cast_slice(self.bytes()).ok())?
    }

    /// The values, if they are of this type.
    pub(crate) fn of_mut<T: Element>(&mut self) -> Option<&mut [T]> {
        let (same, bytes) = (T::NAME == self.dtype.name(), self.len * self.dtype.bytes());
        let all: &mut [u8] = bytemuck::cast_slice_mut(&mut self.lines);
        same.then(|| bytemuck::try_cast_slice_mut(&mut all[..bytes]).ok())?
    }
}

#[cfg(test)]
mod tests {
    use half::{bf16, f16};

    use super::*;

    #[test]
    fn values_begin_at_a_cache_line_and_are_of_one_type_alone() {
        let mut values = Values::default();
        assert_eq!(values.of::<f32>(), Some(&[][..]));
        for len in [1, 31, 32, 1_000] {
            values.reserve(ViewType::F16, len);
            assert_eq!(values.bytes().as_ptr().align_offset(64), 0);
            assert_eq!(values.of::<f16>().map(<[_]>::len), Some(len));
            assert_eq!(values.of_mut::<f16>().map(|v| v.len()), Some(len));
            assert!(values.of::<bf16>().is_none() && values.of_mut::<f32>().is_none());
            assert_eq!(values.bytes().len(), 2 * len);
            assert!(Values::bytes_of(ViewType::F16, len).is_multiple_of(64));
        }
    }
}
