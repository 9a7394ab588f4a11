//! Convolution as matrix products over the columns of [`Windows`].

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::flex::{dims, tensor, values};
use super::im2col::Windows;

/// Columns of a matrix at least, where there are so many: narrower products are slow, and the columns of
/// these stay in the processor's caches.
const COLUMNS: usize = 256;

/// Sums of the weights' gradient that are kept apart until the end, at most: as many threads can work, and so
/// many times the weights are in memory.
const PARTS: usize = 16;
/// Bytes of those sums, at most.
const PART_BYTES: usize = 64 << 20;

/// Shapes and settings of one layer and batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Convolution {
    samples: usize,
    outputs: usize,
    windows: Windows,
}

/// Output rows of consecutive samples whose windows make one matrix: some rows of one sample, or all rows of
/// several.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Piece {
    samples: Range<usize>,
    rows: Range<usize>,
}

/// Of one thread, used again for every piece.
#[derive(Debug, Default)]
struct Work {
    /// `[channel x ky x kx, column]`.
    columns: Vec<f32>,
    /// `[output, column]`.
    outputs: Vec<f32>,
}

impl Convolution {
    /// `x` `[sample, input, y, x]`, `weight` `[output, input, k, k]`.
    pub(super) fn of(x: &FlexTensor, weight: &FlexTensor, stride: usize, padding: usize) -> Self {
        let [samples, channels, height, width] = dims(x);
        let [outputs, _, side, _] = dims(weight);
        Self {
            samples,
            outputs,
            windows: Windows {
                plane: [height, width],
                channels,
                side,
                stride,
                padding,
            },
        }
    }

