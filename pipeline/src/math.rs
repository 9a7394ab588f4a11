//! Elementary functions from plain arithmetic, so that every machine gives the same bits.
//!
//! The C library's versions differ in the last place from release to release. Only the basic
//! operations and the square root, which IEEE 754 rounds exactly, are used here.

use std::f64::consts::{LN_2, SQRT_2};

/// `e^x` for finite `x`; relative error below 1e-15, 0 below -700, unbounded above 700 is refused by
/// clamping there.
pub(crate) fn exp(x: f64) -> f64 {
    if x < -700.0 {
        return 0.0;
    }
    let x = x.min(700.0);
    let k = (x / LN_2).round_ties_even();
    let r = x - k * LN_2;
    // Taylor's series on |r| <= ln 2 / 2: the first term left out is below 4e-18.
    let mut sum = 1.0;
    for n in (1..=14_u32).rev() {
        sum = 1.0 + sum * r / f64::from(n);
    }
    sum * power_of_two(k)
}

/// `2^k` for an integer `k` within the normal range.
fn power_of_two(k: f64) -> f64 {
    let mut factor = 1.0;
    let step = if k < 0.0 { 0.5 } else { 2.0 };
    let mut left = k.abs();
    while left >= 1.0 {
        factor *= step;
        left -= 1.0;
    }
    factor
}

/// Natural logarithm of a normal, positive `x`; absolute error below 1e-15 near 1.
pub(crate) fn ln(x: f64) -> f64 {
    let mut mantissa = x;
    let mut exponent = 0.0;
    while mantissa >= SQRT_2 {
        mantissa *= 0.5;
        exponent += 1.0;
    }
    while mantissa < SQRT_2 / 2.0 {
        mantissa *= 2.0;
        exponent -= 1.0;
    }
    // ln m = 2 artanh((m - 1) / (m + 1)), |s| <= 0.172: the first term left out is below 1e-18.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let z = s * s;
    let mut sum = 0.0;
    for n in (0..=10_u32).rev() {
        sum = sum * z + 1.0 / f64::from(2 * n + 1);
    }
    2.0 * s * sum + exponent * LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_and_ln_agree_with_the_standard_library() {
        for i in -6_000..=6_000 {
            let x = f64::from(i) * 0.01;
            let relative = (exp(x) - x.exp()).abs() / x.exp();
            assert!(relative < 1e-14, "exp({x}) is off by {relative}");
            let y = x.exp();
            assert!((ln(y) - x).abs() < 1e-13 * x.abs().max(1.0), "ln({y})");
        }
        assert_eq!(exp(0.0).to_bits(), 1.0_f64.to_bits());
        assert_eq!(ln(1.0).to_bits(), 0.0_f64.to_bits());
        assert_eq!(exp(-800.0).to_bits(), 0.0_f64.to_bits());
    }
}
