//! From `f32` to the view's elements, past the caches.
//!
//! A batch is larger than any cache: ordinary stores would fetch every line that they overwrite, and
//! push out what is being worked on. Views of fewer bytes are written with ordinary stores.

use crate::element::Element;
use crate::simd::{Lanes, Line, kernel};

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
