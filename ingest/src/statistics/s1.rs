//! Statistics of Sentinel-1: sums of floats, and histograms of decibels for the percentiles.
//!
//! Sums of floats depend on their order, so they are taken pixel by pixel in a patch, patch by patch in
//! a unit, and unit by unit: always the same. Counts are integers and add up in any order.

use chipmill_schemas::patch::Split;
use chipmill_schemas::s1::{Polarisation, S1BandStatistics, S1SetStatistics};
use chipmill_store::S1Pixels;

use super::sidecar::{pull, push};
use super::{SETS, set_index};

/// Classes of 0.01 dB from -100 to 60 dB, with one below and one above.
const CLASSES: usize = 16_000 + 2;
const LOWEST: f64 = -100.0;
const PER_DECIBEL: f64 = 100.0;

const BANDS: usize = Polarisation::ALL.len();
const MAGIC: &[u8] = b"chipmill s1 counts 1\n";

/// Sums of the finite pixels of one patch or of many.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BandSums {
    count: u64,
    not_finite: u64,
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Default for BandSums {
    fn default() -> Self {
        Self {
            count: 0,
            not_finite: 0,
            sum: 0.0,
            squares: 0.0,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }
}

/// Sums of both polarisations.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct S1Sums([BandSums; BANDS]);

/// How many pixels fall into each class, for each split and polarisation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct S1Classes([[Vec<u64>; BANDS]; SETS]);

/// All that statistics need of a unit, or of the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct S1Counts {
    patches: [u64; SETS],
    sums: [S1Sums; SETS],
    classes: S1Classes,
}

impl S1Classes {
    /// Counts the pixels of one patch, and gives their sums.
    pub(crate) fn add(&mut self, split: Option<Split>, pixels: &S1Pixels) -> S1Sums {
        let mut sums = S1Sums::default();
        let set = &mut self.0[set_index(split)];
        for polarisation in Polarisation::ALL {
            let classes = &mut set[polarisation.index()];
            classes.resize(CLASSES, 0);
            let sums = &mut sums.0[polarisation.index()];
            for &value in pixels.slice(polarisation) {
                sums.add(value, classes);
            }
        }
        sums
    }

    fn merge(&mut self, other: &Self) {
        let ours = self.0.as_flattened_mut().iter_mut();
        for (classes, more) in ours.zip(other.0.as_flattened()) {
            if classes.is_empty() {
                classes.clone_from(more);
                continue;
            }
            let counts = classes.iter_mut().zip(more);
            counts.for_each(|(count, more)| *count += more);
        }
    }
}

impl BandSums {
    fn add(&mut self, value: f32, classes: &mut [u64]) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        let wide = f64::from(value);
        self.count += 1;
        self.sum += wide;
        self.squares += wide * wide;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        if let Some(count) = classes.get_mut(class_of(wide)) {
            *count += 1;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.not_finite += other.not_finite;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the classes"
)]
fn class_of(decibels: f64) -> usize {
    let class = ((decibels - LOWEST) * PER_DECIBEL).floor() + 1.0;
    class.clamp(0.0, (CLASSES - 1) as f64) as usize
}

impl S1Sums {
    fn merge(&mut self, other: &Self) {
        let bands = self.0.iter_mut().zip(&other.0);
        bands.for_each(|(ours, more)| ours.merge(more));
    }
}

impl S1Counts {
    /// Adds the sums of the next patch in order.
    pub(crate) fn add(&mut self, split: Option<Split>, sums: &S1Sums) {
        self.patches[set_index(split)] += 1;
        self.sums[set_index(split)].merge(sums);
    }

    /// Adds classes, in any order.
    pub(crate) fn add_classes(&mut self, classes: &S1Classes) {
        self.classes.merge(classes);
    }

    /// Adds the counts of the next unit in order.
    pub(crate) fn merge(&mut self, other: &Self) {
        for set in 0..SETS {
            self.patches[set] += other.patches[set];
            self.sums[set].merge(&other.sums[set]);
        }
        self.classes.merge(&other.classes);
    }

