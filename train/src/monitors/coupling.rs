//! How strongly positives and negatives are coupled in a batch: what tells the losses apart.

use burn::tensor::Tensor;
use chipmill_schemas::config::{LossConfig, LossKind};

use super::MonitorError;
use crate::loss::{Similarities, weights};

/// Figures over the anchors of one batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coupling {
    /// Mean over the `2B` anchors of q, the negatives' share of the denominator of NT-Xent: `SimCLR`'s
    /// gradient of an anchor is q times DCL's. At 1 everywhere the two are the same.
    pub q_mean: f64,
    /// Its 5th percentile.
    pub q_p5: f64,
    /// Its 95th percentile.
    pub q_p95: f64,
    /// Percentiles 5 and 95 over the `B` images of the weights of `dclw`, whose mean is 1.
    pub weights: Option<[f64; 2]>,
}

/// Looks at the projections of one batch.
///
/// # Shapes
/// `z1`, `z2`: `[image, dimension]`, raw projections of the two views.
///
/// # Errors
/// [`MonitorError`] when there are fewer than two images, the shapes differ, or the device fails.
pub fn coupling(
    z1: Tensor<2>,
    z2: Tensor<2>,
    config: &LossConfig,
) -> Result<Coupling, MonitorError> {
    let (z1, z2) = (z1.without_autodiff(), z2.without_autodiff());
    let similarities = Similarities::of(z1, z2, f64::from(config.temperature))?;
    let q = sorted(similarities.negatives_share())?;
    let weights = match config.kind {
        LossKind::Dclw => {
            let weights = weights(similarities.cosines.clone(), f64::from(config.sigma));
            let weights = sorted(weights)?;
            Some([percentile(&weights, 0.05), percentile(&weights, 0.95)])
        }
        LossKind::NtXent | LossKind::Dcl => None,
    };
    Ok(Coupling {
        q_mean: q.iter().sum::<f64>() / q.len().max(1) as f64,
        q_p5: percentile(&q, 0.05),
        q_p95: percentile(&q, 0.95),
        weights,
    })
}

/// The values on the host, ascending.
pub(crate) fn sorted(values: Tensor<1>) -> Result<Vec<f64>, MonitorError> {
    let values = values.try_into_vec_as::<f32>();
    let values = values.map_err(|e| MonitorError::Device(e.to_string()))?;
    let mut values: Vec<f64> = values.into_iter().map(f64::from).collect();
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// Linear interpolation between order statistics of ascending values; NaN of none.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place in a list"
)]
pub(crate) fn percentile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let part = place - below as f64;
    ascending[below] + part * (ascending[above] - ascending[below])
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use chipmill_schemas::config::WeightGradient;

    use super::*;

    fn rows(values: &[f32], dimension: usize) -> Tensor<2> {
        let device = crate::parse_device("cpu").unwrap();
        let shape = [values.len() / dimension, dimension];
        Tensor::from_data(TensorData::new(values.to_vec(), shape), &device)
    }

    fn config(kind: LossKind) -> LossConfig {
        LossConfig {
            kind,
            temperature: 0.5,
            sigma: 0.5,
            weight_gradient: WeightGradient::Stop,
        }
    }

    #[test]
    fn q_is_the_negatives_share_of_the_denominator() {
        // Two images at right angles: positives have cosine 1, both negatives 0.
        let z = rows(&[1.0, 0.0, 0.0, 3.0], 2);
        let seen = coupling(z.clone(), z, &config(LossKind::NtXent)).unwrap();
        let expected = 2.0 / (libm::exp(1.0 / 0.5) + 2.0);
        for found in [seen.q_mean, seen.q_p5, seen.q_p95] {
            assert!((found - expected).abs() < 1e-6, "{found} for {expected}");
        }
        assert_eq!(seen.weights, None);
    }

    #[test]
    fn equal_positives_have_weight_one() {
        let z = rows(&[1.0, 0.0, 0.0, 3.0], 2);
        let seen = coupling(z.clone(), z, &config(LossKind::Dclw)).unwrap();
        let [low, high] = seen.weights.unwrap();
        assert!((low - 1.0).abs() < 1e-6 && (high - 1.0).abs() < 1e-6);
    }

    #[test]
    fn percentiles_interpolate_between_order_statistics() {
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(percentile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(percentile(&[7.0], 0.05), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }
}
