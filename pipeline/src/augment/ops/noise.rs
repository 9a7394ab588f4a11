//! Independent normal noise on every value.

use chipmill_schemas::augment::GaussianNoise;

use crate::augment::stream::{Lines, Sink, line_at, lines_of, write_values};
use crate::element::Element;
use crate::rng::{Left, NORMALS, Normals, OpKey, Radii};
use crate::simd::{LANES, Lanes, Line, Row, kernel};

/// Whether the view gets noise.
pub(crate) fn is_done(noise: &GaussianNoise, key: OpKey) -> bool {
    key.stream(0).chance(noise.p)
}

kernel! {
    /// `values[i] += std n`, with `n` the operation's normal number `64 first + i`; whole blocks of 64
    /// values. `left` is where the band's numbers were left, and will be.
    pub(crate) fn add_noise(
        lanes,
        values: &mut [Row<f32>],
        std: f32,
        key: OpKey,
        first: u32,
        left: &mut Left,
    ) {
        let radii = Radii::new(lanes, std);
        let blocks = values.as_chunks_mut::<{ NORMALS / LANES }>().0;
        let mut normals = key.resume_normals(lanes, first, left);
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
        std: f32,
        key: OpKey,
        first: u32,
        left: &mut Left,
        out: &mut [E],
    ) -> bool {
        let Some(lines) = lines_of(out) else {
            return false;
        };
        let radii = Radii::new(lanes, std);
        let (blocks, rest) = values.as_chunks::<NORMALS>();
        let size = NORMALS * size_of::<E>() / size_of::<Line>();
        let mut normals = key.resume_normals(lanes, first, left);
        for (values, lines) in blocks.iter().zip(lines.chunks_mut(size)) {
            let mut noisy = loaded(lanes, values.as_chunks().0);
            normals.add(lanes, &radii, &mut noisy);
            E::put_four(lanes, noisy, lines);
        }
        if !rest.is_empty() {
            let mut lines = Lines::<L, E>::new(&mut lines[blocks.len() * size..]);
            let mut noisy = loaded(lanes, rest.as_chunks().0);
            normals.add(lanes, &radii, &mut noisy);
            for noisy in noisy.into_iter().take(rest.len() / LANES) {
                lines.put(lanes, noisy);
            }
        }
        normals.leave(lanes, left);
        true
    }
}

kernel! {
    /// The same, written to one band of a view from `start` on as it is made: computing and writing take turns.
    ///
    /// `block` is a band's values after `porch` others, of which the last are those before `start` that did
    /// not fill a cache line.
    pub(crate) fn add_noise_to_view[E: Element](
        lanes,
        block: &mut [f32],
        porch: usize,
        std: f32,
        key: OpKey,
        first: u32,
        left: &mut Left,
        pixels: std::ops::Range<usize>,
        out: &mut [E],
        streams: bool,
    ) {
        let radii = Radii::new(lanes, std);
        let (start, end) = (pixels.start, pixels.end);
        let mut from = line_at(out, start);
        let mut normals = key.resume_normals(lanes, first, left);
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
