//! Similarities of all anchors of a batch.

use burn::tensor::activation::sigmoid;
use burn::tensor::{Bool, DType, Int, Tensor};

use super::LossError;

/// Norms below this do not grow further by normalisation.
const SMALLEST_NORM: f64 = 1e-12;

/// Rows divided by their length: `z / max(|z|, 1e-12)`, so a zero row stays zero and has a finite
/// gradient.
///
/// # Shapes
/// `[row, dimension]` to the same, f32.
#[must_use]
pub fn unit_rows(z: Tensor<2>) -> Tensor<2> {
    let z = if z.dtype() == DType::F32 {
        z
    } else {
        z.cast(DType::F32)
    };
    // The bound lies below the root: the root's derivative at zero is infinite.
    let squares = z
        .clone()
        .square()
        .sum_dim(1)
        .clamp_min(SMALLEST_NORM * SMALLEST_NORM);
    z / squares.sqrt()
}

/// Scaled similarities of the `2B` anchors of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Similarities {
    /// `S_ab`, `[anchor, other]`.
    logits: Tensor<2>,
    /// Cosine of the two views of each image, `[image]`.
    pub(crate) cosines: Tensor<1>,
    images: usize,
    temperature: f64,
}

impl Similarities {
    /// Of raw projections, `[image, dimension]` each.
    pub(crate) fn of(z1: Tensor<2>, z2: Tensor<2>, temperature: f64) -> Result<Self, LossError> {
        let (first, second) = (z1.dims(), z2.dims());
        if first != second {
            return Err(LossError::Shapes { first, second });
        }
        let images = first[0];
        if images < 2 {
            return Err(LossError::TooFewImages { found: images });
        }
        let (u1, u2) = (unit_rows(z1), unit_rows(z2));
        let cosines = (u1.clone() * u2.clone()).sum_dim(1).squeeze_dim(1);
        let anchors = Tensor::cat(vec![u1, u2], 0);
        let logits = anchors
            .clone()
            .matmul(anchors.transpose())
            .div_scalar(temperature);
        Ok(Self {
            logits,
            cosines,
            images,
            temperature,
        })
    }

    /// `S_ap(a)` of every anchor, `[2B]`.
    pub(crate) fn positives(&self) -> Tensor<1> {
        let positives = self.cosines.clone().div_scalar(self.temperature);
        Tensor::cat(vec![positives.clone(), positives], 0)
    }

    /// Log-sum-exp over the `2B - 1` others of every anchor, `[2B]`.
    pub(super) fn log_sum_others(&self) -> Tensor<1> {
        self.log_sum_outside(2 * self.images)
    }

    /// Log-sum-exp over the `2B - 2` negatives of every anchor, `[2B]`.
    pub(super) fn log_sum_negatives(&self) -> Tensor<1> {
        self.log_sum_outside(self.images)
    }

    /// `q_a = U_a / (e^{S_ap} + U_a)` of every anchor, `[2B]`, with `U_a` the sum of `e^{S_ab}` over its
    /// negatives: the gradient of its NT-Xent term is `q_a` times that of its DCL term (Yeh et al.
    /// 2022, <https://arxiv.org/abs/2110.06848>).
    pub(crate) fn negatives_share(&self) -> Tensor<1> {
        sigmoid(self.log_sum_negatives() - self.positives())
    }

    /// The largest `S_ab` over the negatives of every anchor, `[2B]`.
    pub(crate) fn largest_negatives(&self) -> Tensor<1> {
        self.excluding(self.images).max_dim(1).squeeze_dim(1)
    }

    fn log_sum_outside(&self, period: usize) -> Tensor<1> {
        log_sum_exp(self.excluding(period))
    }

    /// The logits, minus infinity where the row numbers are equal modulo `period`.
    fn excluding(&self, period: usize) -> Tensor<2> {
        let device = self.logits.device();
        let n = 2 * self.images;
        let number = Tensor::<1, Int>::arange(0..count(n), &device).remainder_scalar(count(period));
        let row: Tensor<2, Int> = number.clone().reshape([n, 1]).expand([n, n]);
        let column: Tensor<2, Int> = number.reshape([1, n]).expand([n, n]);
        let excluded: Tensor<2, Bool> = row.equal(column);
        self.logits.clone().mask_fill(excluded, f32::NEG_INFINITY)
    }
}

/// Of each row. Every row holds one finite entry or more.
fn log_sum_exp(logits: Tensor<2>) -> Tensor<1> {
    // Any constant gives the same value and gradient; the maximum keeps exp in range.
    let maximum = logits.clone().detach().max_dim(1);
    let sum = (logits - maximum.clone()).exp().sum_dim(1);
    (sum.log() + maximum).squeeze_dim(1)
}

#[expect(
    clippy::cast_possible_wrap,
    reason = "a batch has far fewer than 2^63 rows"
)]
const fn count(n: usize) -> i64 {
    n as i64
}
