//! The values of a batch in the type that was asked for.

use chipmill_schemas::config::ViewType;
use half::{bf16, f16};

use crate::element::Element;

/// Memory for the values of one batch.
#[derive(Debug)]
pub(crate) enum Values {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

impl Default for Values {
    fn default() -> Self {
        Self::F32(Vec::new())
    }
}

impl Values {
    /// Takes memory for so many values, unless that has been done.
    pub(crate) fn reserve(&mut self, dtype: ViewType, len: usize) {
        if self.bytes().len() == len * dtype.bytes() && self.dtype() == dtype {
            return;
        }
        // Zeroed memory comes from the system as it is, and costs nothing until it is written.
        *self = match dtype {
            ViewType::F32 => Self::F32(vec![0.0; len]),
            ViewType::F16 => Self::F16(bytemuck::zeroed_vec(len)),
            ViewType::Bf16 => Self::Bf16(bytemuck::zeroed_vec(len)),
        };
    }

    pub(crate) fn dtype(&self) -> ViewType {
        match self {
            Self::F32(_) => ViewType::F32,
            Self::F16(_) => ViewType::F16,
            Self::Bf16(_) => ViewType::Bf16,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::F32(values) => bytemuck::cast_slice(values),
            Self::F16(values) => bytemuck::cast_slice(values),
            Self::Bf16(values) => bytemuck::cast_slice(values),
        }
    }

    /// The values, if they are of this type.
    pub(crate) fn of<T: Element>(&self) -> Option<&[T]> {
        let same = T::NAME == self.dtype().name();
        same.then(|| bytemuck::try_cast_slice(self.bytes()).ok())?
    }
}

/// The same values, if the type is `f32`.
pub(crate) fn as_f32<T: Element>(values: &mut [T]) -> Option<&mut [f32]> {
    let same = T::NAME == ViewType::F32.name();
    same.then(|| bytemuck::try_cast_slice_mut(values).ok())?
}
