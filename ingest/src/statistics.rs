//! Band statistics from exact 16-bit histograms, one for each split and band.
//!
//! Counts are integers, so histograms add up to the same totals in any order, and mean and standard
//! deviation come from exact sums: `mean = S1 / n`, `std = sqrt(n S2 - S1²) / n` with
//! `S1 = sum v`, `S2 = sum v²` (population form, divisor `n`).

mod s1;
mod sidecar;

use std::ops::AddAssign;

use chipmill_schemas::band::Band;
use chipmill_schemas::patch::Split;
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use chipmill_store::PatchPixels;

pub(crate) use s1::{S1Classes, S1Counts, S1Sums};
pub(crate) use sidecar::{from_bytes, to_bytes};

const BANDS: usize = Band::ALL.len();
const VALUES: usize = 1 << 16;
/// The three splits, and patches whose split is not known.
const SETS: usize = Split::ALL.len() + 1;

/// A number that counts pixels.
pub(crate) trait Count: Copy + Default + PartialEq + AddAssign + Into<u64> {
    const ONE: Self;
}

impl Count for u32 {
    const ONE: Self = 1;
}

impl Count for u64 {
    const ONE: Self = 1;
}

/// Of one unit, whose patches have 15 million pixels of a band at most: tables of half the size leave twice
/// the room in the caches for pixels.
pub(crate) type UnitHistograms = Histograms<u32>;

/// How often each value occurs, for each split and band.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Histograms<N = u64> {
    sets: [Set<N>; SETS],
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Set<N> {
    patches: u64,
    /// By band, in canonical order.
    bands: [Counts<N>; BANDS],
}

/// Counts by value. The length is the first of three beyond the largest value that occurs (0 where none
/// does): few pixels are brighter than a tenth of the range, and tables that fit into the caches count
/// faster, merge faster and cost less memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts<N>(Vec<N>);

impl<N: Count> Histograms<N> {
    /// Counts the pixels of one patch.
    pub(crate) fn add(&mut self, split: Option<Split>, pixels: &PatchPixels) {
        let set = &mut self.sets[set_index(split)];
        set.patches += 1;
        for (band, counts) in Band::ALL.into_iter().zip(&mut set.bands) {
            counts.add(pixels.band_slice(band));
        }
    }

    /// Adds the counts of others.
    pub(crate) fn merge<M: Count>(&mut self, other: &Histograms<M>)
    where
        N: From<M>,
    {
        for (set, more) in self.sets.iter_mut().zip(&other.sets) {
            set.merge(more);
        }
    }
}

impl Histograms {
    /// Statistics of all patches, then of each split that occurs.
    pub(crate) fn statistics(&self) -> Vec<SetStatistics> {
        let mut all = Set::default();
        self.sets.iter().for_each(|set| all.merge(set));
        let splits = Split::ALL
            .into_iter()
            .map(|s| (Some(s), &self.sets[set_index(Some(s))]));
        let occurring = splits.filter(|(_, set)| set.patches > 0);
        std::iter::once((None, &all))
            .chain(occurring)
            .map(|(s, set)| set.statistics(s))
            .collect()
    }
}

impl<N: Count> Set<N> {
    fn merge<M: Count>(&mut self, other: &Set<M>)
    where
        N: From<M>,
    {
        self.patches += other.patches;
        for (counts, more) in self.bands.iter_mut().zip(&other.bands) {
            counts.merge(more);
        }
    }
}

impl Set<u64> {
    fn statistics(&self, split: Option<Split>) -> SetStatistics {
        let histograms = Band::ALL.into_iter().zip(&self.bands);
        let bands = histograms
            .map(|(band, counts)| band_statistics(band, &counts.0))
            .collect();
        SetStatistics {
            split,
            patches: self.patches,
            bands,
        }
    }
}

const SMALL: usize = 1 << 12;
const MIDDLE: usize = 1 << 14;

impl<N: Count> Counts<N> {
    fn add(&mut self, values: &[u16]) {
        if values.is_empty() {
            return;
        }
        // As many bits as the largest has, for a tenth of the time that finding it takes.
        self.reach(values.iter().fold(0, |bits, value| bits | value));
        // Where the compiler knows the length no index needs a comparison: half the time.
        match self.0.len() {
            SMALL => self.add_below::<SMALL>(values),
            MIDDLE => self.add_below::<MIDDLE>(values),
            _ => self.add_below::<VALUES>(values),
        }
    }

