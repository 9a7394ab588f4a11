//! Separable Gaussian blur.

use chipmill_schemas::augment::{Border, GaussianBlur};

use crate::math::exp;
use crate::rng::OpKey;

/// Values that a pass works on at a time.
const CHUNK: usize = 16;

/// Memory of the blur, reused from view to view.
#[derive(Debug, Default)]
pub(crate) struct BlurBuffers {
    weights: Vec<f32>,
    line: Vec<f32>,
    rows: Vec<f32>,
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
    let radius = radius(side);
    half_kernel(sigma, radius, &mut buffers.weights);
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

/// `exp(-k² / (2 sigma²))` for `k` from 0 to `radius`, scaled so that the whole kernel adds up to 1.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn half_kernel(sigma: f64, radius: usize, weights: &mut Vec<f32>) {
    let weight = |k: usize| {
        let distance = k as f64 / sigma;
        exp(-0.5 * distance * distance)
    };
    let total = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    weights.clear();
    weights.extend((0..=radius).map(|k| (weight(k) / total) as f32));
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
        along_column(rows, stride, side, y, border, weights, values);
    }
}

fn along_row(line: &[f32], weights: &[f32], row: &mut [f32]) {
    let radius = weights.len() - 1;
    let (chunks, _) = row.as_chunks_mut::<CHUNK>();
    for (c, out) in chunks.iter_mut().enumerate() {
        let middle = c * CHUNK + radius;
        let chunk = |at: usize| &line[at..at + CHUNK];
        let mut sum = [0.0; CHUNK];
        add(&mut sum, chunk(middle), weights[0]);
        for (k, weight) in (1..).zip(&weights[1..]) {
            add_pair(&mut sum, chunk(middle - k), chunk(middle + k), *weight);
        }
        *out = sum;
    }
}

fn along_column(
    rows: &[f32],
    stride: usize,
    side: usize,
    y: usize,
    border: Border,
    weights: &[f32],
    values: &mut [f32],
) {
    // Row numbers above and below; beyond the border the mirrored row or the row of zeros.
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
    for (c, out) in values.chunks_mut(CHUNK).enumerate() {
        let chunk = |row: usize| &rows[row * stride + c * CHUNK..][..CHUNK];
        let mut sum = [0.0; CHUNK];
        add(&mut sum, chunk(y), weights[0]);
        for (k, weight) in (1..).zip(&weights[1..]) {
            add_pair(&mut sum, chunk(above(k)), chunk(below(k)), *weight);
        }
        out.copy_from_slice(&sum[..out.len()]);
    }
}

#[inline(always)]
fn add(sum: &mut [f32; CHUNK], values: &[f32], weight: f32) {
    for (s, v) in sum.iter_mut().zip(values) {
        *s += v * weight;
    }
}

#[inline(always)]
fn add_pair(sum: &mut [f32; CHUNK], a: &[f32], b: &[f32], weight: f32) {
    for ((s, a), b) in sum.iter_mut().zip(a).zip(b) {
        *s += (a + b) * weight;
    }
}
