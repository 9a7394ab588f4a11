//! Intervals of scores: what other test rows of the same kind might have given.
//!
//! The bootstrap (Efron 1987, <https://doi.org/10.1080/01621459.1987.10478410>): as many test rows as there
//! are, drawn with replacement, scored again; of the scores so found, the interval between two percentiles.
//! Which ones, says its bias-corrected and accelerated form: with `z0` the normal quantile of the share of
//! resamples below the score itself, `a` the skewness of the score under the jackknife and `z = ±1.96`, the share
//! `Phi(z0 + (z0 + z) / (1 - a (z0 + z)))`. The plain percentiles 2.5 and 97.5 (`z0 = a = 0`) lie too high for
//! average precision, which rises when a positive row is drawn twice. The jackknife leaves out one row at a
//! time, or one of [`GROUPS`] groups where there are more rows.
//!
//! The classifier stays as it is. So an interval speaks of the choice of test patches, which it takes as
//! independent of one another, and not of other seeds or train rows. Resample `r` draws the same rows for
//! every entry of a table, so that differences between entries are those on the same rows; it is a
//! function of `(r, number of rows)` alone.

use chipmill_pipeline::philox;
use chipmill_schemas::probe::{Intervals, Scores};
use rayon::prelude::*;

use super::judged::Judged;
use crate::monitors::percentile;

/// Philox's key: no seed of a run moves an interval.
const KEY: [u32; 2] = [0x6269_7264, 0x626F_6F74];
/// Rows left out together, at most so many times.
const GROUPS: usize = 200;
/// Normal quantile of 97.5 %.
const Z: f64 = 1.959_963_984_540_054;

/// Scores of a classifier under other weights on the test rows.
#[derive(Debug, Clone)]
pub(super) struct Resampled {
    plain: Scores,
    /// One for each resample.
    drawn: Vec<Scores>,
    /// One for each group of rows left out.
    without: Vec<Scores>,
}

impl Resampled {
    /// Equal for any number of threads.
    pub(super) fn of(judged: &Judged, resamples: u32) -> Self {
        let rows = judged.rows();
        let drawn = |r| judged.scores(&draws(r, rows));
        let groups = if resamples == 0 { 0 } else { rows.min(GROUPS) };
        let without = |group| {
            let weight = |row| u32::from(row % groups != group);
            judged.scores(&(0..rows).map(weight).collect::<Vec<u32>>())
        };
        Self {
            plain: judged.plain(),
            drawn: (0..resamples).into_par_iter().map(drawn).collect(),
            without: (0..groups).into_par_iter().map(without).collect(),
        }
    }

    /// Scores of the rows as they are.
    pub(super) const fn plain(&self) -> &Scores {
        &self.plain
    }

    /// An interval for every score, and for how far the headline figure is behind the lead's; `None`
    /// without resamples.
    pub(super) fn intervals(&self, lead: Option<&Self>) -> Option<Intervals> {
        if self.drawn.is_empty() {
            return None;
        }
        let names = self.plain.named().into_iter().enumerate();
        let of_name = |(i, (name, _)): (usize, (&str, f64))| {
            let bounds = self.bounds(|scores| Some(scores.named()[i].1))?;
            Some((name.to_owned(), bounds))
        };
        let of_class = |k| self.bounds(|scores| scores.by_class().get(k).copied().flatten());
        Some(Intervals {
            resamples: u32::try_from(self.drawn.len()).unwrap_or(u32::MAX),
            scores: names.filter_map(of_name).collect(),
            ap_by_class: (0..self.plain.by_class().len()).map(of_class).collect(),
            behind: lead.and_then(|lead| self.behind(lead)),
        })
    }

    fn bounds(&self, of: impl Fn(&Scores) -> Option<f64>) -> Option<[f64; 2]> {
        let values = |scores: &[Scores]| scores.iter().filter_map(&of).collect::<Vec<f64>>();
        Some(bca(
            of(&self.plain)?,
            values(&self.drawn),
            &values(&self.without),
        ))
    }

    fn behind(&self, lead: &Self) -> Option<[f64; 2]> {
        let less = |lead: &[Scores], own: &[Scores]| {
            let pairs = lead.iter().zip(own);
            pairs
                .map(|(lead, own)| lead.headline() - own.headline())
                .collect::<Vec<f64>>()
        };
        let plain = lead.plain.headline() - self.plain.headline();
        let drawn = less(&lead.drawn, &self.drawn);
        (!drawn.is_empty()).then(|| bca(plain, drawn, &less(&lead.without, &self.without)))
    }
}

