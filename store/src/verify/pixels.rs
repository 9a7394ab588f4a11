//! Every chunk decoded, and the statistics that its pixels really have.

use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::ingest::StoreDefect;
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
use rayon::prelude::*;

use crate::fetch::{Fetched, Shards};
use crate::layout::StoreShape;
use crate::pixels::PatchPixels;

/// Patches that are read together: from afar with a request for each group.
pub(super) const PAGE: u32 = 32;

/// What the pixels of a store are like.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Patches of which every chunk was decoded.
    pub(super) patches: u64,
    /// Chunks that could not be, in the order of patches.
    pub(super) defects: Vec<StoreDefect>,
    pub(super) sums: SetSums,
}

/// Decodes every chunk of the shards marked as readable.
pub(super) fn scan(
    shards: &Shards,
    shape: &StoreShape,
    rows: Option<&[PatchRow]>,
    readable: &[[bool; 3]],
) -> Scan {
    let patches = u32::try_from(shape.patches).unwrap_or(u32::MAX);
    // Pieces of the rows in order: rayon keeps that order when it joins their results.
    let scan = |(mut scan, mut pixels): (Scan, PatchPixels), page: u32| {
        let page: Vec<u32> =
            (page * PAGE..patches.min((page * PAGE).saturating_add(PAGE))).collect();
        let fetched = shards.fetch(&page, &Resolution::ALL);
        for index in page {
            let (shard, _) = shape.locate(index);
            let row = rows.and_then(|r| r.get(index as usize));
            let readable = &readable[shard as usize];
            scan.patch(
                shards,
                (index, fetched.as_ref()),
                row,
                readable,
                &mut pixels,
            );
        }
        (scan, pixels)
    };
    (0..patches.div_ceil(PAGE))
        .into_par_iter()
        .fold(|| (Scan::default(), PatchPixels::zeroed()), scan)
        .map(|(scan, _)| scan)
        .reduce(Scan::default, Scan::join)
}

impl Scan {
    fn patch(
        &mut self,
        shards: &Shards,
        (index, fetched): (u32, Option<&Fetched>),
        row: Option<&PatchRow>,
        readable: &[bool; 3],
        pixels: &mut PatchPixels,
    ) {
        let mut whole = readable.iter().all(|&r| r);
        for resolution in Resolution::ALL {
            if !readable[resolution.index()] {
                continue;
            }
            if let Err(e) = shards.read(resolution, index, fetched, pixels) {
                whole = false;
                self.defects.push(StoreDefect {
                    object: shards.object_of(resolution, index),
                    patch: Some(row.map_or_else(|| format!("#{index}"), |r| r.id.to_string())),
                    reason: e.to_string(),
                });
            }
        }
        if whole {
            self.patches += 1;
            self.sums.add(row.and_then(|r| r.split), pixels);
        }
    }

    fn join(mut self, mut after: Self) -> Self {
        self.patches += after.patches;
        self.defects.append(&mut after.defects);
        self.sums.join(&after.sums);
        self
    }
}

/// Exact sums of all patches, and of those of each split.
#[derive(Debug, Default)]
pub(super) struct SetSums {
    sets: [[BandSums; Band::ALL.len()]; 4],
}

#[derive(Debug, Clone, Copy)]
struct BandSums {
    count: u64,
    sum: u128,
    squares: u128,
    min: u16,
    max: u16,
    zeros: u64,
}

impl Default for BandSums {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0,
            squares: 0,
            min: u16::MAX,
            max: 0,
            zeros: 0,
        }
    }
}

impl SetSums {
    fn add(&mut self, split: Option<Split>, pixels: &PatchPixels) {
        for band in Band::ALL {
            let sums = BandSums::of(pixels.band_slice(band));
            self.sets[place(None)][band.index()].join(&sums);
            if split.is_some() {
                self.sets[place(split)][band.index()].join(&sums);
            }
        }
    }

    fn join(&mut self, other: &Self) {
        for (set, other) in self.sets.iter_mut().zip(&other.sets) {
            set.iter_mut().zip(other).for_each(|(a, b)| a.join(b));
        }
    }