    /// Statistics of all patches, then of each split that occurs.
    pub(crate) fn statistics(&self) -> Vec<S1SetStatistics> {
        let mut all = Self::default();
        for set in 0..SETS {
            all.patches[0] += self.patches[set];
            all.sums[0].merge(&self.sums[set]);
            let mut classes = S1Classes::default();
            classes.0[0].clone_from(&self.classes.0[set]);
            all.classes.merge(&classes);
        }
        let splits = Split::ALL.map(Some).into_iter();
        let occurring = splits.filter(|&split| self.patches[set_index(split)] > 0);
        let of = occurring.map(|split| self.set(split, set_index(split)));
        std::iter::once(all.set(None, 0)).chain(of).collect()
    }

    fn set(&self, split: Option<Split>, set: usize) -> S1SetStatistics {
        let bands = Polarisation::ALL.into_iter().map(|polarisation| {
            let classes = &self.classes.0[set][polarisation.index()];
            let sums = &self.sums[set].0[polarisation.index()];
            (sums.count > 0).then(|| sums.statistics(polarisation, classes))
        });
        S1SetStatistics {
            split,
            patches: self.patches[set],
            bands: bands.flatten().collect(),
        }
    }
}

impl BandSums {
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of pixels are far below 2^53"
    )]
    fn statistics(&self, polarisation: Polarisation, classes: &[u64]) -> S1BandStatistics {
        let n = self.count as f64;
        let mean = self.sum / n;
        let percentile = |p: u32| self.percentile(classes, f64::from(p) / 100.0);
        S1BandStatistics {
            polarisation,
            count: self.count,
            not_finite: self.not_finite,
            mean,
            std: (self.squares / n - mean * mean).max(0.0).sqrt(),
            min: self.min,
            p1: percentile(1),
            p2: percentile(2),
            p50: percentile(50),
            p98: percentile(98),
            p99: percentile(99),
            max: self.max,
        }
    }

    /// The value at rank `(n - 1) share`, the pixels of a class spread evenly over it.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of pixels are far below 2^53"
    )]
    fn percentile(&self, classes: &[u64], share: f64) -> f64 {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        let rank = (self.count - 1) as f64 * share;
        let mut below = 0.0;
        for (class, &count) in classes.iter().enumerate() {
            let count = count as f64;
            if rank < below + count {
                let place = (class as f64 - 1.0 + (rank - below + 0.5) / count) / PER_DECIBEL;
                return match class {
                    0 => min,
                    _ if class == CLASSES - 1 => max,
                    _ => (LOWEST + place).clamp(min, max),
                };
            }
            below += count;
        }
        max
    }
}

impl S1Counts {
    /// As a compact file: a Zstandard frame over LEB128 integers, floats as their bits.
    pub(crate) fn to_bytes(&self) -> std::io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        for set in 0..SETS {
            push(&mut plain, self.patches[set]);
            for (sums, classes) in self.sums[set].0.iter().zip(&self.classes.0[set]) {
                push(&mut plain, sums.count);
                push(&mut plain, sums.not_finite);
                push(&mut plain, sums.sum.to_bits());
                push(&mut plain, sums.squares.to_bits());
                push(&mut plain, u64::from(sums.min.to_bits()));
                push(&mut plain, u64::from(sums.max.to_bits()));
                push(&mut plain, classes.len() as u64);
                classes.iter().for_each(|&c| push(&mut plain, c));
            }
        }
        let mut bytes = MAGIC.to_vec();
        bytes.extend(zstd::bulk::compress(&plain, 1)?);
        Ok(bytes)
    }

    /// The error is a reason in words.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        const CAP: usize = SETS * (10 + BANDS * 10 * (7 + CLASSES));
        let packed = bytes
            .strip_prefix(MAGIC)
            .ok_or("is no file of Sentinel-1 counts")?;
        let plain = zstd::bulk::decompress(packed, CAP).map_err(|e| e.to_string())?;
        let mut rest = plain.as_slice();
        let counts = pull_all(&mut rest).ok_or("its counts are cut short or out of range")?;
        if rest.is_empty() {
            Ok(counts)
        } else {
            Err("has bytes beyond its end".to_owned())
        }
    }
}

