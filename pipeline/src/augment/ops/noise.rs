//! Independent normal noise on every value.

use std::marker::PhantomData;
use std::slice::ChunksExactMut;

use chipmill_schemas::augment::GaussianNoise;

use crate::augment::resample::{Columns, gapless};
use crate::augment::stream::{Lines, Sink, line_at, lines_of, write_values};
use crate::element::Element;
use crate::rng::{Left, NORMALS, Normals, OpKey, Radii};
use crate::simd::{LANES, Lanes, Line, Row, kernel};

/// Whether the view gets noise.
pub(crate) fn is_done(noise: &GaussianNoise, key: OpKey) -> bool {
    key.stream(0).chance(noise.p)
}

/// What is added to a band: `std` times the operation's normal numbers from number `64 first` on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noise {
    pub(crate) std: f32,
    pub(crate) key: OpKey,
    pub(crate) first: u32,
}

impl Noise {
    #[inline(always)]
    fn normals<L: Lanes>(self, lanes: L, left: &Left) -> Normals<L> {
        self.key.resume_normals(lanes, self.first, left)
    }
}

kernel! {
    /// Adds noise to whole blocks of 64 values. `left` is where the band's numbers were left, and will be.
    pub(crate) fn add_noise(lanes, values: &mut [Row<f32>], noise: Noise, left: &mut Left) {
        let radii = Radii::new(lanes, noise.std);
        let blocks = values.as_chunks_mut::<{ NORMALS / LANES }>().0;
        let mut normals = noise.normals(lanes, left);
        for values in blocks {
            add_block(lanes, &mut normals, &radii, values);
        }
        normals.leave(lanes, left);
    }
}

kernel! {
    /// The same, written past the caches where `out`, which is as long, is whole cache lines: block by block, so that
    /// memory is written while the next is computed. Else does nothing and says so.
    pub(crate) fn stream_noisy[E: Element](
        lanes,
        values: &[f32],
        noise: Noise,
        left: &mut Left,
        out: &mut [E],
    ) -> bool {
        let Some(lines) = lines_of(out) else {
            return false;
        };
        let mut lines = NoisyLines::<L, E>::new(lanes, noise, left, lines);
        let rest = lines.put(lanes, values.as_chunks().0);
        lines.finish(lanes, rest, left);
        true
    }
}

kernel! {
    /// All rows of a band of a view with noise, straight from what they are resampled from, if [`Columns::goes_to_lines`]:
    /// every two rows are noisy and on their way to memory before the next are made.
    ///
    /// `memory` holds two rows and a block of 64 values.
    pub(crate) fn stream_noisy_columns[E: Element](
        lanes,
        columns: Columns<'_>,
        memory: &mut [f32],
        noise: Noise,
        left: &mut Left,
        out: &mut [E],
    ) {
        let Some(lines) = lines_of(out) else {
            return;
        };
        let mut rows = NoisyRows {
            held: memory.as_chunks_mut().0,
            count: 0,
            lines: NoisyLines::<L, E>::new(lanes, noise, left, lines),
        };
        gapless(lanes, &columns, 0..columns.side(), &mut rows);
        let NoisyRows { held, count, lines } = rows;
        lines.finish(lanes, &held[..count], left);
    }
}

/// Lines of a view, which get noise and are written past the caches.
struct NoisyLines<'a, L: Lanes, E> {
    radii: Radii<L>,
    normals: Normals<L>,
    /// Those of a block each, and what is left of them.
    blocks: ChunksExactMut<'a, Line>,
    element: PhantomData<E>,
}

impl<'a, L: Lanes, E: Element> NoisyLines<'a, L, E> {
    #[inline(always)]
    fn new(lanes: L, noise: Noise, left: &Left, lines: &'a mut [Line]) -> Self {
        let size = NORMALS * size_of::<E>() / size_of::<Line>();
        Self {
            radii: Radii::new(lanes, noise.std),
            normals: noise.normals(lanes, left),
            blocks: lines.chunks_exact_mut(size),
            element: PhantomData,
        }
    }

