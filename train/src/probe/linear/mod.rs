//! Logistic regression on frozen features, in f64.
//!
//! Minimises `0.5 |W|² + C sum_i CE_i`; intercepts are free. `CE_i` is the cross entropy of the
//! softmax over classes (one class a row), or the sum over classes of binary cross entropies (any
//! number of labels a row; the classes then do not interact: one against the rest). The objective
//! is scikit-learn's `LogisticRegression`; the solver is our own, deterministic, single-threaded
//! and exact.

#![expect(clippy::needless_pass_by_value, reason = "array views are references")]

mod newton;
mod objective;
mod standardise;
#[cfg(test)]
mod tests;

use ndarray::{Array1, Array2, ArrayView2, s};

use newton::minimise;
use objective::{Link, Objective};
pub use standardise::Standardiser;

/// A classifier cannot be fitted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Targets and features are not of the same rows.
    #[error("{features} rows of features but {targets} of classes")]
    Rows {
        /// Rows of features.
        features: usize,
        /// Rows of classes.
        targets: usize,
    },
    /// There is nothing to fit.
    #[error("nothing to fit: {rows} train rows, {features} features and {classes} classes")]
    Nothing {
        /// Train rows.
        rows: usize,
        /// Features.
        features: usize,
        /// Classes.
        classes: usize,
    },
    /// A class cannot be learnt.
    #[error("class number {class} has no train row")]
    EmptyClass {
        /// Its number, from 0.
        class: usize,
    },
    /// A class that does not exist.
    #[error("train row {row} has class number {class}, but there are {classes} classes")]
    NoSuchClass {
        /// The row.
        row: usize,
        /// Its class.
        class: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A feature is no number.
    #[error("feature {feature} of train row {row} is {value}, expected a finite number")]
    NotFinite {
        /// The row.
        row: usize,
        /// The feature.
        feature: usize,
        /// The value.
        value: f64,
    },
}

/// A fitted classifier.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// `[class, feature]`.
    pub weights: Array2<f64>,
    /// `[class]`; those of the softmax sum to zero.
    pub intercepts: Array1<f64>,
    /// Largest gradient entry at the end.
    pub gradient: f64,
    /// Newton steps.
    pub iterations: usize,
}

impl Linear {
    /// Softmax regression: one class a row.
    ///
    /// # Shapes
    /// `features`: `[row, feature]`, standardised; `truth`: `[row]`, class numbers below `classes`.
    ///
    /// # Errors
    /// [`FitError`], also when a class has no row.
    pub fn multinomial(
        features: ArrayView2<'_, f64>,
        truth: &[usize],
        classes: usize,
        c: f64,
    ) -> Result<Self, FitError> {
        check(features, truth.len(), classes, 2)?;
        let mut targets = Array2::zeros((truth.len(), classes));
        for (row, &class) in truth.iter().enumerate() {
            match targets.get_mut((row, class)) {
                Some(target) => *target = 1.0,
                None => {
                    return Err(FitError::NoSuchClass {
                        row,
                        class,
                        classes,
                    });
                }
            }
        }
        if let Some(class) = (0..classes).find(|&k| !truth.contains(&k)) {
            return Err(FitError::EmptyClass { class });
        }
        let objective = Objective::new(features, targets, Link::Softmax, c);
        let mut fitted = Self::solved(&objective);
        let mean = fitted.intercepts.sum() / classes as f64;
        fitted.intercepts -= mean;
        Ok(fitted)
    }

    /// One logistic regression a class: any number of classes a row.
    ///
    /// A class that all rows have, or none, has no finite optimum: it gets weights 0 and the
    /// intercept of its smoothed frequency `(n_k + 0.5) / (n + 1)`.
    ///
    /// # Shapes
    /// `features`: `[row, feature]`, standardised; `truth`: `[row, class]`.
    ///
    /// # Errors
    /// [`FitError`].
    pub fn one_vs_rest(
        features: ArrayView2<'_, f64>,
        truth: ArrayView2<'_, bool>,
        c: f64,
    ) -> Result<Self, FitError> {
        let (rows, classes) = truth.dim();
        check(features, rows, classes, 1)?;
        let count = |k: usize| truth.column(k).iter().filter(|&&t| t).count();
        let counts: Vec<usize> = (0..classes).map(count).collect();
        let varied: Vec<usize> = (0..classes)
            .filter(|&k| (1..rows).contains(&counts[k]))
            .collect();
        let share = |k: usize| (counts[k] as f64 + 0.5) / (rows as f64 + 1.0);
        let mut fitted = Self {
            weights: Array2::zeros((classes, features.ncols())),
            intercepts: (0..classes)
                .map(|k| libm::log(share(k) / (1.0 - share(k))))
                .collect(),
            gradient: 0.0,
            iterations: 0,
        };
        if varied.is_empty() {
            return Ok(fitted);
        }
        let target = |(i, j)| f64::from(u8::from(truth[(i, varied[j])]));
        let targets = Array2::from_shape_fn((rows, varied.len()), target);
        let solved = Self::solved(&Objective::new(features, targets, Link::Sigmoid, c));
        for (j, &k) in varied.iter().enumerate() {
            fitted.weights.row_mut(k).assign(&solved.weights.row(j));
            fitted.intercepts[k] = solved.intercepts[j];
        }
        Ok(Self {
            gradient: solved.gradient,
            iterations: solved.iterations,
            ..fitted
        })
    }

    fn solved(objective: &Objective) -> Self {
        let solution = minimise(objective);
        let features = objective.features();
        Self {
            weights: solution.parameters.slice(s![..features, ..]).t().to_owned(),
            intercepts: solution.parameters.row(features).to_owned(),
            gradient: solution.gradient,
            iterations: solution.iterations,
        }
    }

    /// Decision values.
    ///
    /// # Shapes
    /// `[row, feature]` to `[row, class]`.
    #[must_use]
    pub fn logits(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        features.dot(&self.weights.t()) + &self.intercepts
    }

    /// The class of the largest decision value; of equal ones the first.
    #[must_use]
    pub fn predict(&self, features: ArrayView2<'_, f64>) -> Vec<usize> {
        best_classes(self.logits(features).view())
    }

    /// Probability of each class on its own, as one-against-rest regression means it.
    ///
    /// # Shapes
    /// `[row, feature]` to `[row, class]`, 0..=1.
    #[must_use]
    pub fn probabilities(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        self.logits(features).mapv_into(objective::sigmoid)
    }
}

/// The column of the largest value in each row; of equal ones the first.
#[must_use]
pub fn best_classes(scores: ArrayView2<'_, f64>) -> Vec<usize> {
    let best = |row: ndarray::ArrayView1<'_, f64>| {
        let better = |best: usize, k: usize| if row[k] > row[best] { k } else { best };
        (0..row.len()).fold(0, better)
    };
    scores.rows().into_iter().map(best).collect()
}

fn check(
    features: ArrayView2<'_, f64>,
    targets: usize,
    classes: usize,
    least: usize,
) -> Result<(), FitError> {
    let (rows, columns) = features.dim();
    if rows != targets {
        return Err(FitError::Rows {
            features: rows,
            targets,
        });
    }
    if rows == 0 || columns == 0 || classes < least {
        return Err(FitError::Nothing {
            rows,
            features: columns,
            classes,
        });
    }
    let bad = features.indexed_iter().find(|(_, v)| !v.is_finite());
    bad.map_or(Ok(()), |((row, feature), &value)| {
        Err(FitError::NotFinite {
            row,
            feature,
            value,
        })
    })
}
