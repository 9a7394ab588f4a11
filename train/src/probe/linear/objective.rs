//! Value, gradient and curvature of the penalised cross entropy.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, Axis, Zip, s};

/// From decision values to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Over classes: they exclude each other.
    Softmax,
    /// Each class alone.
    Sigmoid,
}

/// What is minimised. Parameters are `[feature + 1, class]`, the last row being the intercepts.
#[derive(Debug)]
pub(super) struct Objective {
    /// `[row, feature + 1]`, the last column being ones.
    rows: Array2<f64>,
    /// `[row, class]`, 0 or 1.
    targets: Array2<f64>,
    link: Link,
    c: f64,
}

/// The objective at one point.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) parameters: Array2<f64>,
    pub(super) value: f64,
    pub(super) gradient: Array2<f64>,
    /// `[row, class]`.
    probabilities: Array2<f64>,
}

impl Objective {
    pub(super) fn new(
        features: ArrayView2<'_, f64>,
        targets: Array2<f64>,
        link: Link,
        c: f64,
    ) -> Self {
        let mut rows = Array2::ones((features.nrows(), features.ncols() + 1));
        rows.slice_mut(s![.., ..features.ncols()]).assign(&features);
        Self {
            rows,
            targets,
            link,
            c,
        }
    }

    pub(super) fn features(&self) -> usize {
        self.rows.ncols() - 1
    }

    pub(super) fn start(&self) -> Array2<f64> {
        Array2::zeros((self.rows.ncols(), self.targets.ncols()))
    }

    pub(super) fn at(&self, parameters: Array2<f64>) -> Point {
        let mut probabilities = self.rows.dot(&parameters);
        let mut losses = 0.0;
        for (mut z, y) in probabilities
            .rows_mut()
            .into_iter()
            .zip(self.targets.rows())
        {
            losses += match self.link {
                Link::Softmax => {
                    let log_sum = log_sum_exp(z.view());
                    let loss = log_sum - z.dot(&y);
                    z.mapv_inplace(|z| libm::exp(z - log_sum));
                    loss
                }
                Link::Sigmoid => {
                    let loss = Zip::from(&z)
                        .and(&y)
                        .fold(0.0, |l, z, y| l + softplus(*z) - z * y);
                    z.mapv_inplace(sigmoid);
                    loss
                }
            };
        }
        let kernel = parameters.slice(s![..-1, ..]);
        let penalty = 0.5 * kernel.iter().map(|w| w * w).sum::<f64>();
        let gradient = self.back(&(&probabilities - &self.targets), &parameters);
        Point {
            value: penalty + self.c * losses,
            parameters,
            gradient,
            probabilities,
        }
    }

    /// The Hessian at a point times a direction.
    pub(super) fn curvature(&self, point: &Point, direction: &Array2<f64>) -> Array2<f64> {
        let mut change = self.rows.dot(direction);
        for (mut u, p) in change
            .rows_mut()
            .into_iter()
            .zip(point.probabilities.rows())
        {
            match self.link {
                Link::Softmax => {
                    let mean = u.dot(&p);
                    u.zip_mut_with(&p, |u, p| *u = p * (*u - mean));
                }
                Link::Sigmoid => u.zip_mut_with(&p, |u, p| *u *= p * (1.0 - p)),
            }
        }
        self.back(&change, direction)
    }

    /// The Hessian's diagonal at a point, which scales the search directions.
    pub(super) fn diagonal(&self, point: &Point) -> Array2<f64> {
        let weights = point.probabilities.mapv(|p| p * (1.0 - p));
        let mut out = Array2::ones((self.rows.ncols(), self.targets.ncols()));
        out.index_axis_mut(Axis(0), self.features()).fill(0.0);
        general_mat_mul(
            self.c,
            &self.rows.mapv(|x| x * x).t(),
            &weights,
            1.0,
            &mut out,
        );
        out
    }

    /// `C X' residual`, plus the penalty's share of everything but the intercepts.
    fn back(&self, residual: &Array2<f64>, penalised: &Array2<f64>) -> Array2<f64> {
        let mut out = penalised.clone();
        out.index_axis_mut(Axis(0), self.features()).fill(0.0);
        general_mat_mul(self.c, &self.rows.t(), residual, 1.0, &mut out);
        out
    }
}

fn log_sum_exp(z: ndarray::ArrayView1<'_, f64>) -> f64 {
    let largest = z.fold(f64::NEG_INFINITY, |m, z| m.max(*z));
    largest + libm::log(z.iter().map(|z| libm::exp(z - largest)).sum())
}

/// `log(1 + e^z)` without overflow.
fn softplus(z: f64) -> f64 {
    z.max(0.0) + libm::log1p(libm::exp(-z.abs()))
}

/// `1 / (1 + e^-z)`.
pub(super) fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-z))
}
