//! Predictions beside the truth, ready to be scored with any weights on rows.

use chipmill_schemas::probe::{MultiLabelScores, Scores, SingleLabelScores};
use ndarray::Array2;

use super::scores::{Counts, mean, of_confusion};

/// What a classifier says of some rows, and what is true.
#[derive(Debug, Clone)]
pub(super) enum Judged {
    /// One class a row.
    Single {
        /// True and predicted class of each row.
        pairs: Vec<(usize, usize)>,
        /// Number of classes.
        classes: usize,
    },
    /// Any number of labels a row.
    Multi(Ranked),
}

impl Judged {
    pub(super) fn single(truth: Vec<usize>, predicted: Vec<usize>, classes: usize) -> Self {
        Self::Single {
            pairs: truth.into_iter().zip(predicted).collect(),
            classes,
        }
    }

    /// # Shapes
    /// Both `[row, class]`; a class is predicted where its score exceeds `threshold`.
    pub(super) fn multi(truth: Array2<bool>, scores: &Array2<f64>, threshold: f64) -> Self {
        Self::Multi(Ranked::new(truth, scores, threshold))
    }

    pub(super) fn rows(&self) -> usize {
        match self {
            Self::Single { pairs, .. } => pairs.len(),
            Self::Multi(ranked) => ranked.truth.nrows(),
        }
    }

    /// Scores when row `i` stands `weights[i]` times.
    pub(super) fn scores(&self, weights: &[u32]) -> Scores {
        match self {
            Self::Single { pairs, classes } => {
                Scores::SingleLabel(confused(pairs, weights, *classes))
            }
            Self::Multi(ranked) => Scores::MultiLabel(ranked.scores(weights)),
        }
    }

    /// Scores of the rows as they are.
    pub(super) fn plain(&self) -> Scores {
        self.scores(&vec![1; self.rows()])
    }
}

/// Pairs with a class that does not exist are not counted.
pub(super) fn confused(
    pairs: &[(usize, usize)],
    weights: &[u32],
    classes: usize,
) -> SingleLabelScores {
    let mut confusion = vec![vec![0_u64; classes]; classes];
    for (&(truth, predicted), &weight) in pairs.iter().zip(weights) {
        if let Some(cell) = confusion
            .get_mut(truth)
            .and_then(|row| row.get_mut(predicted))
        {
            *cell += u64::from(weight);
        }
    }
    of_confusion(confusion)
}

/// Multi-label predictions, sorted once: every further scoring is a pass without a sort.
#[derive(Debug, Clone)]
pub(super) struct Ranked {
    truth: Array2<bool>,
    predicted: Array2<bool>,
    by_class: Vec<Ranking>,
    /// Of all row-class pairs.
    pooled: Ranking,
}

impl Ranked {
    pub(super) fn new(truth: Array2<bool>, scores: &Array2<f64>, threshold: f64) -> Self {
        let of = |class: usize| {
            let pairs = truth.column(class).into_iter().zip(scores.column(class));
            Ranking::of(pairs.enumerate().map(|(row, (t, s))| (row, *t, *s)))
        };
        let by_class = (0..truth.ncols()).map(of).collect();
        let pairs = truth.indexed_iter().zip(scores.iter());
        Self {
            by_class,
            pooled: Ranking::of(pairs.map(|(((row, _), t), s)| (row, *t, *s))),
            predicted: scores.mapv(|score| score > threshold),
            truth,
        }
    }

    pub(super) fn scores(&self, weights: &[u32]) -> MultiLabelScores {
        let classes = self.truth.ncols();
        let counts: Vec<Counts> = (0..classes).map(|k| self.counts(k, weights)).collect();
        let ap = |ranking: &Ranking| ranking.average_precision(weights);
        let ap_by_class: Vec<Option<f64>> = self.by_class.iter().map(ap).collect();
        let scored = counts.iter().filter(|c| c.actual > 0);
        MultiLabelScores {
            micro_ap: ap(&self.pooled).unwrap_or(0.0),
            macro_ap: mean(ap_by_class.iter().copied().flatten()),
            micro_f1: Counts::pooled(&counts).f1().unwrap_or(0.0),
            macro_f1: mean(scored.clone().filter_map(Counts::f1)),
            scored_classes: scored.count() as u64,
            ap_by_class,
        }
    }

    fn counts(&self, class: usize, weights: &[u32]) -> Counts {
        let mut counts = Counts::default();
        let rows = self
            .truth
            .column(class)
            .into_iter()
            .zip(self.predicted.column(class));
        for ((&actual, &predicted), &weight) in rows.zip(weights) {
            counts.add(actual, predicted, weight);
        }
        counts
    }
}

/// Items by falling score.
#[derive(Debug, Clone)]
struct Ranking(Vec<Item>);

#[derive(Debug, Clone, Copy)]
struct Item {
    row: usize,
    truth: bool,
    /// The last one of its score: ties have no order.
    ends: bool,
}

impl Ranking {
    /// From (row, truth, score).
    fn of(items: impl Iterator<Item = (usize, bool, f64)>) -> Self {
        let mut items: Vec<_> = items.collect();
        items.sort_by(|a, b| b.2.total_cmp(&a.2));
        let next = items.iter().skip(1).map(|next| Some(next.2)).chain([None]);
        let item = |((row, truth, score), next): (&(usize, bool, f64), Option<f64>)| Item {
            row: *row,
            truth: *truth,
            ends: next != Some(*score),
        };
        Self(items.iter().zip(next).map(item).collect())
    }

    /// `sum (R_n - R_(n-1)) P_n` over the distinct scores in falling order; no interpolation. `None`
    /// without a positive.
    fn average_precision(&self, weights: &[u32]) -> Option<f64> {
        let (mut seen, mut hits, mut new, mut area) = (0_u64, 0_u64, 0_u64, 0.0);
        for item in &self.0 {
            let weight = u64::from(weights[item.row]);
            seen += weight;
            if item.truth {
                new += weight;
            }
            if item.ends && new > 0 {
                hits += new;
                area += new as f64 * (hits as f64 / seen as f64);
                new = 0;
            }
        }
        (hits > 0).then(|| area / hits as f64)
    }
}