/// How often each of `rows` rows is drawn in a resample; the counts sum to `rows`.
fn draws(resample: u32, rows: usize) -> Vec<u32> {
    let mut counts = vec![0; rows];
    let blocks = (0_u32..).map(|block| philox([block, resample, 0, 0], KEY));
    for bits in blocks.flatten().take(rows) {
        // A uniform number below `rows`, biased by less than `rows / 2^32`.
        let row = (u64::from(bits) * rows as u64) >> 32;
        if let Some(count) = usize::try_from(row)
            .ok()
            .and_then(|row| counts.get_mut(row))
        {
            *count += 1;
        }
    }
    counts
}

/// The interval of an estimate from those of resamples and of the jackknife.
fn bca(estimate: f64, mut drawn: Vec<f64>, without: &[f64]) -> [f64; 2] {
    drawn.sort_unstable_by(f64::total_cmp);
    let count = drawn.len().max(1) as f64;
    let below = drawn.partition_point(|&v| v < estimate) as f64;
    let not_above = drawn.partition_point(|&v| v <= estimate) as f64;
    // Equal ones are half below; a share of 0 or 1 would have no quantile.
    let share = f64::midpoint(below, not_above) / count;
    let z0 = normal_quantile(share.clamp(0.5 / count, 1.0 - 0.5 / count));
    let a = acceleration(without);
    [-Z, Z].map(|z| {
        let shifted = z0 + z;
        percentile(&drawn, normal_share(z0 + shifted / (1.0 - a * shifted)))
    })
}

/// A sixth of the skewness of the jackknife's values about their mean, turned round.
fn acceleration(without: &[f64]) -> f64 {
    let mean = without.iter().sum::<f64>() / without.len().max(1) as f64;
    let sum = |power: i32| without.iter().map(|v| (mean - v).powi(power)).sum::<f64>();
    let squares = sum(2);
    if squares > 0.0 {
        sum(3) / (6.0 * squares.powf(1.5))
    } else {
        0.0
    }
}

