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
    let one = [(u32::try_from(neighbours).unwrap_or(u32::MAX), temperature)];
    let mut votes = votes_for_each(train, truth, test, &one);
    votes.swap_remove(0)
}

/// The same for each of some numbers of neighbours and temperatures; similarities are computed once.
///
/// # Panics
/// As [`votes`].
#[must_use]
pub fn votes_for_each(
    train: ArrayView2<'_, f64>,
    truth: ArrayView2<'_, f64>,
    test: ArrayView2<'_, f64>,
    settings: &[(u32, f64)],
) -> Vec<Array2<f64>> {
    assert_eq!(
        train.nrows(),
        truth.nrows(),
        "a row of classes for every train row"
    );
    let train = unit_rows(train);
    let most = settings.iter().map(|s| s.0 as usize).max().unwrap_or(0);
    let mut votes = vec![Array2::zeros((test.nrows(), truth.ncols())); settings.len()];
    for start in (0..test.nrows()).step_by(CHUNK) {
        let rows = start..(start + CHUNK).min(test.nrows());
        let cosines = unit_rows(test.slice(s![rows.clone(), ..])).dot(&train.t());
        for (row, cosines) in rows.zip(cosines.rows()) {
            let cosines = cosines.to_vec();
            let order = nearest(&cosines, most);
            for (votes, &(count, temperature)) in votes.iter_mut().zip(settings) {
                let order = &order[..order.len().min(count as usize)];
                for (neighbour, weight) in weights(&cosines, order, temperature) {
                    votes.row_mut(row).scaled_add(weight, &truth.row(neighbour));
                }
            }
        }
    }
    votes
}

/// The rows of the largest cosines, the nearest first.
fn nearest(cosines: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..cosines.len()).collect();
    let nearer = |&a: &usize, &b: &usize| cosines[b].total_cmp(&cosines[a]).then(a.cmp(&b));
    if count == 0 {
        return Vec::new();
    }
    if count < order.len() {
        order.select_nth_unstable_by(count - 1, nearer);
        order.truncate(count);
    }
    order.sort_unstable_by(nearer);
    order
}

/// Neighbours with their weights, which sum to 1.
fn weights(cosines: &[f64], order: &[usize], temperature: f64) -> Vec<(usize, f64)> {
    let Some(&first) = order.first() else {
        return Vec::new();
    };
    // The largest is subtracted: small temperatures would overflow.
    let weight = |&row: &usize| libm::exp((cosines[row] - cosines[first]) / temperature);
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
    fn many_settings_at_once_give_what_each_gives_alone() {
        let at = |i: usize, j: usize| ((i * 7 + j * 3) % 11) as f64 - 4.0;
        let train = Array2::from_shape_fn((40, 5), |(i, j)| at(i, j));
        let truth = Array2::from_shape_fn((40, 3), |(i, k)| f64::from(u8::from(i % 3 == k)));
        let test = Array2::from_shape_fn((9, 5), |(i, j)| at(3 * i + 1, j * j));
        let settings = [(1, 0.1), (7, 0.5), (40, 1.0), (99, 0.07)];
        let many = votes_for_each(train.view(), truth.view(), test.view(), &settings);
        for ((count, temperature), found) in settings.into_iter().zip(many) {
            let alone = votes(
                train.view(),
                truth.view(),
                test.view(),
                count as usize,
                temperature,
            );
            assert_eq!(found, alone);
        }
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
