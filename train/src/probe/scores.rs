//! Scores of predictions.

#![expect(clippy::needless_pass_by_value, reason = "array views are references")]

use chipmill_schemas::probe::{MultiLabelScores, SingleLabelScores};
use ndarray::ArrayView2;

use super::judged::{Ranked, confused};

/// Scores of single-label predictions. Classes without a row of their own are left out of the mean
/// recall, classes that are neither true nor predicted anywhere out of the mean F1.
///
/// # Shapes
/// `truth`, `predicted`: `[row]`, class indices below `classes`; other rows are not counted.
#[must_use]
pub fn single_label(truth: &[usize], predicted: &[usize], classes: usize) -> SingleLabelScores {
    let pairs: Vec<(usize, usize)> = truth
        .iter()
        .copied()
        .zip(predicted.iter().copied())
        .collect();
    confused(&pairs, &vec![1; pairs.len()], classes)
}

/// Scores of multi-label predictions; a class is predicted where its score exceeds `threshold`.
///
/// Average precision is `sum (R_n - R_(n-1)) P_n` over the distinct scores in falling order, so that
/// ties have no order; no interpolation.
///
/// # Shapes
/// `truth`, `scores`: `[row, class]`; scores are finite, and rise with the confidence.
#[must_use]
pub fn multi_label(
    truth: ArrayView2<'_, bool>,
    scores: ArrayView2<'_, f64>,
    threshold: f64,
) -> MultiLabelScores {
    let ranked = Ranked::new(truth.to_owned(), &scores.to_owned(), threshold);
    ranked.scores(&vec![1; truth.nrows()])
}

/// From `confusion[truth][prediction]`.
pub(super) fn of_confusion(confusion: Vec<Vec<u64>>) -> SingleLabelScores {
    let classes = confusion.len();
    let all: u64 = confusion.iter().flatten().sum();
    let right: u64 = (0..classes).map(|c| confusion[c][c]).sum();
    let counts = |c: usize| Counts {
        hits: confusion[c][c],
        predicted: (0..classes).map(|t| confusion[t][c]).sum(),
        actual: confusion[c].iter().sum(),
    };
    SingleLabelScores {
        accuracy: ratio(right, all).unwrap_or(0.0),
        balanced_accuracy: mean((0..classes).filter_map(|c| counts(c).recall())),
        macro_f1: mean((0..classes).filter_map(|c| counts(c).f1())),
        confusion,
    }
}

/// Rows of one class.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    hits: u64,
    predicted: u64,
    pub(super) actual: u64,
}

impl Counts {
    /// Adds a row that stands `weight` times.
    pub(super) fn add(&mut self, actual: bool, predicted: bool, weight: u32) {
        let weight = u64::from(weight);
        self.hits += weight * u64::from(actual && predicted);
        self.predicted += weight * u64::from(predicted);
        self.actual += weight * u64::from(actual);
    }

    /// Of all row-class pairs.
    pub(super) fn pooled(counts: &[Self]) -> Self {
        Self {
            hits: counts.iter().map(|c| c.hits).sum(),
            predicted: counts.iter().map(|c| c.predicted).sum(),
            actual: counts.iter().map(|c| c.actual).sum(),
        }
    }

    fn recall(&self) -> Option<f64> {
        ratio(self.hits, self.actual)
    }

    /// `2 TP / (2 TP + FP + FN)`.
    pub(super) fn f1(&self) -> Option<f64> {
        ratio(2 * self.hits, self.predicted + self.actual)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// 0 without values.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0_u32), |(sum, count), v| (sum + v, count + 1));
    if count == 0 {
        0.0
    } else {
        sum / f64::from(count)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn single_label_scores_are_those_of_the_confusion() {
        let scores = single_label(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 0, 2], 3);
        assert_eq!(scores.confusion, [[2, 1, 0], [1, 1, 0], [0, 0, 1]]);
        assert!((scores.accuracy - 4.0 / 6.0).abs() < 1e-15);
        assert!((scores.balanced_accuracy - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-15);
        assert!((scores.macro_f1 - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-15);
    }

    #[test]
    fn a_class_without_test_rows_does_not_lower_the_means() {
        let scores = single_label(&[0, 1], &[0, 1], 4);
        assert_eq!((scores.balanced_accuracy, scores.macro_f1), (1.0, 1.0));
        // Predicted but never true: its F1 is 0, its recall does not exist.
        let scores = single_label(&[0, 1], &[0, 2], 4);
        assert_eq!(scores.balanced_accuracy, 0.5);
        assert!((scores.macro_f1 - 1.0 / 3.0).abs() < 1e-15);
    }

    #[test]
    fn no_rows_score_zero_and_do_not_divide_by_it() {
        let scores = single_label(&[], &[], 2);
        assert_eq!(
            (scores.accuracy, scores.balanced_accuracy, scores.macro_f1),
            (0.0, 0.0, 0.0)
        );
    }

    fn ap(truth: &[bool], scores: &[f64]) -> Option<f64> {
        let column = |n: usize| (n, 1);
        let truth = ArrayView2::from_shape(column(truth.len()), truth).unwrap();
        let scores = ArrayView2::from_shape(column(scores.len()), scores).unwrap();
        multi_label(truth, scores, 0.5).ap_by_class[0]
    }

    #[test]
    fn average_precision_of_a_ranking_is_the_mean_precision_at_the_positives() {
        let found = ap(&[true, false, true, false], &[0.9, 0.8, 0.7, 0.1]);
        assert!((found.unwrap() - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-15);
        assert_eq!(ap(&[true, true, false], &[3.0, 2.0, 1.0]), Some(1.0));
        assert_eq!(ap(&[false, false], &[1.0, 2.0]), None);
    }

    #[test]
    fn the_order_of_tied_scores_does_not_matter() {
        assert_eq!(ap(&[true, false, false, false], &[1.0; 4]), Some(0.25));
        assert_eq!(ap(&[false, false, false, true], &[1.0; 4]), Some(0.25));
    }

    #[test]
    fn classes_without_a_positive_are_left_out_of_the_macro_means() {
        let truth = arr2(&[[true, false], [false, false], [true, false]]);
        let scores = arr2(&[[0.9, 0.8], [0.2, 0.1], [0.7, 0.3]]);
        let found = multi_label(truth.view(), scores.view(), 0.5);
        assert_eq!(
            (found.scored_classes, &found.ap_by_class[..]),
            (1, &[Some(1.0), None][..])
        );
        assert_eq!((found.macro_ap, found.macro_f1), (1.0, 1.0));
        assert!((found.micro_f1 - 0.8).abs() < 1e-15, "{found:?}");
    }
}