/// `Phi(z)`.
fn normal_share(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// The `z` of a share in (0, 1), by bisection.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_share(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::init::Draws;
    use crate::probe::scores::{multi_label, single_label};

    const ROWS: usize = 60;

    fn drawn_rows(resample: u32) -> Vec<usize> {
        let counts = draws(resample, ROWS);
        let times = counts.iter().enumerate();
        times
            .flat_map(|(row, &count)| std::iter::repeat_n(row, count as usize))
            .collect()
    }

    #[test]
    fn a_resample_draws_as_many_rows_as_there_are_about_63_percent_of_them_different() {
        let mut different = 0;
        for resample in 0..200 {
            let counts = draws(resample, ROWS);
            assert_eq!(counts.iter().sum::<u32>() as usize, ROWS);
            different += counts.iter().filter(|&&c| c > 0).count();
        }
        let share = different as f64 / (200 * ROWS) as f64;
        assert!((share - 0.635).abs() < 0.01, "{share}");
        assert_ne!(draws(0, ROWS), draws(1, ROWS));
    }

    #[test]
    fn scores_of_a_resample_are_those_of_its_rows_written_out() {
        let random = Draws::new(4, "bootstrap");
        let classes = 4;
        let class = |i: usize, k: u64| usize::try_from(random.bits(8 * i as u64 + k) % 4).unwrap();
        let truth: Vec<usize> = (0..ROWS).map(|i| class(i, 0)).collect();
        let predicted: Vec<usize> = (0..ROWS).map(|i| class(i, 1)).collect();
        let single = Judged::single(truth.clone(), predicted.clone(), classes);
        let has =
            Array2::from_shape_fn((ROWS, classes), |(i, k)| (class(i, k as u64) + k) % 3 == 0);
        // Few different scores: many ties.
        let given = Array2::from_shape_fn((ROWS, classes), |(i, k)| {
            0.2 * class(i, 4 + k as u64) as f64
        });
        let multi = Judged::multi(has.clone(), &given, 0.5);
        let (of_single, of_multi) = (Resampled::of(&single, 20), Resampled::of(&multi, 20));
        let pick = |of: &[usize], rows: &[usize]| rows.iter().map(|&i| of[i]).collect::<Vec<_>>();
        let expected = |rows: &[usize]| {
            let (truth, predicted) = (pick(&truth, rows), pick(&predicted, rows));
            let axis = ndarray::Axis(0);
            let (has, given) = (has.select(axis, rows), given.select(axis, rows));
            (
                Scores::SingleLabel(single_label(&truth, &predicted, classes)),
                Scores::MultiLabel(multi_label(has.view(), given.view(), 0.5)),
            )
        };
        for r in 0..20 {
            let (single, multi) = expected(&drawn_rows(r));
            assert_eq!(of_single.drawn[r as usize], single);
            assert_eq!(of_multi.drawn[r as usize], multi);
        }
        for left_out in [0, 7, ROWS - 1] {
            let rows: Vec<usize> = (0..ROWS).filter(|&i| i != left_out).collect();
            let (single, multi) = expected(&rows);
            assert_eq!(of_single.without[left_out], single);
            assert_eq!(of_multi.without[left_out], multi);
        }
    }

    #[test]
    fn the_interval_of_an_accuracy_is_close_to_that_of_a_binomial_share() {
        // 300 of 400 right: Wilson's interval.
        let truth = vec![0; 400];
        let predicted: Vec<usize> = (0..400).map(|i| usize::from(i % 4 == 0)).collect();
        let judged = Judged::single(truth, predicted, 2);
        let [low, high] = Resampled::of(&judged, 2000).intervals(None).unwrap().scores["accuracy"];
        assert!((low - 0.7053).abs() < 0.006, "{low}");
        assert!((high - 0.7899).abs() < 0.006, "{high}");
    }

    #[test]
    fn a_skewed_mean_has_the_interval_that_scipy_gives() {
        // SciPy 1.17.1, bootstrap(([0.1 * i * i for i in range(12)],), numpy.mean, n_resamples=400000),
        // mean of three seeds: 2.278, 6.789 with method BCa; 2.103, 6.547 with percentiles.
        let values: Vec<f64> = (0..12).map(|i| 0.1 * f64::from(i * i)).collect();
        let mean = |weights: &[u32]| {
            let pairs = values.iter().zip(weights);
            let sum: f64 = pairs.map(|(v, &w)| v * f64::from(w)).sum();
            sum / f64::from(weights.iter().sum::<u32>())
        };
        let drawn = (0..40_000).map(|r| mean(&draws(r, 12))).collect();
        let without: Vec<f64> = (0..12)
            .map(|left_out| {
                mean(
                    &(0..12)
                        .map(|i| u32::from(i != left_out))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        let [low, high] = bca(mean(&[1; 12]), drawn, &without);
        assert!(
            (low - 2.278).abs() < 0.05 && (high - 6.789).abs() < 0.05,
            "{low} {high}"
        );
    }

    #[test]
    fn a_score_that_never_varies_has_an_interval_of_one_point() {
        let judged = Judged::single(vec![0, 1, 1], vec![0, 1, 1], 2);
        let intervals = Resampled::of(&judged, 50).intervals(None).unwrap();
        assert_eq!(intervals.scores["accuracy"], [1.0, 1.0]);
        assert_eq!(bca(0.3, vec![0.3; 9], &[]), [0.3, 0.3]);
    }

    #[test]
    fn a_difference_is_taken_on_the_same_rows() {
        // One is right where the other is, and on ten rows more: their difference hardly varies.
        let truth = vec![0; ROWS];
        let right = |below: usize| (0..ROWS).map(|i| usize::from(i >= below)).collect();
        let of = |below| Resampled::of(&Judged::single(truth.clone(), right(below), 2), 500);
        let (lead, own) = (of(40), of(30));
        let intervals = own.intervals(Some(&lead)).unwrap();
        let [low, high] = intervals.behind.unwrap();
        let [a, b] = intervals.scores["accuracy"];
        assert!(
            low > 0.05 && high < 0.35 && high - low < b - a,
            "{low} {high}"
        );
        assert_eq!(
            lead.intervals(Some(&lead)).unwrap().behind,
            Some([0.0, 0.0])
        );
        assert_eq!(of(1).intervals(None).unwrap().behind, None);
        let without = Resampled::of(&Judged::single(truth.clone(), right(3), 2), 0);
        assert_eq!(without.intervals(Some(&lead)), None);
    }
}
