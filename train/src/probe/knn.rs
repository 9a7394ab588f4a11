//! Weighted nearest neighbours by cosine: a probe with nothing to fit.
//!
//! A row's neighbours are the `k` train rows of the largest cosine (of equal ones the earlier);
//! neighbour `j` votes for its classes with weight `exp(cos_j / T)`. (Wu et al. 2018, section 3.4,
//! <https://arxiv.org/abs/1805.01978>.)

#![expect(clippy::needless_pass_by_value, reason = "array views are references")]

use ndarray::{Array2, ArrayView2, Axis, s};

/// Test rows whose similarities are in memory at a time.
const CHUNK: usize = 256;

/// Votes for every class, as shares of all weights: in 0..=1, and summing to 1 where every train
/// row has one class.
///
/// Features are taken as they are; a row of zeros has cosine 0 with every other.
///
/// # Shapes
/// `train`, `test`: `[row, feature]`; `truth`: `[train row, class]`, 1 for the classes of a row,
/// else 0. Result: `[test row, class]`. With fewer than `neighbours` train rows all vote.
///
/// # Panics
/// When `train` and `truth` differ in rows, or `train` and `test` in features.
#[must_use]
pub fn votes(
    train: ArrayView2<'_, f64>,
    truth: ArrayView2<'_, f64>,
    test: ArrayView2<'_, f64>,
    neighbours: usize,
    temperature: f64,
) -> Array2<f64> {
    assert_eq!(
        train.nrows(),
        truth.nrows(),
        "a row of classes for every train row"
    );
    let train = unit_rows(train);
    let mut votes = Array2::zeros((test.nrows(), truth.ncols()));
    for start in (0..test.nrows()).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(test.nrows());
        let cosines = unit_rows(test.slice(s![rows.clone(), ..])).dot(&train.t());
        let mut chunk = votes.slice_mut(s![rows, ..]);
        for (cosines, mut into) in cosines.rows().into_iter().zip(chunk.rows_mut()) {
            for (row, weight) in weights(&cosines.to_vec(), neighbours, temperature) {
                into.scaled_add(weight, &truth.row(row));
            }
        }
    }
    votes
}

/// The neighbours and their weights, which sum to 1.
fn weights(cosines: &[f64], neighbours: usize, temperature: f64) -> Vec<(usize, f64)> {
    let mut order: Vec<usize> = (0..cosines.len()).collect();
    let nearer = |&a: &usize, &b: &usize| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b));
    let count = neighbours.min(order.len());
    if count == 0 {
        return Vec::new();
    }
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, nearer);
        order.truncate(count);
    }
    order.sort_unstable_by(nearer);
    // The largest is subtracted: small temperatures would overflow.
    let nearest = cosines[order[0]];
    let weight = |&row: &usize| libm::exp((cosines[row] - nearest) / temperature);
    let total: f64 = order.iter().map(weight).sum();
    order
        .iter()
        .map(|row| (*row, weight(row) / total))
        .collect()
}

fn unit_rows(rows: ArrayView2<'_, f64>) -> Array2<f64> {
    let mut rows = rows.to_owned();
    for mut row in rows.axis_iter_mut(Axis(0)) {
        let norm = row.dot(&row).sqrt();
        row.mapv_inplace(|v| v / norm.max(f64::MIN_POSITIVE));
    }
    rows
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn the_nearest_neighbour_decides_whatever_the_length_of_vectors() {
        let train = arr2(&[[1.0, 0.0], [0.0, 100.0]]);
        let truth = arr2(&[[1.0, 0.0], [0.0, 1.0]]);
        let test = arr2(&[[50.0, 1.0], [0.001, 0.002], [0.0, 0.0]]);
        let found = votes(train.view(), truth.view(), test.view(), 1, 0.1);
        // Of equal cosines, the earlier row.
        assert_eq!(found, arr2(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]));
    }

    #[test]
    fn votes_are_shares_weighted_by_similarity_even_at_tiny_temperatures() {
        let train = arr2(&[[1.0, 0.0], [0.6, 0.8], [-1.0, 0.0]]);
        let truth = arr2(&[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
        let test = arr2(&[[1.0, 0.0]]);
        let found = votes(train.view(), truth.view(), test.view(), 99, 0.5);
        let (a, b, c) = (1.0, (-0.4_f64 / 0.5).exp(), (-2.0_f64 / 0.5).exp());
        assert!(
            (found[[0, 0]] - a / (a + b + c)).abs() < 1e-12 && (found.sum() - 1.0).abs() < 1e-12
        );
        let found = votes(train.view(), truth.view(), test.view(), 99, 1e-6);
        assert_eq!(found, arr2(&[[1.0, 0.0]]));
    }

    #[test]
    fn chunks_do_not_show() {
        let n = CHUNK + 3;
        let test = Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { 1.0 } else { i as f64 });
        let train = arr2(&[[1.0, 0.0], [0.0, 1.0]]);
        let found = votes(train.view(), train.view(), test.view(), 2, 0.1);
        let last = votes(
            train.view(),
            train.view(),
            test.slice(s![n - 1.., ..]),
            2,
            0.1,
        );
        assert_eq!(found.row(n - 1), last.row(0));
    }
}
