//! The sign-flip permutation test of paired differences.
//!
//! Without a difference between the arms, each paired difference is as likely as its negative: p is the
//! share of sign assignments whose mean is at least as far from 0 as the one observed.

use chipmill_schemas::comparison::SignFlip;
use chipmill_schemas::experiment::StatisticsConfig;

use super::random::Random;

/// p of the two-sided test, and how it was computed.
///
/// Up to [`StatisticsConfig::EXACT_UP_TO`] differences all `2^n` assignments are gone through; beyond,
/// `drawn` of them are drawn and p is `(1 + count) / (1 + drawn)` (B. Phipson, G. K. Smyth, Stat. Appl.
/// Genet. Mol. Biol. 9, 2010), so that it is never 0.
#[must_use]
pub fn p_value(differences: &[f64], drawn: u32, random: &mut Random) -> (f64, SignFlip) {
    let observed = differences.iter().sum::<f64>().abs();
    // Sums in another order differ in the last bits; an assignment that is level counts.
    let scale: f64 = differences.iter().map(|d| d.abs()).sum();
    let bar = observed - 1e-12 * scale;
    if differences.len() <= StatisticsConfig::EXACT_UP_TO {
        return (exact(differences, bar), SignFlip::Exact);
    }
    let extreme = (0..drawn).filter(|_| flipped(differences, random).abs() >= bar);
    let count = crate::number::float(extreme.count() as u64);
    let p = (1.0 + count) / (1.0 + f64::from(drawn));
    (p, SignFlip::Resampled)
}

fn exact(differences: &[f64], bar: f64) -> f64 {
    // The mirror image of an assignment is as extreme: the first sign can stay.
    let free = differences.len().saturating_sub(1);
    let sum = |signs: u32| -> f64 {
        let signed = |(i, d): (usize, &f64)| {
            let flip = i > 0 && signs >> (i - 1) & 1 == 1;
            if flip { -d } else { *d }
        };
        differences.iter().enumerate().map(signed).sum()
    };
    let all = 1u32 << free;
    let extreme = (0..all).filter(|&signs| sum(signs).abs() >= bar).count();
    super::float(extreme) / f64::from(all)
}

fn flipped(differences: &[f64], random: &mut Random) -> f64 {
    let mut bits = 0;
    let mut sum = 0.0;
    for (i, difference) in differences.iter().enumerate() {
        if i % 64 == 0 {
            bits = random.next_u64();
        }
        sum += if bits & 1 == 1 {
            *difference
        } else {
            -difference
        };
        bits >>= 1;
    }
    sum
}
