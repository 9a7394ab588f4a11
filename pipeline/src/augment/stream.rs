//! From `f32` to the view's elements, past the caches.
//!
//! A batch is larger than any cache: ordinary stores would fetch every line that they overwrite, and
//! push out what is being worked on. Views of fewer bytes are written with ordinary stores.

use std::marker::PhantomData;
use std::slice::IterMut;

use crate::element::Element;
use crate::simd::{Lanes, Line, Row, kernel};

/// Bytes of a view from which on it is streamed.
pub(super) const LARGE: usize = 1 << 15;

/// The last place up to `place` of a view in `out` at which a cache line begins; places 0 and the end
/// stay.
pub(super) fn line_at<E>(out: &[E], place: usize) -> usize {
    if place == 0 || place >= out.len() {
        return place.min(out.len());
    }
    let address = out.as_ptr().addr() + place * size_of::<E>();
    place.saturating_sub(address % size_of::<Line>() / size_of::<E>())
}

/// Where vectors go that follow one another without a gap.
pub(super) trait Sink<L: Lanes> {
    fn put(&mut self, lanes: L, v: L::F);

    /// Asked after every two rows: the time for what is done to several vectors together.
    #[inline(always)]
    fn pause(&mut self, _: L) {}
}

/// Memory to work in.
pub(super) struct Rows<'a>(IterMut<'a, Row<f32>>);

impl<'a> Rows<'a> {
    /// A whole number of vectors.
    #[inline(always)]
    pub(super) fn new(values: &'a mut [f32]) -> Self {
        Self(values.as_chunks_mut().0.iter_mut())
    }
}

impl<L: Lanes> Sink<L> for Rows<'_> {
    #[inline(always)]
    fn put(&mut self, lanes: L, v: L::F) {
        if let Some(row) = self.0.next() {
            lanes.store(v, row);
        }
    }
}

/// Lines of a view, written past the caches straight from the registers.
pub(super) struct Lines<'a, L: Lanes, E> {
    lines: IterMut<'a, Line>,
    /// The first half of a line of halves.
    held: Option<L::F>,
    element: PhantomData<E>,
}

impl<'a, L: Lanes, E> Lines<'a, L, E> {
    #[inline(always)]
    pub(super) fn new(lines: &'a mut [Line]) -> Self {
        Self {
            lines: lines.iter_mut(),
            held: None,
            element: PhantomData,
        }
    }
}

impl<L: Lanes, E: Element> Sink<L> for Lines<'_, L, E> {
    #[inline(always)]
    fn put(&mut self, lanes: L, v: L::F) {
        E::put(lanes, v, &mut self.held, &mut self.lines);
    }
}

/// A part of a view as the cache lines that it is, if it is nothing besides.
#[inline(always)]
pub(super) fn lines_of<E: Element>(out: &mut [E]) -> Option<&mut [Line]> {
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<E, Line>(out);
    (head.is_empty() && tail.is_empty()).then_some(lines)
}

/// Writes rows of which all bands are made to each of them, as their piece number so many: whole lines of a view of
/// `plane` values a band.
#[inline(always)]
pub(super) fn stream_to_bands<L: Lanes, E: Element>(
    lanes: L,
    values: &[f32],
    piece: usize,
    lines: &mut [Line],
    plane: usize,
) {
    let per_line = size_of::<Line>() / size_of::<E>();
    for band in lines.chunks_exact_mut(plane / per_line) {
        let lines = band.chunks_exact_mut(values.len() / per_line).nth(piece);
        let lines = lines.unwrap_or_default().iter_mut();
        for (line, values) in lines.zip(values.chunks_exact(per_line)) {
            E::write_line(lanes, values, line, true);
        }
    }
}

/// Rows that are whole lines together: two of `f32` or four of halves, where sides are multiples of eight.
#[inline(always)]
pub(super) const fn rows_of_lines<E: Element>() -> usize {
    2 * size_of::<f32>() / size_of::<E>()
}

kernel! {
    /// Writes all of `values` to `out`, which is as long.
    pub(super) fn write[E: Element](lanes, values: &[f32], out: &mut [E], streams: bool) {
        write_values(lanes, values, out, streams);
    }
}

/// [`write()`] as part of a kernel.
#[inline(always)]
pub(super) fn write_values<L: Lanes, E: Element>(
    lanes: L,
    values: &[f32],
    out: &mut [E],
    streams: bool,
) {
    let per_line = size_of::<Line>() / size_of::<E>();
    let (head, lines, tail) = bytemuck::pod_align_to_mut::<E, Line>(out);
    let (first, rest) = values.split_at(head.len().min(values.len()));
    if !head.is_empty() {
        convert(first, head);
    }
    for (line, values) in lines.iter_mut().zip(rest.chunks_exact(per_line)) {
        E::write_line(lanes, values, line, streams);
    }
    if !tail.is_empty() {
        convert(&values[values.len() - tail.len().min(values.len())..], tail);
    }
}

/// What fills no cache line: the ends of a view.
#[cold]
#[inline(never)]
fn convert<E: Element>(values: &[f32], out: &mut [E]) {
    for (to, value) in out.iter_mut().zip(values) {
        *to = E::from_f32(*value);
    }
}
