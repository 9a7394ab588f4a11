//! Decoupled contrastive learning, plain and with the negative von Mises-Fisher weight.
//!
//! Both views' negatives share one log-sum-exp. (Some implementations add one for each kind of
//! negative, which is the logarithm of a product of sums and another loss.)

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;
use chipmill_schemas::config::WeightGradient;

use super::LossError;
use super::similarity::Similarities;

/// `mean_a [-S_ap + log sum over the 2B - 2 negatives of e^S_ab]`.
///
/// # Shapes
/// As [`contrastive`](super::contrastive).
///
/// # Errors
/// [`LossError`] when there are fewer than two images or the shapes differ.
pub fn dcl(z1: Tensor<2>, z2: Tensor<2>, temperature: f64) -> Result<Tensor<1>, LossError> {
    Ok(terms(&Similarities::of(z1, z2, temperature)?).mean())
}

/// `mean_a [-w_a S_ap + log sum over the 2B - 2 negatives of e^S_ab]`, with the weight
/// `w_i = 2 - B softmax_i(<u1_i, u2_i> / sigma)` for both views of image `i`.
///
/// # Shapes
/// As [`contrastive`](super::contrastive).
///
/// # Errors
/// [`LossError`] when there are fewer than two images or the shapes differ.
pub fn dclw(
    z1: Tensor<2>,
    z2: Tensor<2>,
    temperature: f64,
    sigma: f64,
    gradient: WeightGradient,
) -> Result<Tensor<1>, LossError> {
    let similarities = Similarities::of(z1, z2, temperature)?;
    let weights = match gradient {
        WeightGradient::Stop => weights(similarities.cosines.clone().detach(), sigma),
        WeightGradient::Pass => weights(similarities.cosines.clone(), sigma),
    };
    let weights = Tensor::cat(vec![weights.clone(), weights], 0);
    Ok((similarities.log_sum_negatives() - weights * similarities.positives()).mean())
}

/// The unweighted loss of every anchor, `[2B]`.
pub(super) fn terms(similarities: &Similarities) -> Tensor<1> {
    similarities.log_sum_negatives() - similarities.positives()
}

/// `w_i = 2 - B softmax_i(s / sigma)`, in `(2 - B, 2)` with mean 1; negative values push a pair
/// apart and are meant.
pub(crate) fn weights(cosines: Tensor<1>, sigma: f64) -> Tensor<1> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "batches are far smaller than 2^53"
    )]
    let images = cosines.dims()[0] as f64;
    softmax(cosines.div_scalar(sigma), 0)
        .mul_scalar(-images)
        .add_scalar(2.0)
}
