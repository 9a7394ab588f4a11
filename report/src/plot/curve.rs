//! What is drawn of a series: the points themselves, thinned where there are too many to tell apart,
//! and a smooth line through them. Smoothing is for the eye; no figure is taken from it.

/// A series as drawn. Points without a finite value are left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curve {
    /// Points `(x, y)` as measured, by ascending x.
    pub raw: Vec<(f64, f64)>,
    /// The smooth line; empty when there are too few points to smooth.
    pub smooth: Vec<(f64, f64)>,
}

/// Fewer points than this are joined as they are.
pub(crate) const SMOOTHED_FROM: usize = 12;
/// Points kept of a long series: the lowest and the highest of each of half as many stretches.
const RAW_POINTS: usize = 600;
const SMOOTH_POINTS: u32 = 240;

impl Curve {
    /// Prepares points for drawing. `bandwidth` is the standard deviation of the Gaussian weights, in
    /// units of x.
    #[must_use]
    pub fn new(points: impl IntoIterator<Item = (f64, f64)>, bandwidth: f64) -> Self {
        let finite = |p: &(f64, f64)| p.0.is_finite() && p.1.is_finite();
        let points: Vec<(f64, f64)> = points.into_iter().filter(finite).collect();
        let smooth = if points.len() < SMOOTHED_FROM {
            Vec::new()
        } else {
            smooth(&points, bandwidth)
        };
        Self {
            raw: thin(&points),
            smooth,
        }
    }
}

/// The bandwidth for rows at these positions: one fiftieth of their extent, and at least 1.5 times
/// the usual distance between them.
#[must_use]
pub fn bandwidth(positions: &[f64]) -> f64 {
    let (Some(first), Some(last)) = (positions.first(), positions.last()) else {
        return 1.0;
    };
    let extent = last - first;
    let gaps = u32::try_from(positions.len())
        .unwrap_or(u32::MAX)
        .saturating_sub(1);
    (extent / 50.0).max(1.5 * extent / f64::from(gaps.max(1)))
}

/// Gaussian-weighted mean (Nadaraya and Watson's estimator) on an even grid over the points' extent:
/// `y(x) = sum w_i y_i / sum w_i`, `w_i = exp(-((x - x_i) / h)² / 2)`, cut at 4 h.
pub(crate) fn smooth(points: &[(f64, f64)], h: f64) -> Vec<(f64, f64)> {
    let (Some(&(first, _)), Some(&(last, _))) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let at = |k: u32| first + (last - first) * f64::from(k) / f64::from(SMOOTH_POINTS - 1);
    (0..SMOOTH_POINTS)
        .filter_map(|k| {
            let x = at(k);
            let from = points.partition_point(|p| p.0 < x - 4.0 * h);
            let to = points.partition_point(|p| p.0 <= x + 4.0 * h);
            let (mut total, mut sum) = (0.0, 0.0);
            for &(xi, yi) in &points[from..to] {
                let weight = (-0.5 * ((x - xi) / h).powi(2)).exp();
                total += weight;
                sum += weight * yi;
            }
            (total > 0.0).then(|| (x, sum / total))
        })
        .collect()
}

fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= RAW_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(RAW_POINTS / 2);
    let mut kept = Vec::with_capacity(RAW_POINTS);
    for part in points.chunks(stretch) {
        let by_value = |&(a, _): &(usize, f64), &(b, _): &(usize, f64)| {
            part[a].1.total_cmp(&part[b].1).then(a.cmp(&b))
        };
        let indexed = || part.iter().enumerate().map(|(i, p)| (i, p.1));
        let (Some((low, _)), Some((high, _))) =
            (indexed().min_by(by_value), indexed().max_by(by_value))
        else {
            continue;
        };
        kept.push(part[low.min(high)]);
        if low != high {
            kept.push(part[low.max(high)]);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(count: u32) -> Vec<(f64, f64)> {
        (0..count).map(|i| (f64::from(i), 3.0)).collect()
    }

    #[test]
    fn a_constant_stays_what_it_is() {
        let points = line(100);
        let curve = Curve::new(points.clone(), 2.0);
        assert_eq!(curve.raw, points);
        assert_eq!(curve.smooth.len(), 240);
        assert!(curve.smooth.iter().all(|&(_, y)| (y - 3.0).abs() < 1e-12));
        assert_eq!((curve.smooth[0].0, curve.smooth[239].0), (0.0, 99.0));
    }

    #[test]
    fn few_points_are_not_smoothed() {
        assert!(Curve::new(line(11), 2.0).smooth.is_empty());
        assert_eq!(Curve::new([], 2.0), Curve::default());
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        let points = [(0.0, f64::NAN), (1.0, 2.0), (2.0, f64::INFINITY)];
        assert_eq!(Curve::new(points, 1.0).raw, [(1.0, 2.0)]);
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut points = line(50_000);
        points[17_321].1 = 99.0;
        points[40_000].1 = -5.0;
        let curve = Curve::new(points, 10.0);
        assert!(curve.raw.len() <= 600);
        assert!(curve.raw.contains(&(17_321.0, 99.0)) && curve.raw.contains(&(40_000.0, -5.0)));
        assert!(curve.raw.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn the_bandwidth_follows_the_rows() {
        assert_eq!(bandwidth(&[]), 1.0);
        assert_eq!(bandwidth(&[10.0]), 0.0);
        assert_eq!(bandwidth(&[0.0, 10.0, 20.0]), 15.0);
        let many: Vec<f64> = (0..1001).map(f64::from).collect();
        assert_eq!(bandwidth(&many), 20.0);
    }
}
