//! Separable Gaussian blur.

use chipmill_schemas::augment::{Border, GaussianBlur};

use crate::augment::scratch::reserve;
use crate::math::exp;
use crate::rng::OpKey;

/// Values that a pass works on at a time.
const CHUNK: usize = 16;

/// Weights up to this are left out: they are lost in the rounding of `f32` sums.
const UNSEEN: f32 = 1e-9;
/// Largest radius, that of a view of 240 pixels a side.
const FARTHEST: usize = 12;

/// Memory of the blur, reused from view to view.
#[derive(Debug, Default)]
pub(crate) struct BlurBuffers {
    weights: Vec<f32>,
    line: Vec<f32>,
    rows: Vec<f32>,
}

impl BlurBuffers {
    /// Takes the memory for views of `side` pixels a side.
    pub(crate) fn reserve(&mut self, side: usize) {
        let stride = side.next_multiple_of(CHUNK);
        reserve(&mut self.weights, radius(side) + 1);
        reserve(&mut self.line, stride + 2 * radius(side));
        reserve(&mut self.rows, (side + 1) * stride);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.weights, &self.line, &self.rows];
        all.iter().map(|v| v.capacity() * size_of::<f32>()).sum()
    }
}

/// Pixels that the kernel reaches to each side: `floor(side / 20)`, at least 1.
pub(crate) fn radius(side: usize) -> usize {
    (side / 20).max(1)
}

/// The standard deviation drawn for a view, in pixels of the view; `None` without blur.
pub(crate) fn sigma(blur: &GaussianBlur, key: OpKey) -> Option<f64> {
    let [low, high] = blur.sigma.map(f64::from);
    key.stream(0)
        .chance(blur.p)
        .then(|| key.stream(1).between(low, high))
}

pub(super) fn apply(
    blur: &GaussianBlur,
    data: &mut [f32],
    side: usize,
    key: OpKey,
    buffers: &mut BlurBuffers,
) {
    let Some(sigma) = sigma(blur, key) else {
        return;
    };
    half_kernel(sigma, radius(side), &mut buffers.weights);
    let radius = buffers.weights.len() - 1;
    let stride = side.next_multiple_of(CHUNK);
    buffers.line.clear();
    buffers.line.resize(stride + 2 * radius, 0.0);
    // A row of zeros follows the image's rows: what lies beyond a zero border.
    buffers.rows.clear();
    buffers.rows.resize((side + 1) * stride, 0.0);
    for plane in data.chunks_exact_mut(side * side) {
        blur_plane(plane, side, radius, blur.border, buffers);
    }
}

/// `exp(-k² / (2 sigma²))` for `k` from 0 to `radius`, scaled so that the whole kernel adds up to 1;
/// without weights too small to be seen.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn half_kernel(sigma: f64, radius: usize, weights: &mut Vec<f32>) {
    let weight = |k: usize| {
        let distance = k as f64 / sigma;
        exp(-0.5 * distance * distance)
    };
    let total = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    weights.clear();
    let seen = (0..=radius).map(|k| (weight(k) / total) as f32);
    weights.extend(seen.take_while(|&w| w > UNSEEN));
}

fn blur_plane(
    plane: &mut [f32],
    side: usize,
    radius: usize,
    border: Border,
    buffers: &mut BlurBuffers,
) {
    let BlurBuffers {
        weights,
        line,
        rows,
    } = buffers;
    let stride = rows.len() / (side + 1);
    for (values, row) in plane.chunks_exact(side).zip(rows.chunks_exact_mut(stride)) {
        line[radius..radius + side].copy_from_slice(values);
        if border == Border::Reflect {
            for k in 1..=radius {
                line[radius - k] = values[k];
                line[radius + side - 1 + k] = values[side - 1 - k];
            }
        }
        along_row(line, weights, row);
    }
    for (y, values) in plane.chunks_exact_mut(side).enumerate() {
        along_column(rows, (stride, side, y), border, weights, values);
    }
}

fn along_row(line: &[f32], weights: &[f32], row: &mut [f32]) {
    let radius = weights.len() - 1;
    let (chunks, _) = row.as_chunks_mut::<CHUNK>();
    for (out, line) in chunks
        .iter_mut()
        .zip(line.windows(2 * radius + CHUNK).step_by(CHUNK))
    {
        let mut sum = [0.0; CHUNK];
        add(&mut sum, &line[radius..], weights[0]);
        for (k, weight) in (1..).zip(&weights[1..]) {
            add_pair(&mut sum, &line[radius - k..], &line[radius + k..], *weight);
        }
        *out = sum;
    }
}

/// Blurs row `y` of a plane from the rows above and below it, already blurred along themselves.
fn along_column(
    rows: &[f32],
    (stride, side, y): (usize, usize, usize),
    border: Border,
    weights: &[f32],
    values: &mut [f32],
) {
    // Beyond the border there is the mirrored row, or the row of zeros.
    let above = |k: usize| match border {
        _ if k <= y => y - k,
        Border::Reflect => k - y,
        Border::Zero => side,
    };
    let below = |k: usize| match border {
        _ if y + k < side => y + k,
        Border::Reflect => 2 * (side - 1) - (y + k),
        Border::Zero => side,
    };
    let chunks = |row: usize| rows[row * stride..][..stride].as_chunks::<CHUNK>().0;
    let pairs = &mut [(chunks(y), chunks(y)); FARTHEST][..weights.len() - 1];
    for (pair, k) in pairs.iter_mut().zip(1..) {
        *pair = (chunks(above(k)), chunks(below(k)));
    }
    for (c, (out, middle)) in values.chunks_mut(CHUNK).zip(chunks(y)).enumerate() {
        let mut sum = [0.0; CHUNK];
        add(&mut sum, middle, weights[0]);
        for ((above, below), weight) in pairs.iter().zip(&weights[1..]) {
            add_pair(&mut sum, &above[c], &below[c], *weight);
        }
        out.copy_from_slice(&sum[..out.len()]);
    }
}

#[inline(always)]
fn add(sum: &mut [f32; CHUNK], values: &[f32], weight: f32) {
    let values = &values[..CHUNK];
    for (s, v) in sum.iter_mut().zip(values) {
        *s += v * weight;
    }
}

#[inline(always)]
fn add_pair(sum: &mut [f32; CHUNK], a: &[f32], b: &[f32], weight: f32) {
    let (a, b) = (&a[..CHUNK], &b[..CHUNK]);
    for ((s, a), b) in sum.iter_mut().zip(a).zip(b) {
        *s += (a + b) * weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ks_p, op_keys};

    #[test]
    fn sigma_is_uniform_and_the_blur_as_likely_as_asked() {
        let blur = GaussianBlur::default();
        let mut drawn: Vec<f64> = op_keys(20_000)
            .filter_map(|key| sigma(&blur, key))
            .collect();
        assert!((4_750..5_250).contains(&drawn.len()), "{}", drawn.len());
        let [low, high] = blur.sigma.map(f64::from);
        assert!(ks_p(&mut drawn, |x| (x - low) / (high - low)) > 1e-3);
    }

    #[test]
    fn kernels_add_up_to_1_and_their_radius_follows_the_side() {
        assert_eq!([8, 32, 64, 120, 240].map(radius), [1, 1, 3, 6, 12]);
        let mut weights = Vec::new();
        for sigma in [0.1, 0.5, 1.0, 2.0, 50.0] {
            half_kernel(sigma, 6, &mut weights);
            let sum = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-6);
            assert_eq!(weights.len() == 7, sigma >= 1.0, "{sigma}");
        }
    }
}
