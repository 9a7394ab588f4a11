//! Holm's correction for several comparisons (S. Holm, Scand. J. Stat. 6, 1979).

/// Corrected p, in the order given: the `k`-th smallest of `m` is multiplied by `m - k + 1`, then none
/// may be below one before it, and none above 1.
#[must_use]
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut corrected = vec![1.0; p.len()];
    let mut so_far: f64 = 0.0;
    for (k, &index) in order.iter().enumerate() {
        let factor = super::float(p.len() - k);
        so_far = so_far.max(p[index] * factor).min(1.0);
        corrected[index] = so_far;
    }
    corrected
}