    /// Where the manifest's statistics are not those of the pixels.
    pub(super) fn compare(
        &self,
        statistics: &[SetStatistics],
        expected: &[(Option<Split>, u64)],
    ) -> Vec<String> {
        let found: Vec<_> = statistics.iter().map(|s| (s.split, s.patches)).collect();
        if found != expected {
            return vec![format!(
                "the statistics cover {found:?} (split, patches), expected {expected:?}"
            )];
        }
        let mut wrong = Vec::new();
        for set in statistics {
            let name = set.split.map_or("all patches", Split::name);
            let bands: Vec<_> = set.bands.iter().map(|b| b.band).collect();
            if bands != Band::ALL {
                wrong.push(format!(
                    "statistics of {name}: bands {bands:?}, expected all 12"
                ));
            }
            for band in &set.bands {
                let sums = &self.sets[place(set.split)][band.band.index()];
                if let Some(what) = sums.difference(band) {
                    let band = band.band;
                    wrong.push(format!("statistics of {name}, band {band}: {what}"));
                }
            }
        }
        wrong
    }
}

fn place(split: Option<Split>) -> usize {
    match split {
        None => 0,
        Some(Split::Train) => 1,
        Some(Split::Validation) => 2,
        Some(Split::Test) => 3,
    }
}

impl BandSums {
    fn of(values: &[u16]) -> Self {
        let mut sums = Self::default();
        let (mut sum, mut squares) = (0u64, 0u64);
        for &value in values {
            let wide = u64::from(value);
            sum += wide;
            squares += wide * wide;
            sums.min = sums.min.min(value);
            sums.max = sums.max.max(value);
            sums.zeros += u64::from(value == 0);
        }
        Self {
            count: values.len() as u64,
            sum: u128::from(sum),
            squares: u128::from(squares),
            ..sums
        }
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.zeros += other.zeros;
    }

    /// Mean and population variance, from exact integers: `(n sum(x^2) - sum(x)^2) / n^2`.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the integers are exact; only the last step rounds"
    )]
    fn moments(&self) -> (f64, f64) {
        let n = u128::from(self.count.max(1));
        let spread = n * self.squares - self.sum * self.sum;
        let n = n as f64;
        (self.sum as f64 / n, spread as f64 / (n * n))
    }

    fn difference(&self, told: &BandStatistics) -> Option<String> {
        let exact = [
            ("count", told.count, self.count),
            ("min", told.min.into(), self.min.into()),
            ("max", told.max.into(), self.max.into()),
            ("zeros", told.zeros, self.zeros),
        ];
        if let Some((name, told, real)) = exact.into_iter().find(|(_, told, real)| told != real) {
            return Some(format!("{name} is {told}, the pixels give {real}"));
        }
        let (mean, variance) = self.moments();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs().max(1.0);
        for (name, told, real) in [
            ("mean", told.mean, mean),
            ("std", told.std, variance.sqrt()),
        ] {
            if !near(told, real) {
                return Some(format!("{name} is {told}, the pixels give {real}"));
            }
        }
        let (min, max) = (f64::from(told.min), f64::from(told.max));
        let order = [min, told.p1, told.p2, told.p50, told.p98, told.p99, max];
        let ascending = order.windows(2).all(|w| w[0] <= w[1]);
        (!ascending).then(|| format!("min, percentiles and max are not ascending: {order:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_parts_are_the_sums_of_the_whole() {
        let values: Vec<u16> = (0..1000u16).map(|i| i.wrapping_mul(7919)).collect();
        let whole = BandSums::of(&values);
        let mut joined = BandSums::of(&values[..300]);
        joined.join(&BandSums::of(&values[300..]));
        assert_eq!(format!("{whole:?}"), format!("{joined:?}"));
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1000.0;
        let variance = values
            .iter()
            .map(|&v| (f64::from(v) - mean).powi(2))
            .sum::<f64>()
            / 1000.0;
        let (m, v) = whole.moments();
        assert!((m - mean).abs() < 1e-9 && (v - variance).abs() < 1e-3);
    }
}
