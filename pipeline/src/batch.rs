//! Batches, and the memory that they are lent.

use std::borrow::Cow;

use chipmill_schemas::config::ViewType;
use half::{bf16, f16};
use ndarray::ArrayView5;

use crate::element::Element;
use crate::error::WrongType;
use crate::ring::Lease;
use crate::state::LoaderState;
use crate::values::Values;

/// Memory of one batch.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) values: Values,
    pub(crate) patches: Vec<u32>,
    pub(crate) replaced: Vec<Replaced>,
}

/// A sample whose own patch is damaged, where another was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Replaced {
    /// The sample's place in the batch.
    pub sample: usize,
    /// Row of the damaged patch.
    pub damaged: u32,
    /// Row of the patch that the sample shows instead.
    pub by: u32,
}

/// One batch: so many views of so many patches.
///
/// The batch lends its memory from the loader: drop it when its values have been used, so that the
/// next batches can be made.
pub struct Batch {
    lease: Lease<Slot>,
    at: LoaderState,
    /// `[view, sample, band, y, x]`.
    shape: [usize; 5],
}

impl Batch {
    pub(crate) fn new(lease: Lease<Slot>, at: LoaderState, shape: [usize; 5]) -> Self {
        Self { lease, at, shape }
    }

    /// The epoch that the batch belongs to.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.at.epoch
    }

    /// The batch's number within its epoch.
    #[must_use]
    pub fn ordinal(&self) -> u64 {
        self.at.batch
    }

    /// Rows of the patches in the store, one for each sample: those that the values show.
    #[must_use]
    pub fn patches(&self) -> &[u32] {
        &self.lease.slot.patches
    }

    /// Samples that show another patch than their own, in order; only with
    /// [`OnCorrupt::Skip`](chipmill_schemas::config::OnCorrupt::Skip).
    #[must_use]
    pub fn replaced(&self) -> &[Replaced] {
        &self.lease.slot.replaced
    }

    /// Number of samples: patches in the batch.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.shape[1]
    }

    /// Type of the values: `view.dtype` of the configuration.
    #[must_use]
    pub fn dtype(&self) -> ViewType {
        self.lease.slot.values.dtype()
    }

    /// All values.
    ///
    /// # Shapes
    /// `[view, sample, band, y, x]` in C order, normalised units.
    ///
    /// # Errors
    /// [`WrongType`] if the values are of another type than `T`.
    pub fn data<T: Element>(&self) -> Result<&[T], WrongType> {
        let values = self.lease.slot.values.of().ok_or_else(|| WrongType {
            found: self.dtype(),
            asked: T::NAME,
        })?;
        Ok(&values[..self.shape.iter().product()])
    }

    /// All values as the bytes they are in memory, whatever their type.
    ///
    /// # Shapes
    /// `[view, sample, band, y, x]` in C order, [`dtype`](Self::dtype) in the machine's byte order.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let values = self.shape.iter().product::<usize>();
        &self.lease.slot.values.bytes()[..values * self.dtype().bytes()]
    }

    /// All values as an array.
    ///
    /// # Shapes
    /// `[view, sample, band, y, x]`, normalised units.
    ///
    /// # Errors
    /// [`WrongType`] if the values are of another type than `T`.
    pub fn views<T: Element>(&self) -> Result<ArrayView5<'_, T>, WrongType> {
        match ArrayView5::from_shape(self.shape, self.data()?) {
            Ok(view) => Ok(view),
            Err(_) => unreachable!("`data` has as many values as the shape asks for"),
        }
    }

    /// View number `view` of all samples; empty when there is none of that number.
    ///
    /// # Shapes
    /// `[sample, band, y, x]` in C order, normalised units.
    ///
    /// # Errors
    /// [`WrongType`] if the values are of another type than `T`.
    pub fn view<T: Element>(&self, view: usize) -> Result<&[T], WrongType> {
        let length: usize = self.shape[1..].iter().product();
        Ok(self.data()?.chunks_exact(length).nth(view).unwrap_or(&[]))
    }

    /// View number `view` of all samples as `f32`, whatever the batch's type; empty when there is none
    /// of that number. Borrowed where nothing has to be widened; widening is exact.
    ///
    /// # Shapes
    /// `[sample, band, y, x]` in C order, normalised units.
    #[must_use]
    pub fn view_f32(&self, view: usize) -> Cow<'_, [f32]> {
        fn widened<T: Element>(values: &[T]) -> Cow<'_, [f32]> {
            values.iter().map(|value| value.to_f32()).collect()
        }
        let borrowed = self.view::<f32>(view).map(Cow::Borrowed);
        borrowed
            .or_else(|_| self.view::<f16>(view).map(widened))
            .or_else(|_| self.view::<bf16>(view).map(widened))
            .unwrap_or_default()
    }

    /// Length of each axis: `[view, sample, band, y, x]`.
    #[must_use]
    pub fn shape(&self) -> [usize; 5] {
        self.shape
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch")
            .field("at", &self.at)
            .field("shape", &self.shape)
            .field("dtype", &self.dtype())
            .finish_non_exhaustive()
    }
}
