//! Contrastive losses on raw projections.
//!
//! Notation: `z1, z2` are the projections of the two views of `B` images, `u = z / max(|z|, 1e-12)`
//! their unit rows, `tau` the temperature. The anchors are all `2B` rows of `[u1; u2]`; `S_ab =
//! <u_a, u_b> / tau`; `p(a)` is the other view of the same image, and the negatives `N(a)` are both
//! views of every other image, `2B - 2` rows. Every loss is the mean over the `2B` anchors.
//!
//! - [`nt_xent()`]: `-S_ap + log(e^S_ap + sum_N e^S_ab)`. Chen et al. 2020, eq. 1,
//!   <https://arxiv.org/abs/2002.05709>.
//! - [`dcl()`]: `-S_ap + log sum_N e^S_ab`. Yeh et al. 2022, eq. 5,
//!   <https://arxiv.org/abs/2110.06848>.
//! - [`dclw()`]: `-w S_ap + log sum_N e^S_ab`, `w_i = 2 - B softmax_i(<u1_i, u2_i> / sigma)`: eq. 6.
//!   The paper does not say whether the gradient passes through `w`: both are here.
//!
//! Excluded pairs are masked with minus infinity, never by a finite constant, and every
//! log-sum-exp subtracts its maximum. All is computed in f32 whatever the encoder's type.

mod dcl;
mod nt_xent;
#[cfg(test)]
mod properties;
mod similarity;

use burn::tensor::Tensor;
use chipmill_schemas::config::{LossConfig, LossKind};

pub(crate) use dcl::weights;
pub use dcl::{dcl, dclw};
pub use nt_xent::nt_xent;
pub(crate) use similarity::Similarities;
pub use similarity::unit_rows;

/// Projections that have no contrastive loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LossError {
    /// One image has no negatives.
    #[error("a contrastive loss needs 2 images or more in a batch, found {found}")]
    TooFewImages {
        /// Images in the batch.
        found: usize,
    },
    /// The two views do not belong together.
    #[error("projections of the two views have shapes {first:?} and {second:?}, expected the same")]
    Shapes {
        /// Shape of the first view's projections.
        first: [usize; 2],
        /// Shape of the second view's.
        second: [usize; 2],
    },
}

/// The loss that a configuration asks for.
///
/// # Shapes
/// `z1`, `z2`: `[image, dimension]`, raw projections of the two views, not normalised, any float
/// type; row `i` of both is image `i`. Result: `[1]`, f32; it may be negative for the decoupled
/// losses.
///
/// # Errors
/// [`LossError`] when there are fewer than two images or the shapes differ.
pub fn contrastive(
    z1: Tensor<2>,
    z2: Tensor<2>,
    config: &LossConfig,
) -> Result<Tensor<1>, LossError> {
    let temperature = f64::from(config.temperature);
    match config.kind {
        LossKind::NtXent => nt_xent(z1, z2, temperature),
        LossKind::Dcl => dcl(z1, z2, temperature),
        LossKind::Dclw => dclw(
            z1,
            z2,
            temperature,
            f64::from(config.sigma),
            config.weight_gradient,
        ),
    }
}
