//! Convolution as matrix products over the columns of [`Windows`].

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, s};
use rayon::prelude::*;

use super::flex::{dims, tensor, values};
use super::im2col::Windows;

/// Columns of a matrix at least, where there are so many: narrower products are slow, and wider ones would leave
/// the processor's caches.
const COLUMNS: usize = 256;

/// Rows of a product that a thread has at least, where several share one.
const ROWS: usize = 16;

/// Sums of the weights' gradient that are kept apart until the end, at most.
const PARTS: usize = 16;
/// Bytes of those sums, at most: there are fewer where weights are large.
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

/// Memory of the matrices, used again from piece to piece.
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
        let split = threads_each(self.samples.div_ceil(together));
        y.par_chunks_mut((together * self.output_len()).max(1))
            .enumerate()
            .for_each_init(Work::default, |work, (group, y)| {
                let first = group * together;
                let samples = first..(first + together).min(self.samples);
                for piece in self.pieces(samples) {
                    self.im2col(x, &piece, &mut work.columns);
                    let columns = self.columns(&piece);
                    work.outputs.resize(self.outputs * columns, 0.0);
                    let sizes = [self.outputs, self.windows.size(), columns];
                    let product = &mut work.outputs;
                    let (weight, columns) = ((weight, false), (&*work.columns, false));
                    multiply(sizes, weight, columns, (product, 0.0), split);
                    self.hand_out(&piece, product, y, first);
                }
            });
        tensor(y, [self.samples, self.outputs, height, width])
    }

    /// The gradients of `x` and of the weights, those that are wanted, from that of what
    /// [`forward`](Self::forward) gave.
    pub(super) fn backward(
        &self,
        x: &FlexTensor,
        weight: &FlexTensor,
        output: &FlexTensor,
        [wants_x, wants_weight]: [bool; 2],
    ) -> [Option<FlexTensor>; 2] {
        let shapes: ([usize; 4], [usize; 4]) = (dims(x), dims(weight));
        let [x, weight, output] = [x, weight, output].map(FlexTensor::to_contiguous);
        let (x, weight, output) = (values(&x), values(&weight), values(&output));
        let mut x_gradient = vec![0.0; if wants_x { x.len() } else { 0 }];
        let part = self.samples.div_ceil(self.parts()).max(1);
        let parts = self.samples.div_ceil(part);
        let mut slices: Vec<&mut [f32]> = x_gradient
            .chunks_mut((part * self.input_len()).max(1))
            .collect();
        slices.resize_with(parts, Default::default);
        let sums: Vec<Vec<f32>> = slices
            .into_par_iter()
            .enumerate()
            .map(|(number, x_gradient)| {
                let samples = number * part..((number + 1) * part).min(self.samples);
                let gradient = vec![0.0; if wants_weight { weight.len() } else { 0 }];
                let split = threads_each(parts);
                self.backward_part([x, weight, output], samples, x_gradient, gradient, split)
            })
            .collect();
        let mut sums = sums.into_iter();
        let mut gradient = sums.next().unwrap_or_else(|| vec![0.0; weight.len()]);
        for more in sums {
            gradient.iter_mut().zip(&more).for_each(|(g, m)| *g += *m);
        }
        let x_gradient = wants_x.then(|| tensor(x_gradient, shapes.0));
        [x_gradient, wants_weight.then(|| tensor(gradient, shapes.1))]
    }

    /// Of some samples: adds the gradient of `x` to `x_gradient` and that of the weights to `gradient`, where
    /// there is room for them; gives the latter.
    fn backward_part(
        &self,
        [x, weight, output]: [&[f32]; 3],
        samples: Range<usize>,
        x_gradient: &mut [f32],
        mut gradient: Vec<f32>,
        split: usize,
    ) -> Vec<f32> {
        let mut work = Work::default();
        let (size, first) = (self.windows.size(), samples.start);
        for piece in self.pieces(samples) {
            let columns = self.columns(&piece);
            self.take_up(&piece, output, &mut work.outputs);
            let outputs = (&*work.outputs, false);
            if !gradient.is_empty() {
                self.im2col(x, &piece, &mut work.columns);
                let sizes = [self.outputs, columns, size];
                let windows = (&*work.columns, true);
                multiply(sizes, outputs, windows, (&mut gradient, 1.0), split);
            }
            if !x_gradient.is_empty() {
                work.columns.resize(size * columns, 0.0);
                let sizes = [size, self.outputs, columns];
                let windows = &mut work.columns;
                multiply(sizes, (weight, true), outputs, (windows, 0.0), split);
                self.col2im(&piece, windows, x_gradient, first);
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

    fn im2col(&self, x: &[f32], piece: &Piece, into: &mut Vec<f32>) {
        let width = self.columns(piece);
        into.resize(self.windows.size() * width, 0.0);
        for (number, sample) in piece.samples.clone().enumerate() {
            let sample = &x[sample * self.input_len()..][..self.input_len()];
            let start = number * width / piece.samples.len();
            let rows = piece.rows.clone();
            self.windows.im2col(sample, rows, into, [start, width]);
        }
    }

    /// `x` begins with sample `first`.
    fn col2im(&self, piece: &Piece, columns: &[f32], x: &mut [f32], first: usize) {
        let width = self.columns(piece);
        for (number, sample) in piece.samples.clone().enumerate() {
            let sample = &mut x[(sample - first) * self.input_len()..][..self.input_len()];
            let start = number * width / piece.samples.len();
            let rows = piece.rows.clone();
            self.windows.col2im(columns, rows, sample, [start, width]);
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

/// Into how many products each of so many units of work should be split for every thread to have one.
fn threads_each(units: usize) -> usize {
    (rayon::current_num_threads() / units.max(1)).max(1)
}

/// `c = a b + keep c` with `a` `[m, k]` and `b` `[k, n]`; one that is marked is stored transposed. `split` threads
/// may have some rows of `c` each, which changes no bit of it: every value is summed over `k` in the same order.
fn multiply(
    [m, k, n]: [usize; 3],
    (a, a_transposed): (&[f32], bool),
    (b, b_transposed): (&[f32], bool),
    (c, keep): (&mut [f32], f32),
    split: usize,
) {
    let a = matrix(a, [m, k], a_transposed);
    let b = matrix(b, [k, n], b_transposed);
    let product = |first: usize, c: &mut [f32]| {
        let rows = c.len() / n.max(1);
        let a = a.slice(s![first..first + rows, ..]);
        let Ok(mut c) = ArrayViewMut2::from_shape([rows, n], c) else {
            unreachable!("whole rows");
        };
        general_mat_mul(1.0, &a, &b, keep, &mut c);
    };
    if split == 1 {
        return product(0, c);
    }
    let rows = m.div_ceil(split).next_multiple_of(ROWS);
    c.par_chunks_mut((rows * n).max(1))
        .enumerate()
        .for_each(|(number, c)| product(number * rows, c));
}

fn matrix(values: &[f32], [rows, columns]: [usize; 2], transposed: bool) -> ArrayView2<'_, f32> {
    let stored = if transposed {
        [columns, rows]
    } else {
        [rows, columns]
    };
    match ArrayView2::from_shape(stored, values) {
        Ok(view) if values.len() == rows * columns && transposed => view.reversed_axes(),
        Ok(view) if values.len() == rows * columns => view,
        _ => unreachable!("made for these sizes"),
    }
}
