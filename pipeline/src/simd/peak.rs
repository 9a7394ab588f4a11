//! What a processor can do at most, for those who measure: fused products, normal numbers.

use super::{LANES, Lanes, Row, Simd, SimdError, SimdPath, kernel, sum};
use crate::rng::{NORMALS, OpKey, ViewKey};

/// Vectors that are worked on at once. What hides an instruction's latency best depends on the registers
/// that a vector takes.
const CHAINS: [usize; 2] = [5, 12];

/// Does `rounds` rounds of fused products and sums on a path, on values that no round but the one before
/// decides, and does nothing else: the most that a kernel could do. Gives how many, on single values, of
/// each of two ways; time both, the faster counts.
///
/// # Errors
/// [`SimdError::Unavailable`] naming what the processor lacks.
pub fn fused_products(path: SimdPath, way: FusedWay, rounds: u32) -> Result<u64, SimdError> {
    let (simd, start) = (Simd::new(path)?, std::hint::black_box(1.5));
    let (chains, result) = match way {
        FusedWay::Few => (CHAINS[0], few(simd, rounds, start)),
        FusedWay::Many => (CHAINS[1], many(simd, rounds, start)),
    };
    std::hint::black_box(result);
    Ok(u64::from(rounds) * (chains * LANES) as u64)
}

/// How many vectors [`fused_products`] works on at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FusedWay {
    /// As fit into 16 registers of AVX2.
    Few,
    /// As fit into 32 registers of AVX-512.
    Many,
}

kernel! {
    fn few(lanes, rounds: u32, start: f32) -> f64 {
        chains::<L, { CHAINS[0] }>(lanes, rounds, start)
    }
}

kernel! {
    fn many(lanes, rounds: u32, start: f32) -> f64 {
        chains::<L, { CHAINS[1] }>(lanes, rounds, start)
    }
}

#[inline(always)]
fn chains<L: Lanes, const N: usize>(lanes: L, rounds: u32, start: f32) -> f64 {
    // Each from another value: equal ones would be computed once.
    let (mut values, mut start) = ([lanes.splat(0.0); N], start);
    for value in &mut values {
        *value = lanes.splat(start);
        start += 0.25;
    }
    // Towards 2, so that no value becomes tiny, which would be slow, or huge.
    let (half, one) = (lanes.splat(0.5), lanes.splat(1.0));
    for _ in 0..rounds {
        for value in &mut values {
            *value = lanes.mul_add(*value, half, one);
        }
    }
    let mut total = values[0];
    for value in &values[1..] {
        total = lanes.add(total, *value);
    }
    sum(lanes, total)
}

/// Fills `out` with the standard normal numbers that an operation 0 of a view would add to its first band.
/// Values behind the last whole sixteen stay as they are.
///
/// # Errors
/// [`SimdError::Unavailable`] naming what the processor lacks.
pub fn normal_numbers(path: SimdPath, key: ViewKey, out: &mut [f32]) -> Result<(), SimdError> {
    fill_normal(Simd::new(path)?, OpKey::new(key, 0), out.as_chunks_mut().0);
    Ok(())
}

kernel! {
    fn fill_normal(lanes, key: OpKey, out: &mut [Row<f32>]) {
        let (blocks, rest) = out.as_chunks_mut::<{ NORMALS / LANES }>();
        let mut normals = key.normals(lanes, 0);
        for rows in blocks {
            for (row, normal) in rows.iter_mut().zip(normals.next(lanes)) {
                lanes.store(normal, row);
            }
        }
        if rest.is_empty() {
            return;
        }
        for (row, normal) in rest.iter_mut().zip(normals.next(lanes)) {
            lanes.store(normal, row);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1_and_the_same_bits_on_every_path() {
        let key = ViewKey {
            seed: 1,
            epoch: 2,
            patch: 3,
            view: 0,
        };
        let mut plain = vec![7.0; 100_003];
        normal_numbers(SimdPath::Scalar, key, &mut plain).unwrap();
        assert_eq!(plain[100_000..], [7.0; 3]);
        for path in SimdPath::ALL.into_iter().filter(|p| p.check().is_ok()) {
            let mut found = vec![7.0; 100_003];
            normal_numbers(path, key, &mut found).unwrap();
            assert!(found == plain, "{path}");
        }
        let count = 100_000.0;
        let mean = plain[..100_000].iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let square = |v: &f32| f64::from(*v).powi(2);
        let squares = plain[..100_000].iter().map(square).sum::<f64>() / count;
        assert!(
            mean.abs() < 0.015 && (squares - 1.0).abs() < 0.02,
            "{mean} {squares}"
        );
    }

    #[test]
    fn every_product_that_is_told_is_done() {
        for path in SimdPath::ALL.into_iter().filter(|p| p.check().is_ok()) {
            for way in [FusedWay::Few, FusedWay::Many] {
                let told = fused_products(path, way, 10).unwrap();
                let counted = super::super::Counting::count(|counting| {
                    let simd = Simd::Counting(counting);
                    std::hint::black_box(match way {
                        FusedWay::Few => few(simd, 10, 1.5),
                        FusedWay::Many => many(simd, 10, 1.5),
                    });
                });
                // Adding up the chains is not told: it takes no time.
                assert!((told..told + 200).contains(&counted), "{told} {counted}");
            }
        }
    }
}
