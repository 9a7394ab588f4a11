//! Independent normal noise on every value.

use chipmill_schemas::augment::GaussianNoise;

use crate::augment::stream::{Lines, Sink, line_at, lines_of, write_values};
use crate::element::Element;
use crate::rng::{NORMALS, OpKey};
use crate::simd::{LANES, Line, Row, kernel};

/// Whether the view gets noise.
pub(crate) fn is_done(noise: &GaussianNoise, key: OpKey) -> bool {
    key.stream(0).chance(noise.p)
}

kernel! {
    /// `values[i] += std n`, with `n` the operation's normal number `128 first + i`; whole blocks of 128
    /// values.
    pub(crate) fn add_noise(lanes, values: &mut [Row<f32>], std: f32, key: OpKey, first: u32) {
        let std = lanes.splat(std);
        let blocks = values.as_chunks_mut::<{ NORMALS / LANES }>().0;
        let mut normals = key.normals(lanes, first);
        for values in blocks {
            for (values, normal) in values.iter_mut().zip(normals.next(lanes)) {
                lanes.store(lanes.mul_add(normal, std, lanes.load(values)), values);
            }
        }
    }
}

kernel! {
    /// The same, written to one band of a view from `start` on as it is made: computing and streaming take
    /// turns.
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
        pixels: std::ops::Range<usize>,
        out: &mut [E],
        streams: bool,
    ) {
        let std = lanes.splat(std);
        let (start, end) = (pixels.start, pixels.end);
        if streams && let Some(lines) = lines_of(&mut out[pixels.clone()]) {
            // Block by block, so that memory is written while the next is computed.
            let (blocks, rest) = block[porch..][..pixels.len()].as_chunks::<NORMALS>();
            let size = NORMALS * size_of::<E>() / size_of::<Line>();
            let mut normals = key.normals(lanes, first);
            for (values, lines) in blocks.iter().zip(lines.chunks_mut(size)) {
                let mut noisy = normals.next(lanes);
                for (noisy, values) in noisy.iter_mut().zip(values.as_chunks().0) {
                    *noisy = lanes.mul_add(*noisy, std, lanes.load(values));
                }
                E::put_eight(lanes, noisy, lines);
            }
            if rest.is_empty() {
                return;
            }
            let mut lines = Lines::<L, E>::new(&mut lines[blocks.len() * size..]);
            for (values, normal) in rest.as_chunks().0.iter().zip(normals.next(lanes)) {
                lines.put(lanes, lanes.mul_add(normal, std, lanes.load(values)));
            }
            return;
        }
        let mut from = line_at(out, start);
        let mut normals = key.normals(lanes, first);
        for at in pixels.step_by(NORMALS) {
            let values = &mut block[porch + at - start..][..NORMALS];
            let rows = values.as_chunks_mut::<LANES>().0;
            for (values, normal) in rows.iter_mut().zip(normals.next(lanes)) {
                lanes.store(lanes.mul_add(normal, std, lanes.load(values)), values);
            }
            let to = line_at(out, end.min(at + NORMALS));
            let values = &block[porch + from - start..][..to - from];
            write_values(lanes, values, &mut out[from..to], streams);
            from = to;
        }
    }
}
