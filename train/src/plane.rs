//! Features in two dimensions: the plane of their two principal components.

use crate::features::Features;

/// The power method ends here at the latest; near-equal variances then still give a plane of nearly
/// the largest variance, which is all that a picture needs.
const ROUNDS: usize = 300;
/// It ends earlier when a direction turns by less than this.
const SETTLED: f64 = 1e-12;

/// Features seen in a plane.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// One point a row of features.
    pub points: Vec<[f64; 2]>,
    /// The plane's share of the variance of all features, 0 to 1.
    pub explained: f64,
}

/// Projects centred features onto the two orthogonal directions of the largest variance, found by the
/// power method with deflation from a fixed start: the same features give the same points. The largest
/// coordinate of each direction is positive.
#[must_use]
pub fn principal_plane(features: &Features) -> Plane {
    let mut rows = centred(features);
    let total: f64 = rows.iter().map(|row| dot(row, row)).sum();
    let mut coordinates = Vec::with_capacity(2);
    let mut held = 0.0;
    for _ in 0..2 {
        let direction = strongest(&rows, features.dim);
        let along: Vec<f64> = rows.iter().map(|row| dot(row, &direction)).collect();
        held += dot(&along, &along);
        for (row, &length) in rows.iter_mut().zip(&along) {
            let part = direction.iter().map(|d| d * length);
            row.iter_mut().zip(part).for_each(|(v, part)| *v -= part);
        }
        coordinates.push(along);
    }
    let points = (0..rows.len()).map(|i| [coordinates[0][i], coordinates[1][i]]);
    Plane {
        points: points.collect(),
        explained: if total > 0.0 { held / total } else { 0.0 },
    }
}

fn centred(features: &Features) -> Vec<Vec<f64>> {
    let count = features.values.len() / features.dim.max(1);
    let mut mean = vec![0.0; features.dim];
    for row in features.values.chunks_exact(features.dim.max(1)) {
        let share = row.iter().map(|&v| f64::from(v) / count as f64);
        mean.iter_mut()
            .zip(share)
            .for_each(|(m, share)| *m += share);
    }
    let centre = |row: &[f32]| {
        let away = row.iter().zip(&mean).map(|(&v, m)| f64::from(v) - m);
        away.collect()
    };
    let rows = features.values.chunks_exact(features.dim.max(1));
    rows.map(centre).collect()
}

/// Direction of the largest variance; zeros where there is none.
fn strongest(rows: &[Vec<f64>], dim: usize) -> Vec<f64> {
    // The row farthest from the mean is never orthogonal to all variance.
    let farthest = rows.iter().max_by(|a, b| dot(a, a).total_cmp(&dot(b, b)));
    let mut direction = farthest.cloned().unwrap_or_else(|| vec![0.0; dim]);
    normalise(&mut direction);
    for _ in 0..ROUNDS {
        let mut next = vec![0.0; dim];
        for row in rows {
            let along = dot(row, &direction);
            next.iter_mut().zip(row).for_each(|(n, v)| *n += along * v);
        }
        normalise(&mut next);
        let turned = 1.0 - dot(&next, &direction);
        direction = next;
        if turned < SETTLED {
            break;
        }
    }
    let largest = direction
        .iter()
        .copied()
        .max_by(|a, b| a.abs().total_cmp(&b.abs()));
    if largest.is_some_and(|v| v < 0.0) {
        direction.iter_mut().for_each(|v| *v = -*v);
    }
    direction
}

fn normalise(v: &mut [f64]) {
    let norm = dot(v, v).sqrt();
    if norm > 0.0 {
        v.iter_mut().for_each(|x| *x /= norm);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
mod tests {
    use super::*;

    /// Points of an ellipsoid with half-axes 5, 2 and 0.5 along known directions, away from zero.
    fn ellipsoid() -> (Features, [[f64; 3]; 2]) {
        let (a, b, c) = (
            [2.0 / 3.0, 2.0 / 3.0, 1.0 / 3.0],
            [-2.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0],
            [1.0 / 3.0, -2.0 / 3.0, 2.0 / 3.0],
        );
        let point = |i: usize| {
            let t = i as f64;
            let (x, y, z) = (5.0 * t.sin(), 2.0 * (1.7 * t).cos(), 0.5 * (2.3 * t).sin());
            (0..3).map(move |k| (10.0 + x * a[k] + y * b[k] + z * c[k]) as f32)
        };
        let values = (0..4000).flat_map(point).collect();
        (Features { dim: 3, values }, [a, b])
    }

    #[test]
    fn the_plane_is_that_of_the_two_longest_axes() {
        let (features, axes) = ellipsoid();
        let plane = principal_plane(&features);
        // Variances of 12.5, 2 and 0.125.
        assert!(
            (plane.explained - 14.5 / 14.625).abs() < 1e-3,
            "{}",
            plane.explained
        );
        for (i, point) in plane.points.iter().enumerate().step_by(97) {
            for (axis, coordinate) in axes.iter().zip(point) {
                let centred: Vec<f64> = features
                    .row(i)
                    .iter()
                    .map(|&v| f64::from(v) - 10.0)
                    .collect();
                let expected = dot(axis, &centred);
                let sign = if axis == &axes[1] {
                    expected.abs() - coordinate.abs()
                } else {
                    expected - coordinate
                };
                assert!(sign.abs() < 0.05, "row {i}: {expected} {coordinate}");
            }
        }
        assert_eq!(plane, principal_plane(&features));
    }

    #[test]
    fn equal_features_and_none_at_all_give_points_at_zero() {
        let features = Features {
            dim: 2,
            values: vec![1.5; 6],
        };
        let plane = principal_plane(&features);
        assert_eq!((plane.points, plane.explained), (vec![[0.0; 2]; 3], 0.0));
        let none = Features {
            dim: 2,
            values: Vec::new(),
        };
        assert!(principal_plane(&none).points.is_empty());
    }
}
