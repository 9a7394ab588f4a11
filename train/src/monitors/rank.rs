//! The effective rank of a set of embeddings.

/// Sweeps over all pairs of columns; ten are plenty, the method converges quadratically.
const SWEEPS: usize = 60;

/// `RankMe`: `exp(-sum p_k log p_k)` with `p_k = s_k / sum s + 1e-7`, `s` the singular values of
/// the rows, which are not centred: collapsed rows read 1, however small the noise around them.
///
/// # Shapes
/// `rows`: `[row, dimension]`, row-major; `dimension` > 0. A trailing part of a row is ignored.
#[must_use]
pub fn rank_me(rows: &[f32], dimension: usize) -> f64 {
    let values = singular_values(columns(rows, dimension));
    let sum: f64 = values.iter().sum();
    if sum <= 0.0 {
        return 0.0;
    }
    let entropy = |s: &f64| {
        let p = s / sum + 1e-7;
        -p * libm::log(p)
    };
    libm::exp(values.iter().map(entropy).sum())
}

/// The matrix as a list of columns, transposed where that gives fewer of them.
fn columns(rows: &[f32], dimension: usize) -> Vec<Vec<f64>> {
    let count = rows.len() / dimension;
    if count < dimension {
        let row = |row: &[f32]| row.iter().map(|&v| f64::from(v)).collect();
        return rows.chunks_exact(dimension).map(row).collect();
    }
    let column = |c: usize| {
        rows.chunks_exact(dimension)
            .map(|row| f64::from(row[c]))
            .collect()
    };
    (0..dimension).map(column).collect()
}

/// One-sided Jacobi: rotates pairs of columns until all are orthogonal; their lengths are the
/// singular values, small ones as exact as large ones. (Hestenes 1958.)
fn singular_values(mut columns: Vec<Vec<f64>>) -> Vec<f64> {
    for _ in 0..SWEEPS {
        let mut turned = false;
        for second in 1..columns.len() {
            let (before, after) = columns.split_at_mut(second);
            for first in before {
                turned |= orthogonalise(first, &mut after[0]);
            }
        }
        if !turned {
            break;
        }
    }
    columns.iter().map(|c| dot(c, c).sqrt()).collect()
}

/// Rotates two columns in their plane until they are orthogonal; whether they were not.
fn orthogonalise(a: &mut [f64], b: &mut [f64]) -> bool {
    let (aa, bb, ab) = (dot(a, a), dot(b, b), dot(a, b));
    if ab.abs() <= 1e-14 * (aa * bb).sqrt() {
        return false;
    }
    let zeta = (bb - aa) / (2.0 * ab);
    let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let cosine = 1.0 / (1.0 + tangent * tangent).sqrt();
    let sine = cosine * tangent;
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
    }
    true
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_have_rank_one_and_orthogonal_rows_full_rank() {
        assert!((rank_me(&[1.0, 2.0, 1.0, 2.0, 1.0, 2.0], 2) - 1.0).abs() < 1e-4);
        let mut identity = vec![0.0; 25];
        (0..5).for_each(|i| identity[i * 6] = 3.0);
        assert!((rank_me(&identity, 5) - 5.0).abs() < 1e-4);
    }

    #[test]
    fn a_wide_matrix_reads_as_its_transpose() {
        let wide = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0];
        let tall = [1.0, 4.0, 2.0, 5.0, 3.0, 7.0];
        assert!((rank_me(&wide, 3) - rank_me(&tall, 2)).abs() < 1e-9);
    }

    #[test]
    fn zeros_have_rank_zero() {
        assert_eq!(rank_me(&[0.0; 6], 2), 0.0);
    }
}
