//! The normalised temperature-scaled cross entropy of `SimCLR`.

use burn::tensor::Tensor;

use super::LossError;
use super::similarity::Similarities;

/// `mean_a [-S_ap + log sum over the 2B - 1 others of e^S_ab]`; the positive is one of the others.
///
/// # Shapes
/// As [`contrastive`](super::contrastive).
///
/// # Errors
/// [`LossError`] when there are fewer than two images or the shapes differ.
pub fn nt_xent(z1: Tensor<2>, z2: Tensor<2>, temperature: f64) -> Result<Tensor<1>, LossError> {
    Ok(terms(&Similarities::of(z1, z2, temperature)?).mean())
}

/// The loss of every anchor, `[2B]`.
pub(super) fn terms(similarities: &Similarities) -> Tensor<1> {
    similarities.log_sum_others() - similarities.positives()
}