    /// Whole blocks; gives the vectors that are left over.
    #[inline(always)]
    fn put<'v>(&mut self, lanes: L, values: &'v [Row<f32>]) -> &'v [Row<f32>] {
        let (blocks, rest) = values.as_chunks::<{ NORMALS / LANES }>();
        for (values, lines) in blocks.iter().zip(&mut self.blocks) {
            let mut noisy = loaded(lanes, values);
            self.normals.add(lanes, &self.radii, &mut noisy);
            E::put_four(lanes, noisy, lines);
        }
        rest
    }

    /// The last vectors, of less than a block.
    #[inline(always)]
    fn finish(mut self, lanes: L, rest: &[Row<f32>], left: &mut Left) {
        if !rest.is_empty() {
            let mut lines = Lines::<L, E>::new(self.blocks.into_remainder());
            let mut noisy = loaded(lanes, rest);
            self.normals.add(lanes, &self.radii, &mut noisy);
            for noisy in noisy.into_iter().take(rest.len()) {
                lines.put(lanes, noisy);
            }
        }
        self.normals.leave(lanes, left);
    }
}

/// Vectors that wait for others of their block.
struct NoisyRows<'a, L: Lanes, E> {
    held: &'a mut [Row<f32>],
    count: usize,
    lines: NoisyLines<'a, L, E>,
}

impl<L: Lanes, E: Element> Sink<L> for NoisyRows<'_, L, E> {
    #[inline(always)]
    fn put(&mut self, lanes: L, v: L::F) {
        if let Some(to) = self.held.get_mut(self.count) {
            lanes.store(v, to);
            self.count += 1;
        }
    }

    #[inline(always)]
    fn pause(&mut self, lanes: L) {
        let rest = self.lines.put(lanes, &self.held[..self.count]).len();
        for (to, from) in (self.count - rest..self.count).enumerate() {
            let v = lanes.load(&self.held[from]);
            lanes.store(v, &mut self.held[to]);
        }
        self.count = rest;
    }
}

kernel! {
    /// Adds noise to a band's values and writes them to its `pixels` of a view, block by block: computing and writing
    /// take turns.
    ///
    /// `block` is those values after `porch` others, of which the last are those before them that did not fill a cache
    /// line.
    pub(crate) fn add_noise_to_view[E: Element](
        lanes,
        block: &mut [f32],
        porch: usize,
        noise: Noise,
        left: &mut Left,
        pixels: std::ops::Range<usize>,
        out: &mut [E],
        streams: bool,
    ) {
        let radii = Radii::new(lanes, noise.std);
        let (start, end) = (pixels.start, pixels.end);
        let mut from = line_at(out, start);
        let mut normals = noise.normals(lanes, left);
        for at in pixels.step_by(NORMALS) {
            let values = &mut block[porch + at - start..][..NORMALS];
            add_block(lanes, &mut normals, &radii, values.as_chunks_mut().0);
            let to = line_at(out, end.min(at + NORMALS));
            let values = &block[porch + from - start..][..to - from];
            write_values(lanes, values, &mut out[from..to], streams);
            from = to;
        }
        normals.leave(lanes, left);
    }
}

/// Adds the next block of normal numbers to a block of values.
#[inline(always)]
fn add_block<L: Lanes>(
    lanes: L,
    normals: &mut Normals<L>,
    radii: &Radii<L>,
    values: &mut [Row<f32>],
) {
    let mut noisy = loaded(lanes, values);
    normals.add(lanes, radii, &mut noisy);
    for (noisy, values) in noisy.into_iter().zip(values) {
        lanes.store(noisy, values);
    }
}

/// Up to a block of values; 0 for those that are not there.
#[inline(always)]
fn loaded<L: Lanes>(lanes: L, values: &[Row<f32>]) -> [L::F; NORMALS / LANES] {
    let mut loaded = [lanes.splat(0.0); NORMALS / LANES];
    for (loaded, values) in loaded.iter_mut().zip(values) {
        *loaded = lanes.load(values);
    }
    loaded
}