    /// Of a table of `L` counts, a power of two, which no value reaches.
    fn add_below<const L: usize>(&mut self, values: &[u16]) {
        let Ok(counts) = <&mut [N; L]>::try_from(self.0.as_mut_slice()) else {
            unreachable!("a table has one of three lengths");
        };
        // Neighbours are often alike, and a count cannot be read again before it is written: four quarters are
        // counted side by side, so that a pixel seldom waits for the one before it.
        let quarter = values.len() / 4;
        let (first, rest) = values.split_at(quarter);
        let (second, rest) = rest.split_at(quarter);
        let (third, rest) = rest.split_at(quarter);
        let (fourth, rest) = rest.split_at(quarter);
        let halves = first.iter().zip(second).zip(third.iter().zip(fourth));
        for ((a, b), (c, d)) in halves {
            for &value in [a, b, c, d] {
                counts[usize::from(value) % L] += N::ONE;
            }
        }
        for &value in rest {
            counts[usize::from(value) % L] += N::ONE;
        }
    }

    fn merge<M: Count>(&mut self, other: &Counts<M>)
    where
        N: From<M>,
    {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), N::default());
        }
        for (count, more) in self.0.iter_mut().zip(&other.0) {
            *count += N::from(*more);
        }
    }

    /// Makes room for counts of values up to this one.
    fn reach(&mut self, value: u16) {
        let length = [SMALL, MIDDLE, VALUES]
            .into_iter()
            .find(|&l| l > usize::from(value));
        let length = length.unwrap_or(VALUES);
        if self.0.len() < length {
            self.0.resize(length, N::default());
        }
    }
}

fn set_index(split: Option<Split>) -> usize {
    match split {
        Some(Split::Train) => 0,
        Some(Split::Validation) => 1,
        Some(Split::Test) => 2,
        None => 3,
    }
}

/// # Shapes
/// `counts`: up to 65,536 counts, by value; at least one is not 0.
#[expect(
    clippy::cast_precision_loss,
    reason = "the integers are exact, their ratio is rounded once"
)]
fn band_statistics(band: Band, counts: &[u64]) -> BandStatistics {
    let (mut n, mut s1, mut s2) = (0u64, 0u128, 0u128);
    for (value, &count) in (0u128..).zip(counts) {
        n += count;
        s1 += value * u128::from(count);
        s2 += value * value * u128::from(count);
    }
    let nonzero = |c: &u64| *c > 0;
    let variance = u128::from(n) * s2 - s1 * s1;
    let percentile = |p: u64| percentile(counts, n, p);
    BandStatistics {
        band,
        count: n,
        mean: s1 as f64 / n as f64,
        std: (variance as f64).sqrt() / n as f64,
        min: value(counts.iter().position(nonzero)),
        p1: percentile(1),
        p2: percentile(2),
        p50: percentile(50),
        p98: percentile(98),
        p99: percentile(99),
        max: value(counts.iter().rposition(nonzero)),
        zeros: counts[0],
    }
}

fn value(position: Option<usize>) -> u16 {
    position.and_then(|p| u16::try_from(p).ok()).unwrap_or(0)
}

/// Linear interpolation between the order statistics around rank `(n - 1) p / 100` (`NumPy`'s
/// default).
#[expect(clippy::cast_precision_loss, reason = "a remainder below 100 is exact")]
fn percentile(counts: &[u64], n: u64, p: u64) -> f64 {
    let scaled = u128::from(n - 1) * u128::from(p);
    let fraction = (scaled % 100) as f64 / 100.0;
    let rank = scaled / 100;
    let low = order_statistic(counts, rank);
    let high = order_statistic(counts, (rank + 1).min(u128::from(n - 1)));
    low + (high - low) * fraction
}

