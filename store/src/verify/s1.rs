//! Every Sentinel-1 chunk decoded, and the statistics that its pixels really have.

use chipmill_schemas::ingest::StoreDefect;
use chipmill_schemas::patch::{PatchRow, Split};
use chipmill_schemas::s1::{Polarisation, S1BandStatistics, S1Manifest, S1SetStatistics};
use rayon::prelude::*;

use super::pixels::PAGE;
use crate::fetch::Fetched;
use crate::layout::StoreShape;
use crate::s1::{S1Pixels, S1Shards};

/// What the Sentinel-1 pixels of a store are like.
#[derive(Debug, Default)]
pub(super) struct S1Scan {
    /// Chunks that could not be decoded, in the order of patches.
    pub(super) defects: Vec<StoreDefect>,
    /// All patches, then those of each split.
    sets: [Sums; 1 + Split::ALL.len()],
}

/// Decodes every chunk of the shards marked as readable.
pub(super) fn scan(
    shards: &S1Shards,
    shape: &StoreShape,
    rows: Option<&[PatchRow]>,
    readable: &[bool],
) -> S1Scan {
    let patches = u32::try_from(shape.patches).unwrap_or(u32::MAX);
    let scan = |(mut scan, mut pixels): (S1Scan, S1Pixels), page: u32| {
        let page = page * PAGE..patches.min((page * PAGE).saturating_add(PAGE));
        let is_readable = |index: &u32| readable[shape.locate(*index).0 as usize];
        let page: Vec<u32> = page.filter(is_readable).collect();
        let fetched = shards.fetch(&page);
        for index in page {
            let row = rows.and_then(|r| r.get(index as usize));
            scan.patch(shards, (index, fetched.as_ref()), row, &mut pixels);
        }
        (scan, pixels)
    };
    // Pieces of the rows in order: rayon keeps that order when it joins their results.
    (0..patches.div_ceil(PAGE))
        .into_par_iter()
        .fold(|| (S1Scan::default(), S1Pixels::absent()), scan)
        .map(|(scan, _)| scan)
        .reduce(S1Scan::default, S1Scan::join)
}

impl S1Scan {
    fn patch(
        &mut self,
        shards: &S1Shards,
        (index, fetched): (u32, Option<&Fetched>),
        row: Option<&PatchRow>,
        pixels: &mut S1Pixels,
    ) {
        match shards.read(index, fetched, pixels) {
            Ok(false) => {}
            Ok(true) => {
                let sums = Sums::of(pixels);
                self.sets[0].join(&sums);
                if let Some(split) = row.and_then(|r| r.split) {
                    self.sets[place(Some(split))].join(&sums);
                }
            }
            Err(e) => self.defects.push(StoreDefect {
                object: shards.object_of(index),
                patch: Some(row.map_or_else(|| format!("#{index}"), |r| r.id.to_string())),
                reason: e.to_string(),
            }),
        }
    }

    fn join(mut self, mut after: Self) -> Self {
        self.defects.append(&mut after.defects);
        let sets = self.sets.iter_mut().zip(&after.sets);
        sets.for_each(|(set, after)| set.join(after));
        self
    }

    /// Where the manifest does not say what the pixels give.
    pub(super) fn compare(&self, told: &S1Manifest) -> Vec<String> {
        let splits = Split::ALL.into_iter().map(Some);
        let occurring = splits.filter(|s| self.sets[place(*s)].patches > 0);
        let expected: Vec<_> = std::iter::once(None)
            .chain(occurring)
            .map(|split| (split, self.sets[place(split)].patches))
            .collect();
        let found: Vec<_> = told
            .statistics
            .iter()
            .map(|s| (s.split, s.patches))
            .collect();
        if found != expected || told.patches != self.sets[0].patches {
            return vec![format!(
                "Sentinel-1 of {} patches, statistics of {found:?} (split, patches), expected \
                 {expected:?}",
                told.patches
            )];
        }
        told.statistics
            .iter()
            .flat_map(|set| self.sets[place(set.split)].differences(set))
            .collect()
    }
}

fn place(split: Option<Split>) -> usize {
    split.map_or(0, |split| 1 + split as usize)
}

/// Sums of a set of patches.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    patches: u64,
    bands: [BandSums; 2],
}

#[derive(Debug, Clone, Copy)]
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

impl Sums {
    fn of(pixels: &S1Pixels) -> Self {
        Self {
            patches: 1,
            bands: Polarisation::ALL.map(|p| BandSums::of(pixels.slice(p))),
        }
    }

    fn join(&mut self, other: &Self) {
        self.patches += other.patches;
        let bands = self.bands.iter_mut().zip(&other.bands);
        bands.for_each(|(a, b)| a.join(b));
    }

    fn differences(&self, told: &S1SetStatistics) -> Vec<String> {
        let name = told.split.map_or("all patches", Split::name);
        let mut wrong = Vec::new();
        for polarisation in Polarisation::ALL {
            let real = &self.bands[polarisation.index()];
            let said = told.bands.iter().find(|b| b.polarisation == polarisation);
            let what = match said {
                None if real.count == 0 => None,
                None => Some("is not there".to_owned()),
                Some(said) => real.difference(said),
            };
            wrong.extend(what.map(|w| format!("statistics of {name}, {polarisation}: {w}")));
        }
        wrong
    }
}

impl BandSums {
    fn of(values: &[f32]) -> Self {
        let mut sums = Self::default();
        for &value in values {
            if !value.is_finite() {
                sums.not_finite += 1;
                continue;
            }
            let wide = f64::from(value);
            sums.count += 1;
            sums.sum += wide;
            sums.squares += wide * wide;
            sums.min = sums.min.min(value);
            sums.max = sums.max.max(value);
        }
        sums
    }

    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.not_finite += other.not_finite;
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::float_cmp,
        reason = "counts of pixels are far below 2^53; the ends of the range are exact"
    )]
    fn difference(&self, told: &S1BandStatistics) -> Option<String> {
        let counts = [
            ("count", told.count, self.count),
            ("not_finite", told.not_finite, self.not_finite),
        ];
        if let Some((name, told, real)) = counts.into_iter().find(|(_, told, real)| told != real) {
            return Some(format!("{name} is {told}, the pixels give {real}"));
        }
        let ends = [("min", told.min, self.min), ("max", told.max, self.max)];
        if let Some((name, told, real)) = ends.into_iter().find(|(_, told, real)| told != real) {
            return Some(format!("{name} is {told}, the pixels give {real}"));
        }
        let n = self.count as f64;
        let mean = self.sum / n;
        let std = (self.squares / n - mean * mean).max(0.0).sqrt();
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
        for (name, told, real) in [("mean", told.mean, mean), ("std", told.std, std)] {
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