    /// To `[sample, output, y, x]`.
    pub(super) fn forward(&self, x: &FlexTensor, weight: &FlexTensor) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let (x, weight) = (values(&x), values(&weight));
        let [height, width] = self.windows.output();
        let mut y = vec![0.0; self.samples * self.outputs * height * width];
        let together = self.together();
        y.par_chunks_mut((together * self.output_len()).max(1))
            .enumerate()
            .for_each_init(Work::default, |work, (group, y)| {
                let first = group * together;
                let samples = first..(first + together).min(self.samples);
                for piece in self.pieces(samples) {
                    self.spread(x, &piece, &mut work.columns);
                    let columns = self.columns(&piece);
                    work.outputs.resize(self.outputs * columns, 0.0);
                    let sizes = [self.outputs, self.windows.size(), columns];
                    let product = &mut work.outputs;
                    multiply(sizes, (weight, false), (&work.columns, false), product, 0.0);
                    self.hand_out(&piece, product, y, first);
                }
            });
        tensor(y, [self.samples, self.outputs, height, width])
    }

    /// The gradients of `x`, where it is wanted, and of the weights, from that of what
    /// [`forward`](Self::forward) gave.
    pub(super) fn backward(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        wants_x: bool,
    ) -> (Option<FlexTensor>, FlexTensor) {
        let shapes: ([usize; 4], [usize; 4]) = (dims(x), dims(weight));
        let [x, weight, output] = [x, weight, output].map(FlexTensor::to_contiguous);
        let (x, weight, output) = (values(&x), values(&weight), values(&output));
        let mut x_gradient = vec![0.0; if wants_x { x.len() } else { 0 }];
        let part = self.samples.div_ceil(self.parts()).max(1);
        let per_part = part * x.len() / self.samples.max(1);
        let mut places: Vec<&mut [f32]> = x_gradient.chunks_mut(per_part.max(1)).collect();
        places.resize_with(self.samples.div_ceil(part), Default::default);
        let sums: Vec<Vec<f32>> = places
            .into_par_iter()
            .enumerate()
            .map(|(number, x_gradient)| {
                let samples = number * part..((number + 1) * part).min(self.samples);
                self.backward_part([x, weight, output], samples, x_gradient)
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut gradient = sums.next().unwrap_or_else(|| vec![0.0; weight.len()]);
        for more in sums {
            gradient.iter_mut().zip(&more).for_each(|(g, m)| *g += *m);
        }
        let x_gradient = wants_x.then(|| tensor(x_gradient, shapes.0));
        (x_gradient, tensor(gradient, shapes.1))
    }

    /// Of some samples: writes the gradient of `x` unless there is no room for it, gives that of the weights.
    fn backward_part(
        &self,
        [x, weight, output]: [&[f32]; 3],
        samples: Range<usize>,
        x_gradient: &mut [f32],
    ) -> Vec<f32> {
        let mut work = Work::default();
        let mut gradient = vec![0.0; weight.len()];
        let first = samples.start;
        for piece in self.pieces(samples) {
            let columns = self.columns(&piece);
            let size = self.windows.size();
            self.take_up(&piece, output, &mut work.outputs);
            self.spread(x, &piece, &mut work.columns);
            let sizes = [self.outputs, columns, size];
            let (outputs, windows) = (&work.outputs, &mut work.columns);
            multiply(sizes, (outputs, false), (windows, true), &mut gradient, 1.0);
            if !x_gradient.is_empty() {
                let sizes = [size, self.outputs, columns];
                multiply(sizes, (weight, true), (outputs, false), windows, 0.0);
                self.gather(&piece, windows, x_gradient, first);
            }
        }
        gradient
    }

    /// Values that one sample gives.
    fn output_len(&self) -> usize {
        let [height, width] = self.windows.output();
        self.outputs * height * width
    }

    fn input_len(&self) -> usize {
        self.windows.channels * self.windows.plane[0] * self.windows.plane[1]
    }

    /// Samples of a piece: more than one where one alone has few windows.
    fn together(&self) -> usize {
        let [height, width] = self.windows.output();
        COLUMNS.div_ceil((height * width).max(1)).max(1)
    }

    /// Into how many parts the samples go for the gradient: a matter of shapes alone, so that the sum does
    /// not depend on threads.
    fn parts(&self) -> usize {
        let bytes = self.outputs * self.windows.size() * size_of::<f32>();
        let most = (PART_BYTES / bytes.max(1)).clamp(1, PARTS);
        self.samples.div_ceil(self.together()).clamp(1, most)
    }

    fn pieces(&self, samples: Range<usize>) -> impl Iterator<Item = Piece> + use<> {
        let [height, width] = self.windows.output();
        let together = self.together();
        let rows = (COLUMNS.div_ceil(width.max(1))).min(height).max(1);
        let groups = samples.clone().step_by(together);
        groups.flat_map(move |first| {
            let samples = first..(first + together).min(samples.end);
            (0..height).step_by(rows).map(move |row| Piece {
                samples: samples.clone(),
                rows: row..(row + rows).min(height),
            })
        })
    }

    fn columns(&self, piece: &Piece) -> usize {
        piece.samples.len() * piece.rows.len() * self.windows.output()[1]
    }

    fn spread(&self, x: &[f32], piece: &Piece, into: &mut Vec<f32>) {
        let width = self.columns(piece);
        into.resize(self.windows.size() * width, 0.0);
        for (number, sample) in piece.samples.clone().enumerate() {
            let sample = &x[sample * self.input_len()..][..self.input_len()];
            let start = number * width / piece.samples.len();
            let rows = piece.rows.clone();
            self.windows.spread(sample, rows, into, [start, width]);
        }
    }

    /// `x` begins with sample `first`.
    fn gather(&self, piece: &Piece, columns: &[f32], x: &mut [f32], first: usize) {
        let width = self.columns(piece);
        for (number, sample) in piece.samples.clone().enumerate() {
            let sample = &mut x[(sample - first) * self.input_len()..][..self.input_len()];
            let start = number * width / piece.samples.len();
            let rows = piece.rows.clone();
            self.windows.gather(columns, rows, sample, [start, width]);
        }
    }

    /// Where output channels of a piece lie: in a tensor that begins with sample `first`, and in a matrix.
    fn runs(&self, piece: &Piece, first: usize) -> impl Iterator<Item = [Range<usize>; 2]> + use<> {
        let [height, width] = self.windows.output();
        let (outputs, columns) = (self.outputs, self.columns(piece));
        let (run, start) = (piece.rows.len() * width, piece.rows.start * width);
        let samples = piece.samples.clone().enumerate();
        samples.flat_map(move |(number, sample)| {
            (0..outputs).map(move |output| {
                let there = ((sample - first) * outputs + output) * height * width + start;
                let here = output * columns + number * run;
                [there..there + run, here..here + run]
            })
        })
    }

    fn hand_out(&self, piece: &Piece, matrix: &[f32], y: &mut [f32], first: usize) {
        for [there, here] in self.runs(piece, first) {
            y[there].copy_from_slice(&matrix[here]);
        }
    }

    fn take_up(&self, piece: &Piece, y: &[f32], matrix: &mut Vec<f32>) {
        matrix.resize(self.outputs * self.columns(piece), 0.0);
        for [there, here] in self.runs(piece, 0) {
            matrix[here].copy_from_slice(&y[there]);
        }
    }
}

/// `c = a b + keep c` with `a` `[m, k]` and `b` `[k, n]`; one that is marked is stored transposed.
fn multiply(
    [m, k, n]: [usize; 3],
    (a, a_transposed): (&[f32], bool),
    (b, b_transposed): (&[f32], bool),
    c: &mut [f32],
    keep: f32,
) {
    let a = matrix(a, [m, k], a_transposed);
    let b = matrix(b, [k, n], b_transposed);
    let Ok(mut c) = ArrayViewMut2::from_shape([m, n], c) else {
        unreachable!("made for these sizes");
    };
    general_mat_mul(1.0, &a, &b, keep, &mut c);
}

fn matrix(values: &[f32], [rows, columns]: [usize; 2], transposed: bool) -> ArrayView2<'_, f32> {
    let stored = if transposed {
        [columns, rows]
    } else {
        [rows, columns]
    };
    match ArrayView2::from_shape(stored, values) {
        Ok(view) if transposed => view.reversed_axes(),
        Ok(view) => view,
        Err(_) => unreachable!("made for these sizes"),
    }
}
