//! Some rows of one band: what they are made from, and where they go.

use std::ops::Range;

use super::PORCH;
use crate::augment::ops::blur::{blur_columns, blur_columns_to_view};
use crate::augment::ops::noise::{Noise, add_noise_to_view, stream_noisy, stream_noisy_columns};
use crate::augment::program::{Pass, Source};
use crate::augment::resample::{
    Affine, Columns, Taps, along_columns, along_columns_to_view, stride,
};
use crate::augment::stream::{line_at, write};
use crate::element::Element;
use crate::rng::{Left, NORMALS};
use crate::simd::{Row, Simd};

/// Some rows of one band.
pub(super) struct Block {
    pub(super) band: usize,
    /// Number of its plane in memory.
    pub(super) slot: usize,
    pub(super) rows: Range<usize>,
    /// Rows from one block to the next.
    pub(super) step: usize,
}

/// What the columns of a block are made from.
pub(super) struct Inputs<'a> {
    pub(super) rows: &'a [f32],
    /// Native row that `rows` begins with.
    pub(super) top: usize,
    pub(super) y: &'a Taps,
    /// The gain is in the rows.
    pub(super) is_mapped: bool,
    pub(super) side: usize,
    pub(super) maps: &'a [Affine],
    pub(super) bands: usize,
}

impl Inputs<'_> {
    #[inline(always)]
    fn columns(&self, table: usize, block: &Block) -> Columns<'_> {
        let mut map = self.maps[table * self.bands + block.band];
        if self.is_mapped {
            map.gain = 1.0;
        }
        Columns {
            rows: self.rows,
            top: self.top,
            y: self.y,
            map,
            adds: false,
        }
    }

    /// Whether a whole band can be streamed to the view as it is made.
    pub(super) fn goes_to_lines<E: Element>(
        &self,
        table: usize,
        block: &Block,
        target: &mut Target<'_, E>,
    ) -> bool {
        let streams = target.passes_through && target.streams;
        streams && self.columns(table, block).goes_to_lines(target.out)
    }

    /// Makes a whole band and writes it to the view with noise, if [`Self::goes_to_lines`].
    pub(super) fn stream_noisy<E: Element>(
        &self,
        simd: Simd,
        table: usize,
        block: &Block,
        noise: Noise,
        left: &mut Left,
        target: &mut Target<'_, E>,
    ) {
        let columns = self.columns(table, block);
        stream_noisy_columns(simd, columns, target.memory, noise, left, target.out);
    }

    /// Makes the block's values; with `at_once` writes them to the view, too, and says so.
    #[inline(always)]
    pub(super) fn fill<E: Element>(
        &self,
        simd: Simd,
        pass: &Pass,
        block: &Block,
        at_once: bool,
        target: &mut Target<'_, E>,
    ) -> bool {
        let rows = block.rows.clone();
        let at_once = at_once && target.passes_through;
        let Target {
            memory,
            first,
            out,
            streams,
            ..
        } = &mut *target;
        let (first, streams) = (*first, *streams);
        match &pass.source {
            Source::Planes => {}
            Source::Native { table } => {
                let columns = self.columns(*table, block);
                if at_once {
                    along_columns_to_view(simd, columns, rows, memory, first, out, streams);
                } else {
                    along_columns(simd, columns, rows, &mut memory[first..]);
                }
            }
            Source::Blur(kernel) => {
                let from = &self.rows[rows.start * stride(self.side)..];
                let side = self.side;
                if at_once {
                    blur_columns_to_view(
                        simd, from, side, kernel, rows, memory, first, out, streams,
                    );
                } else {
                    blur_columns(simd, from, side, kernel, rows.len(), &mut memory[first..]);
                }
            }
        }
        if at_once {
            target.keep_rest();
        }
        at_once
    }
}

/// Where a block of one band is, and where in the view it goes.
pub(super) struct Target<'a, E> {
    pub(super) memory: &'a mut [f32],
    /// Where in `memory` the block begins.
    pub(super) first: usize,
    pub(super) pixels: Range<usize>,
    /// The band of the view, empty where the pass does not give it.
    pub(super) out: &'a mut [E],
    pub(super) streams: bool,
    /// The memory is a porch and a block, used again for the next; else it is the band's plane.
    pub(super) passes_through: bool,
}

impl<E: Element> Target<'_, E> {
    pub(super) fn values(&self) -> &[f32] {
        &self.memory[self.first..][..self.pixels.len()]
    }

    /// The values in whole blocks of normal numbers.
    pub(super) fn rows(&mut self) -> &mut [Row<f32>] {
        let values = &mut self.memory[self.first..];
        let whole = self.pixels.len().next_multiple_of(NORMALS);
        let count = whole.min(values.len());
        values[..count].as_chunks_mut().0
    }

    pub(super) fn noise(&mut self, simd: Simd, noise: Noise, left: &mut Left) {
        let pixels = self.pixels.clone();
        let (memory, out) = (&mut *self.memory, &mut *self.out);
        let values = &memory[self.first..][..pixels.len()];
        let to = &mut out[pixels.clone()];
        if self.streams && stream_noisy(simd, values, noise, left, to) {
            return;
        }
        add_noise_to_view(
            simd,
            memory,
            self.first,
            noise,
            left,
            pixels,
            out,
            self.streams,
        );
        self.keep_rest();
    }

    pub(super) fn write(&mut self, simd: Simd) {
        let Range { start, end } = self.pixels;
        let (from, to) = (line_at(self.out, start), line_at(self.out, end));
        let values = &self.memory[self.first + from - start..][..to - from];
        write(simd, values, &mut self.out[from..to], self.streams);
        self.keep_rest();
    }

    /// Moves the values that did not fill a cache line of the view to the end of the porch, where the next
    /// block follows on them.
    fn keep_rest(&mut self) {
        if self.passes_through {
            let rest = self.pixels.end - line_at(self.out, self.pixels.end);
            let end = PORCH + self.pixels.len();
            self.memory.copy_within(end - rest..end, PORCH - rest);
        }
    }
}
