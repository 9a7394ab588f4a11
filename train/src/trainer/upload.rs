//! From a batch slot to the device: the one place where pixels cross over.

use std::ops::Range;

use burn::tensor::{DType, Device, Tensor, TensorData, bf16, f16};
use chipmill_pipeline::{Batch, Element};

/// Copies one view of a batch to the device.
///
/// # Shapes
/// `[sample, band, y, x]`, f32.
#[must_use]
pub fn upload_view(batch: &Batch, view: usize, device: &Device) -> Tensor<4> {
    upload_samples(batch, view, 0..batch.samples(), device)
}

/// Copies one view of some samples of a batch to the device. Half precision crosses as it is and is
/// widened there, which is exact: the model computes in f32.
///
/// # Shapes
/// `[sample, band, y, x]`, f32; no sample outside the batch.
pub(crate) fn upload_samples(
    batch: &Batch,
    view: usize,
    samples: Range<usize>,
    device: &Device,
) -> Tensor<4> {
    let part = Part {
        batch,
        view,
        samples,
        device,
    };
    part.of::<f16>(DType::F16)
        .or_else(|| part.of::<bf16>(DType::BF16))
        .or_else(|| part.of::<f32>(DType::F32))
        .unwrap_or_else(|| unreachable!("a batch is of one of the three types"))
}

struct Part<'a> {
    batch: &'a Batch,
    view: usize,
    samples: Range<usize>,
    device: &'a Device,
}

impl Part<'_> {
    /// On the device as f32, if the batch is of type `T`.
    fn of<T: Element + burn::tensor::Element>(&self, dtype: DType) -> Option<Tensor<4>> {
        let [_, _, bands, height, width] = self.batch.shape();
        let values = self.batch.view::<T>(self.view).ok()?;
        let one = bands * height * width;
        let values = &values[self.samples.start * one..self.samples.end * one];
        let shape = [self.samples.len(), bands, height, width];
        let data = TensorData::new(values.to_vec(), shape);
        let tensor = Tensor::from_data(data, (self.device, dtype));
        Some(if dtype == DType::F32 {
            tensor
        } else {
            tensor.cast(DType::F32)
        })
    }
}
