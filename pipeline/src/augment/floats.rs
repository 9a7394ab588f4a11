//! Memory of `f32` whose vectors lie in one cache line each.

use std::ops::{Deref, DerefMut};

use super::scratch::reserve;
use crate::simd::{LANES, Line};

/// Values that begin at a cache line: a whole number of lines of them, zeros at first.
///
/// From the allocator, large memory begins 16 bytes behind a line, so that every load of sixteen values
/// would touch two.
#[derive(Debug, Default)]
pub(crate) struct Floats(Vec<Line>);

impl Floats {
    /// Takes memory for so many values, no more, and has that many from now on.
    pub(crate) fn resize(&mut self, len: usize) {
        let lines = len.div_ceil(LANES);
        reserve(&mut self.0, lines);
        self.0.resize(lines, Line([0; 64]));
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Line>()
    }
}

impl Deref for Floats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for Floats {
    fn deref_mut(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}
