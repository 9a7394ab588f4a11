//! Two rows of many weights at a time: what one needs, the other needs nearly all of.

use std::ops::Range;

use super::columns::Columns;
use super::separable::stride;
use crate::augment::stream::Sink;
use crate::simd::{LANES, LINE, Lanes, Row};

/// Rows that two outputs depend on, at most: one vector of weights.
pub(super) const MOST_ROWS: usize = LANES;

/// Two outputs that follow one another: the rows that either depends on, and their weights in both.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pair {
    pub(super) low: u32,
    pub(super) count: u32,
    pub(super) factors: [[f32; MOST_ROWS]; 2],
}

impl Pair {
    /// The weights of one of both, on all rows.
    #[inline(always)]
    pub(super) fn line(&self, output: usize) -> &[f32] {
        &self.factors[output % 2][..self.count as usize]
    }
}

/// Outputs whose vectors follow one another without a gap, if there are [`Taps::pairs`](super::taps::Taps::pairs).
#[inline(always)]
pub(super) fn wide_pairs<L: Lanes>(
    lanes: L,
    columns: &Columns<'_>,
    outputs: Range<usize>,
    to: &mut impl Sink<L>,
) {
    let side = columns.y.starts.len();
    let len = stride(side) / LANES;
    let rows = columns.rows.as_chunks().0;
    let mut second = [lanes.splat(0.0); LINE / LANES];
    for pair in &columns.y.pairs[outputs.start / 2..outputs.end / 2] {
        let first = (pair.low as usize - columns.top) * len;
        let sums = Sums {
            rows: &rows[first..][..pair.count as usize * len],
            len,
            pair,
            offset: lanes.splat(columns.map.offset),
        };
        match L::MANY_REGISTERS {
            // Eight sums that do not wait for each other; with sixteen there is nothing more to gain.
            true => sums.put::<4>(lanes, side, &mut second, to),
            false => sums.put::<2>(lanes, side, &mut second, to),
        }
        to.pause(lanes);
    }
}

struct Sums<'a, L: Lanes> {
    rows: &'a [Row<f32>],
    /// Vectors of a row.
    len: usize,
    pair: &'a Pair,
    offset: L::F,
}

impl<L: Lanes> Sums<'_, L> {
    /// Both outputs, `N` vectors of each at a time; `second` is memory for one.
    #[inline(always)]
    fn put<const N: usize>(
        &self,
        lanes: L,
        side: usize,
        second: &mut [L::F; LINE / LANES],
        to: &mut impl Sink<L>,
    ) {
        let mut end = lanes.splat(0.0);
        let full = side / LANES;
        let mut j = 0;
        while j < self.len {
            if j + N <= self.len {
                let sums = self.sums::<N>(lanes, j);
                for i in 0..N {
                    end = sums[0][i];
                    if j + i < full {
                        to.put(lanes, end);
                    }
                    second[j + i] = sums[1][i];
                }
                j += N;
            } else {
                let sums = self.sums::<1>(lanes, j);
                end = sums[0][0];
                if j < full {
                    to.put(lanes, end);
                }
                second[j] = sums[1][0];
                j += 1;
            }
        }
        if full == self.len {
            for v in &second[..full] {
                to.put(lanes, *v);
            }
            return;
        }
        to.put(lanes, lanes.join(end, second[0]));
        for i in 0..full {
            to.put(lanes, lanes.between(second[i], second[i + 1]));
        }
    }

    /// `N` vectors of each output, from vector `j` on.
    #[inline(always)]
    fn sums<const N: usize>(&self, lanes: L, j: usize) -> [[L::F; N]; 2] {
        let mut sums = [[self.offset; N]; 2];
        let [first, second] = &self.pair.factors;
        let factors = first.iter().zip(second);
        for (row, (first, second)) in self.rows.chunks_exact(self.len).zip(factors) {
            let Some(row) = row[j..].first_chunk::<N>() else {
                return sums;
            };
            let factors = [lanes.splat(*first), lanes.splat(*second)];
            for i in 0..N {
                let v = lanes.load(&row[i]);
                sums[0][i] = lanes.mul_add(v, factors[0], sums[0][i]);
                sums[1][i] = lanes.mul_add(v, factors[1], sums[1][i]);
            }
        }
        sums
    }
}
