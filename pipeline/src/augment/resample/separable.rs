//! What a resampling is made from: pixels, rasters, and the memory of its two passes, along rows and
//! then along columns.

use std::ops::{DerefMut, Range};

use chipmill_schemas::band::Resolution;

use super::rows::{GROUP, along_rows};
use super::taps::{Across, Taps};
use crate::augment::floats::Floats;
use crate::augment::scratch::reserve;
use crate::simd::{LANES, LINE, Lanes, Row, Simd, TALL, WIDE, kernel};

/// `x * gain + offset`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Affine {
    pub(crate) gain: f32,
    pub(crate) offset: f32,
}

impl Affine {
    pub(crate) const IDENTITY: Self = Self {
        gain: 1.0,
        offset: 0.0,
    };

    /// This, and then a contrast: `gain` is its factor, `offset` the mean of what this is a map of.
    pub(crate) fn contrasted(self, contrast: Self) -> Self {
        let mean = self.gain * contrast.offset + self.offset;
        self.then(Self {
            gain: contrast.gain,
            offset: (1.0 - contrast.gain) * mean,
        })
    }

    /// This, and then the other.
    pub(crate) fn then(self, next: Self) -> Self {
        Self {
            gain: self.gain * next.gain,
            offset: self.offset * next.gain + next.offset,
        }
    }
}

/// A value that pixels are stored as.
pub(crate) trait Pixel: Copy + Default {
    fn value(self) -> f32;
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F;
    /// The same pixels, where they are words.
    fn words(pixels: &[Self]) -> Option<&[u16]>;
    /// [`Lanes::turn_words`] or its like.
    fn turn<L: Lanes>(lanes: L, from: &[Self], to: &mut [Self], stride: usize);
}

impl Pixel for u16 {
    #[inline(always)]
    fn value(self) -> f32 {
        f32::from(self)
    }

    #[inline(always)]
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F {
        lanes.widen(from)
    }

    #[inline(always)]
    fn words(pixels: &[Self]) -> Option<&[u16]> {
        Some(pixels)
    }

    #[inline(always)]
    fn turn<L: Lanes>(lanes: L, from: &[Self], to: &mut [Self], stride: usize) {
        lanes.turn_words(from, to, stride);
    }
}

impl Pixel for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }

    #[inline(always)]
    fn load<L: Lanes>(lanes: L, from: &Row<Self>) -> L::F {
        lanes.load(from)
    }

    #[inline(always)]
    fn words(_: &[Self]) -> Option<&[u16]> {
        None
    }

    #[inline(always)]
    fn turn<L: Lanes>(lanes: L, from: &[Self], to: &mut [Self], stride: usize) {
        lanes.turn_floats(from, to, stride);
    }
}

/// Native rows that are resampled before they are blurred: few enough for the innermost cache.
pub(crate) const SHARP: usize = 32;

/// Memory of the passes, reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    /// [`GROUP`] source rows as `f32`, a [`Line16`](crate::simd::Line16) each.
    lines: Floats,
    /// A source with rows and columns exchanged.
    turned: Vec<u16>,
    turned_f32: Floats,
    /// What the pass along rows gives: rows of [`stride`] values.
    pub(crate) rows: Floats,
}

/// Values from one row to the next where rows are whole numbers of lanes.
pub(crate) fn stride(side: usize) -> usize {
    side.next_multiple_of(LANES)
}

impl Buffers {
    /// Takes the memory for `side` x `side` outputs from at most `largest` x `largest` inputs, or from one raster of
    /// each resolution, and for a blur of a view that needs `margin` rows more above and below.
    pub(crate) fn reserve(&mut self, side: usize, largest: usize, margin: usize) {
        let native: usize = Resolution::ALL.iter().map(|group| group.side()).sum();
        // With room for sharp rows behind those that are blurred.
        let rows = (largest.max(native).max(side + 2 * margin) + SHARP) * stride(side);
        for (values, len) in [
            (&mut self.turned_f32, largest * largest),
            (&mut self.rows, rows),
            (&mut self.lines, GROUP * LINE),
        ] {
            values.resize(values.len().max(len));
        }
        let len = largest * largest;
        reserve(&mut self.turned, len);
        self.turned.resize(self.turned.len().max(len), 0);
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let all = [&self.turned_f32, &self.rows, &self.lines];
        let floats = all.iter().map(|v| v.bytes());
        floats.sum::<usize>() + self.turned.capacity() * size_of::<u16>()
    }
}

/// What a source's pixels are stored as, and the memory for it turned.
pub(crate) trait Turn: Pixel {
    type Memory: Default + DerefMut<Target = [Self]>;

    fn turned(buffers: &mut Buffers) -> &mut Self::Memory;
}

impl Turn for u16 {
    type Memory = Vec<Self>;

    fn turned(buffers: &mut Buffers) -> &mut Vec<Self> {
        &mut buffers.turned
    }
}

impl Turn for f32 {
    type Memory = Floats;

    fn turned(buffers: &mut Buffers) -> &mut Floats {
        &mut buffers.turned_f32
    }
}

/// A square image to be resampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raster<'a, P> {
    pub(crate) pixels: &'a [P],
    /// Pixels a side.
    pub(crate) side: usize,
    /// Columns are taken as rows.
    pub(crate) transposed: bool,
}

impl<P: Turn> Raster<'_, P> {
    /// Makes ready what [`Self::along_rows`] reads: where rows and columns change places, that.
    pub(crate) fn turn(&self, simd: Simd, (y, x): (&Taps, &Taps), buffers: &mut Buffers) {
        if self.transposed {
            let turned = P::turned(buffers);
            let (rows, columns) = (y.all_inputs(), x.all_inputs());
            transpose(simd, self.pixels, self.side, rows, columns, turned);
        }
    }

    /// Resamples some rows along themselves. What comes out is in `buffers.rows`, from value `at` on.
    pub(crate) fn along_rows(
        &self,
        simd: Simd,
        rows: Range<usize>,
        (x, across): (&Taps, &Across),
        buffers: &mut Buffers,
        at: usize,
    ) {
        let (columns, outputs) = (x.all_inputs(), x.starts.len());
        let turned = std::mem::take(P::turned(buffers));
        let pixels = if self.transposed {
            &*turned
        } else {
            self.pixels
        };
        let Buffers {
            lines, rows: out, ..
        } = buffers;
        let (side, to) = (self.side, (&mut out[at..], stride(outputs)));
        along_rows(simd, pixels, side, rows, columns, across, lines, to);
        *P::turned(buffers) = turned;
    }
}

kernel! {
    /// `to[r][c] = source[c][r]` for at least the rows and columns given.
    fn transpose[P: Pixel](
        lanes,
        source: &[P],
        native: usize,
        rows: Range<usize>,
        columns: Range<usize>,
        to: &mut [P],
    ) {
        if native < TALL {
            for (r, c) in rows.flat_map(|r| columns.clone().map(move |c| (r, c))) {
                to[r * native + c] = source[c * native + r];
            }
            return;
        }
        // The last blocks overlap with those before them.
        for c in columns.step_by(TALL) {
            let c = c.min(native - TALL);
            for r in rows.clone().step_by(WIDE) {
                let r = r.min(native - WIDE);
                P::turn(lanes, &source[c * native + r..], &mut to[r * native + c..], native);
            }
        }
    }
}