fn pull_all(rest: &mut &[u8]) -> Option<S1Counts> {
    let mut counts = S1Counts::default();
    for set in 0..SETS {
        counts.patches[set] = pull(rest)?;
        let bands = counts.sums[set].0.iter_mut();
        for (sums, classes) in bands.zip(&mut counts.classes.0[set]) {
            sums.count = pull(rest)?;
            sums.not_finite = pull(rest)?;
            sums.sum = f64::from_bits(pull(rest)?);
            sums.squares = f64::from_bits(pull(rest)?);
            sums.min = f32::from_bits(u32::try_from(pull(rest)?).ok()?);
            sums.max = f32::from_bits(u32::try_from(pull(rest)?).ok()?);
            let length = usize::try_from(pull(rest)?).ok()?;
            if length != 0 && length != CLASSES {
                return None;
            }
            *classes = (0..length).map(|_| pull(rest)).collect::<Option<_>>()?;
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pixels(seed: u32) -> S1Pixels {
        let mut pixels = S1Pixels::absent();
        for (value, i) in pixels.values_mut().iter_mut().zip(0u32..) {
            let noise = (i ^ seed << 20).wrapping_mul(2_654_435_761) >> 16;
            let noise = f32::from(u16::try_from(noise).unwrap());
            *value = -5.0 - noise / 2_500.0;
        }
        pixels.values_mut()[9] = f32::NAN;
        pixels
    }

    fn counted(patches: &[S1Pixels]) -> S1Counts {
        let (mut counts, mut classes) = (S1Counts::default(), S1Classes::default());
        for patch in patches {
            let sums = classes.add(Some(Split::Test), patch);
            counts.add(Some(Split::Test), &sums);
        }
        counts.add_classes(&classes);
        counts
    }

    #[test]
    fn statistics_agree_with_sorting() {
        let patches: Vec<_> = (0..3).map(pixels).collect();
        let sets = counted(&patches).statistics();
        assert_eq!((sets[0].split, sets[1].split), (None, Some(Split::Test)));
        assert_eq!((sets[0].patches, &sets[0].bands), (3, &sets[1].bands));
        for found in &sets[0].bands {
            let all = patches.iter().flat_map(|p| p.slice(found.polarisation));
            let mut values: Vec<f64> = all
                .map(|&v| f64::from(v))
                .filter(|v| v.is_finite())
                .collect();
            values.sort_by(f64::total_cmp);
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let std = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
            assert!((found.mean - mean).abs() < 1e-9 && (found.std - std).abs() < 1e-7);
            assert_eq!(
                (found.count, found.count + found.not_finite),
                (values.len() as u64, 43_200)
            );
            assert_eq!(f64::from(found.min), values[0]);
            assert_eq!(f64::from(found.max), values[values.len() - 1]);
            let exact = |p: usize| values[(values.len() - 1) * p / 100];
            for (percentile, p) in [
                (found.p1, 1),
                (found.p50, 50),
                (found.p98, 98),
                (found.p99, 99),
            ] {
                let exact = exact(p);
                assert!(
                    (percentile - exact).abs() <= 0.0101,
                    "p{p}: {percentile}, {exact}"
                );
            }
        }
    }

    #[test]
    fn a_file_of_counts_and_units_merged_again_give_the_same_bits() {
        let patches: Vec<_> = (0..4).map(pixels).collect();
        let merged = || {
            let mut merged = counted(&patches[..2]);
            merged.merge(&counted(&patches[2..]));
            merged.statistics()
        };
        assert_eq!(merged(), merged());
        let counts = counted(&patches);
        let back = S1Counts::from_bytes(&counts.to_bytes().unwrap()).unwrap();
        assert_eq!(back.statistics(), counts.statistics());
    }

    #[test]
    fn values_beyond_the_classes_and_none_at_all_are_counted() {
        let mut odd = S1Pixels::absent();
        odd.slice_mut(Polarisation::VV)[0] = -1e30;
        odd.slice_mut(Polarisation::VV)[1] = 1e30;
        let sets = counted(&[odd]).statistics();
        let [vv] = &sets[0].bands[..] else {
            panic!("VH has no finite pixel")
        };
        assert_eq!(
            (vv.count, vv.not_finite, vv.p1, vv.p99),
            (2, 14_398, f64::from(-1e30f32), f64::from(-1e30f32))
        );
        assert_eq!((vv.min, vv.max), (-1e30, 1e30));
        assert_eq!(S1Counts::default().statistics()[0].bands, []);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(zstd::bulk::compress(&noise, 1).unwrap());
            let _ = S1Counts::from_bytes(&bytes);
            let _ = S1Counts::from_bytes(&noise);
        }
    }
}
