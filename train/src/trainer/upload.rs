//! From a batch slot to the device: the one place where pixels cross over.

use burn::tensor::{Device, Tensor, TensorData};
use chipmill_pipeline::Batch;

/// Copies one view of a batch to the device. Half precision is widened on the way: the model computes
/// in f32.
///
/// # Shapes
/// `[sample, band, y, x]`, f32.
#[must_use]
pub fn upload_view(batch: &Batch, view: usize, device: &Device) -> Tensor<4> {
    let [_, samples, bands, height, width] = batch.shape();
    let data = TensorData::new(
        batch.view_f32(view).into_owned(),
        [samples, bands, height, width],
    );
    Tensor::from_data(data, device)
}
