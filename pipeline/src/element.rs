//! The types that views are rendered into.

use std::slice::IterMut;

use half::{bf16, f16};

use crate::simd::{LANES, Lanes, Line, Row};

mod sealed {
    use std::slice::IterMut;

    use super::{Lanes, Line};

    /// Only this crate knows how to write an element.
    pub trait Sealed: Sized {
        /// Converts a line's worth of values; with `streams`, past the caches.
        fn write_line<L: Lanes>(lanes: L, values: &[f32], to: &mut Line, streams: bool);

        /// Streams a vector to the next of `lines`; one that fills but half a line is held until the
        /// next comes.
        fn put<L: Lanes>(lanes: L, v: L::F, held: &mut Option<L::F>, lines: &mut IterMut<'_, Line>);

        /// Streams four vectors to the lines that they fill, at once: what they are computed from need not
        /// wait for a question between two of them. Nothing where there are fewer lines.
        fn put_four<L: Lanes>(lanes: L, v: [L::F; 4], lines: &mut [Line]);
    }
}

impl sealed::Sealed for f32 {
    #[inline(always)]
    fn write_line<L: Lanes>(lanes: L, values: &[f32], to: &mut Line, streams: bool) {
        let Some(values) = values.first_chunk() else {
            return;
        };
        if streams {
            lanes.stream(lanes.load(values), to);
        } else {
            let mut row = [0.0; LANES];
            lanes.store(lanes.load(values), &mut row);
            to.0 = bytemuck::cast(row);
        }
    }

    #[inline(always)]
    fn put<L: Lanes>(lanes: L, v: L::F, _: &mut Option<L::F>, lines: &mut IterMut<'_, Line>) {
        if let Some(line) = lines.next() {
            lanes.stream(v, line);
        }
    }

    #[inline(always)]
    fn put_four<L: Lanes>(lanes: L, v: [L::F; 4], lines: &mut [Line]) {
        let Some(lines) = lines.first_chunk_mut::<4>() else {
            return;
        };
        for (line, v) in lines.iter_mut().zip(v) {
            lanes.stream(v, line);
        }
    }
}

/// Two times sixteen values.
#[inline(always)]
fn rows(values: &[f32]) -> Option<[&Row<f32>; 2]> {
    let (low, high) = values.split_at_checked(LANES)?;
    Some([low.first_chunk()?, high.first_chunk()?])
}

#[inline(always)]
fn write_halves<L: Lanes>(lanes: L, halves: [L::H; 2], to: &mut Line, streams: bool) {
    if streams {
        return lanes.stream_half(halves, to);
    }
    let [low, high] = bytemuck::cast_mut::<_, [Row<u16>; 2]>(&mut to.0);
    lanes.store_half(halves[0], low);
    lanes.store_half(halves[1], high);
}

impl sealed::Sealed for f16 {
    #[inline(always)]
    fn write_line<L: Lanes>(lanes: L, values: &[f32], to: &mut Line, streams: bool) {
        if let Some([low, high]) = rows(values) {
            let halves = [
                lanes.to_f16(lanes.load(low)),
                lanes.to_f16(lanes.load(high)),
            ];
            write_halves(lanes, halves, to, streams);
        }
    }

    #[inline(always)]
    fn put<L: Lanes>(lanes: L, v: L::F, held: &mut Option<L::F>, lines: &mut IterMut<'_, Line>) {
        match held.take() {
            None => *held = Some(v),
            Some(first) => {
                if let Some(line) = lines.next() {
                    lanes.stream_half([lanes.to_f16(first), lanes.to_f16(v)], line);
                }
            }
        }
    }

    #[inline(always)]
    fn put_four<L: Lanes>(lanes: L, v: [L::F; 4], lines: &mut [Line]) {
        let Some(lines) = lines.first_chunk_mut::<2>() else {
            return;
        };
        for (line, &[low, high]) in lines.iter_mut().zip(v.as_chunks().0) {
            lanes.stream_half([lanes.to_f16(low), lanes.to_f16(high)], line);
        }
    }
}

impl sealed::Sealed for bf16 {
    #[inline(always)]
    fn write_line<L: Lanes>(lanes: L, values: &[f32], to: &mut Line, streams: bool) {
        if let Some([low, high]) = rows(values) {
            let halves = [
                lanes.to_bf16(lanes.load(low)),
                lanes.to_bf16(lanes.load(high)),
            ];
            write_halves(lanes, halves, to, streams);
        }
    }

    #[inline(always)]
    fn put<L: Lanes>(lanes: L, v: L::F, held: &mut Option<L::F>, lines: &mut IterMut<'_, Line>) {
        match held.take() {
            None => *held = Some(v),
            Some(first) => {
                if let Some(line) = lines.next() {
                    lanes.stream_half([lanes.to_bf16(first), lanes.to_bf16(v)], line);
                }
            }
        }
    }

    #[inline(always)]
    fn put_four<L: Lanes>(lanes: L, v: [L::F; 4], lines: &mut [Line]) {
        let Some(lines) = lines.first_chunk_mut::<2>() else {
            return;
        };
        for (line, &[low, high]) in lines.iter_mut().zip(v.as_chunks().0) {
            lanes.stream_half([lanes.to_bf16(low), lanes.to_bf16(high)], line);
        }
    }
}

/// A value of a view: `f32`, [`struct@f16`] or [`bf16`].
///
/// Views are computed in `f32` and rounded once, to the nearest value and halves to even, when they
/// are written: a half view has exactly the bits of the `f32` view of the same key, converted.
/// Finite values beyond 65,504 become infinite in `f16`.
pub trait Element:
    sealed::Sealed + bytemuck::Pod + Default + PartialEq + std::fmt::Debug + Send + Sync
{
    /// The type's name: `f32`, `f16` or `bf16`.
    const NAME: &'static str;

    /// Rounds to the nearest value, halves to even.
    fn from_f32(value: f32) -> Self;

    /// The value, exactly.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    const NAME: &'static str = "f32";

    fn from_f32(value: f32) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for f16 {
    const NAME: &'static str = "f16";

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
}

impl Element for bf16 {
    const NAME: &'static str = "bf16";

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
}
