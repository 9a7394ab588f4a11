//! Statistics of paired differences, one a seed. Pure functions of the numbers and of a key.
//!
//! Distributions come from `statrs`; the rest is short enough to be read beside its source, and is
//! tested against `SciPy` and by simulation.

pub mod bootstrap;
pub mod holm;
pub mod power;
pub mod random;
pub mod sign_flip;
pub mod student;

/// Arithmetic mean; `None` of nothing.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    let count = float(values.len());
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / count)
}

/// Standard deviation with divisor `n - 1`; `None` of fewer than two values.
#[must_use]
pub fn std(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values.iter().map(|v| (v - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (float(values.len()) - 1.0)).sqrt())
}

pub(crate) fn float(count: usize) -> f64 {
    crate::number::float(count as u64)
}

#[cfg(test)]
mod golden;
#[cfg(test)]
mod simulation;