fn order_statistic(counts: &[u64], rank: u128) -> f64 {
    let mut below = 0u128;
    let found = counts.iter().position(|&count| {
        below += u128::from(count);
        below > rank
    });
    f64::from(value(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn patch(seed: u64) -> PatchPixels {
        let mut pixels = PatchPixels::zeroed();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for band in Band::ALL {
            for value in pixels.band_slice_mut(band) {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                *value = u16::try_from(state >> 52).unwrap();
            }
        }
        pixels
    }

    /// By sorting and summing floats: slow and obvious.
    fn naive(values: &mut [f64]) -> [f64; 5] {
        values.sort_by(f64::total_cmp);
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
        let percentile = |p: usize| {
            let at = p * (values.len() - 1);
            let (low, high) = (values[at / 100], values[at.div_ceil(100)]);
            low + (high - low) * (at % 100) as f64 / 100.0
        };
        [mean, std, percentile(1), percentile(50), percentile(99)]
    }

    #[test]
    fn statistics_agree_with_sorting() {
        let patches: Vec<_> = (0..3).map(patch).collect();
        let mut histograms = Histograms::<u64>::default();
        patches
            .iter()
            .for_each(|p| histograms.add(Some(Split::Train), p));
        let sets = histograms.statistics();
        assert_eq!(sets.len(), 2);
        assert_eq!((sets[0].split, sets[1].split), (None, Some(Split::Train)));
        assert_eq!(sets[0].bands, sets[1].bands);
        for found in &sets[0].bands {
            let slices = patches.iter().flat_map(|p| p.band_slice(found.band));
            let mut values: Vec<f64> = slices.map(|&v| f64::from(v)).collect();
            let expected = naive(&mut values);
            let found = [found.mean, found.std, found.p1, found.p50, found.p99];
            for (f, e) in found.into_iter().zip(expected) {
                assert!((f - e).abs() <= 1e-9 * e.abs(), "{f} is not {e}");
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let mut pixels = PatchPixels::zeroed();
        Band::ALL
            .into_iter()
            .for_each(|b| pixels.band_slice_mut(b).fill(u16::MAX));
        let mut histograms = Histograms::<u64>::default();
        histograms.add(None, &pixels);
        let bands = histograms.sets[3].bands.iter_mut();
        bands.for_each(|b| b.0.iter_mut().for_each(|c| *c *= 700_000));
        for band in &histograms.statistics()[0].bands {
            assert_eq!((band.mean, band.std, band.p1), (65_535.0, 0.0, 65_535.0));
        }
    }

    proptest! {
        #[test]
        fn every_value_is_counted_whatever_the_table_s_length(
            largest in proptest::collection::vec(0u32..=16, 1..5), seed: u64,
        ) {
            let mut counts = Counts::<u32>::default();
            let mut expected = std::collections::BTreeMap::<u16, u32>::new();
            for (round, bits) in (1u64..).zip(largest) {
                let value = |i: u64| {
                    let mixed = (seed ^ i ^ (round << 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    u16::try_from((mixed >> 48) & ((1 << bits) - 1)).unwrap()
                };
                let values: Vec<u16> = (0..500).map(value).collect();
                counts.add(&values);
                values.iter().for_each(|&v| *expected.entry(v).or_default() += 1);
            }
            let occurring = (0u16..=u16::MAX).zip(&counts.0).filter(|(_, c)| **c > 0);
            let found: Vec<(u16, u32)> = occurring.map(|(v, &c)| (v, c)).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn the_order_and_grouping_of_merges_does_not_matter(
            splits in proptest::collection::vec(0usize..4, 1..6), cut in 0usize..6,
        ) {
            let split = |i: usize| Split::ALL.get(i).copied();
            let mut whole = Histograms::<u64>::default();
            let mut parts = [UnitHistograms::default(), UnitHistograms::default()];
            for (i, &s) in splits.iter().enumerate() {
                let pixels = patch(i as u64);
                whole.add(split(s), &pixels);
                parts[usize::from(i >= cut)].add(split(s), &pixels);
            }
            let [a, mut b] = parts;
            let mut merged = Histograms::<u64>::default();
            merged.merge(&b);
            merged.merge(&a);
            b.merge(&a);
            prop_assert_eq!(to_bytes(&b).unwrap(), to_bytes(&whole).unwrap());
            prop_assert_eq!(&merged, &whole);
            prop_assert_eq!(from_bytes(&to_bytes(&whole).unwrap()).unwrap(), whole);
        }
    }
}
