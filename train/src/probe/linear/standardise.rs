//! Features of mean zero and variance one.

use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Mean and standard deviation of every feature over the train rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Standardiser {
    /// `[feature]`.
    pub mean: Array1<f64>,
    /// Population standard deviation, `[feature]`; 1 for a feature that does not vary.
    pub scale: Array1<f64>,
}

impl Standardiser {
    /// From the train rows alone.
    ///
    /// # Shapes
    /// `[row, feature]`; without rows, features pass unchanged.
    #[must_use]
    pub fn fit(train: ArrayView2<'_, f64>) -> Self {
        let rows = train.nrows().max(1) as f64;
        let mean = train.sum_axis(Axis(0)) / rows;
        let mut squares = Array1::<f64>::zeros(train.ncols());
        for row in train.rows() {
            squares.zip_mut_with(&(&row - &mean), |sum, d| *sum += d * d);
        }
        // What rounding alone can leave of a constant feature counts as zero.
        let scale = ndarray::Zip::from(&squares)
            .and(&mean)
            .map_collect(|&sum, &mean: &f64| {
                let deviation = (sum / rows).sqrt();
                if deviation > 10.0 * f64::EPSILON * mean.abs() {
                    deviation
                } else {
                    1.0
                }
            });
        Self { mean, scale }
    }

    /// `(x - mean) / scale`.
    ///
    /// # Shapes
    /// `[row, feature]` to the same.
    #[must_use]
    pub fn apply(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        (&features - &self.mean) / &self.scale
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn train_rows_get_mean_zero_and_variance_one_and_constants_become_zero() {
        let train = arr2(&[[1.0, 0.1, -2.0], [3.0, 0.1, -2.0], [8.0, 0.1, -2.0]]);
        let standardiser = Standardiser::fit(train.view());
        let out = standardiser.apply(train.view());
        assert!(out.column(0).sum().abs() < 1e-12);
        assert!((out.column(0).mapv(|v| v * v).sum() - 3.0).abs() < 1e-12);
        assert!(
            out.column(1)
                .iter()
                .chain(out.column(2))
                .all(|v| v.abs() < 1e-12)
        );
    }
}
