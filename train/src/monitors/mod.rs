//! Figures that tell whether a run learns or collapses.
//!
//! Wang and Isola 2020, <https://arxiv.org/abs/2005.10242> (alignment, uniformity); Garrido et al.
//! 2023, <https://arxiv.org/abs/2210.02885> (`RankMe`).

mod coupling;
mod rank;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::loss::{LossError, Similarities, unit_rows};
use crate::optim::Gradients;

pub use coupling::{Coupling, coupling};
pub(crate) use coupling::{percentile, sorted};
pub use rank::rank_me;

/// A monitor cannot be computed.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The projections are not those of two views of two images or more.
    #[error(transparent)]
    Projections(#[from] LossError),
    /// The device failed while its memory was read.
    #[error("monitors cannot be read from the device: {0}")]
    Device(String),
}

/// What the projections of one batch look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EmbeddingMonitors {
    /// Share of the `2B` anchors whose positive is more similar than every negative.
    pub contrastive_accuracy: f64,
    /// Mean of `|u1 - u2|²`, 0..=4.
    pub alignment: f64,
    /// `log mean exp(-2 |u_i - u_j|²)` over the pairs `i < j` of the first view's unit projections:
    /// 0 when all are equal, about -4 when they fill the sphere.
    pub uniformity: f64,
    /// Mean over dimensions of the standard deviation (`n - 1`) of the first view's unit
    /// projections: near `1 / sqrt(dimension)` when healthy, 0 at collapse.
    pub embedding_std: f64,
}

/// Looks at the projections of one batch; one reading from the device.
///
/// # Shapes
/// `z1`, `z2`: `[image, dimension]`, raw projections of the two views.
///
/// # Errors
/// [`MonitorError`] when there are fewer than two images, the shapes differ, or the device fails.
pub fn embedding(z1: Tensor<2>, z2: Tensor<2>) -> Result<EmbeddingMonitors, MonitorError> {
    let (z1, z2) = (z1.without_autodiff(), z2.without_autodiff());
    let similarities = Similarities::of(z1.clone(), z2.clone(), 1.0)?;
    let wins = similarities
        .positives()
        .greater(similarities.largest_negatives());
    let (u1, u2) = (unit_rows(z1), unit_rows(z2));
    let alignment = (u1.clone() - u2).square().sum_dim(1).mean();
    let figures = vec![
        wins.float().mean(),
        alignment,
        pair_potential(u1.clone()),
        spread(u1),
    ];
    let [contrastive_accuracy, alignment, potential, embedding_std] = read(figures)?;
    let uniformity = libm::log(potential);
    Ok(EmbeddingMonitors {
        contrastive_accuracy,
        alignment,
        uniformity,
        embedding_std,
    })
}

/// Mean of `exp(-2 d²)` over pairs of different rows.
fn pair_potential(u: Tensor<2>) -> Tensor<1> {
    let n = u.dims()[0];
    let squares = u.clone().square().sum_dim(1);
    let products = u.clone().matmul(u.transpose()).mul_scalar(-2.0);
    let distances = (products + squares.clone() + squares.transpose()).clamp_min(0.0);
    let potential = distances.mul_scalar(-2.0).exp();
    // Each row is at distance zero from itself, up to rounding: taken out by its own value.
    let device = potential.device();
    let own = Tensor::<2>::eye(n, &device);
    let others = (potential.clone() - potential * own).sum_dim(1).sum();
    others.div_scalar((n * (n - 1)) as f64)
}

/// Mean over columns of the standard deviation.
fn spread(u: Tensor<2>) -> Tensor<1> {
    let n = u.dims()[0];
    let centred = u.clone() - u.mean_dim(0);
    centred
        .square()
        .sum_dim(0)
        .div_scalar((n - 1) as f64)
        .sqrt()
        .mean()
}

/// Norm of all parameters that are trained: running statistics do not count. The model lives on an
/// autodiff device.
///
/// # Errors
/// [`MonitorError::Device`].
pub fn weight_norm<M: Module>(model: &M) -> Result<f64, MonitorError> {
    let mut squares = Squares::default();
    model.visit(&mut squares);
    norm(squares.0)
}

/// Norm of all gradients.
///
/// # Errors
/// [`MonitorError::Device`].
pub fn gradient_norm(gradients: &Gradients) -> Result<f64, MonitorError> {
    norm(
        gradients
            .iter()
            .map(|(_, gradient)| gradient.clone().square().sum())
            .collect(),
    )
}

#[derive(Default)]
struct Squares(Vec<Tensor<1>>);

impl ModuleVisitor for Squares {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.val().without_autodiff().square().sum());
        }
    }
}

fn norm(squares: Vec<Tensor<1>>) -> Result<f64, MonitorError> {
    if squares.is_empty() {
        return Ok(0.0);
    }
    let [sum] = read(vec![Tensor::cat(squares, 0).sum()])?;
    Ok(sum.sqrt())
}

fn read<const N: usize>(figures: Vec<Tensor<1>>) -> Result<[f64; N], MonitorError> {
    let values = Tensor::cat(figures, 0).try_into_vec_as::<f32>();
    let values = values.map_err(|e| MonitorError::Device(e.to_string()))?;
    let found = values.len();
    let values: Vec<f64> = values.into_iter().map(f64::from).collect();
    <[f64; N]>::try_from(values)
        .map_err(|_| MonitorError::Device(format!("{found} figures came back, expected {N}")))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn rows(values: &[f32], dimension: usize) -> Tensor<2> {
        let device: Device = crate::parse_device("cpu").unwrap();
        let shape = [values.len() / dimension, dimension];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
    }

    #[test]
    fn a_collapsed_batch_reads_as_collapsed() {
        let z = rows(&[3.0, 4.0, 3.0, 4.0, 6.0, 8.0], 2);
        let seen = embedding(z.clone(), z).unwrap();
        assert!(
            seen.alignment.abs() < 1e-12 && seen.uniformity.abs() < 1e-6,
            "{seen:?}"
        );
        assert!(
            seen.embedding_std < 1e-6 && seen.contrastive_accuracy == 0.0,
            "{seen:?}"
        );
    }

    #[test]
    fn orthogonal_images_with_equal_views_are_told_apart() {
        let z = rows(&[1.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 5.0], 3);
        let seen = embedding(z.clone(), z).unwrap();
        assert_eq!(seen.contrastive_accuracy, 1.0);
        assert!((seen.uniformity + 4.0).abs() < 1e-6, "{seen:?}");
        // Each column holds one 1 and two 0.
        assert!(
            (seen.embedding_std - (1.0_f64 / 3.0).sqrt()).abs() < 1e-6,
            "{seen:?}"
        );
    }

    #[test]
    fn one_image_has_no_monitors() {
        let z = rows(&[1.0, 0.0], 2);
        assert!(embedding(z.clone(), z).is_err());
    }
}
