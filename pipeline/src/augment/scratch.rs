//! Memory that rendering works in.

use super::ops::BlurBuffers;
use super::resample::{Buffers, Taps};

/// Working memory of [`Augmenter::render`](super::Augmenter::render), one for each thread.
///
/// It grows once, when the first view is rendered, to less than
/// [`Augmenter::scratch_bytes`](super::Augmenter::scratch_bytes); after that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Weights of rows and columns, for each resolution and for views.
    pub(super) taps: [(Taps, Taps); 4],
    pub(super) resample: Buffers,
    pub(super) image: Vec<f32>,
    pub(super) blur: BlurBuffers,
    /// A view that is yet to be rounded to half precision.
    pub(super) view: Vec<f32>,
}

impl Scratch {
    /// Empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes all memory that views of `side` pixels a side, from images of at most `largest`, may need.
    pub(super) fn reserve(&mut self, side: usize, largest: usize) {
        for (rows, columns) in &mut self.taps {
            rows.reserve(side, largest);
            columns.reserve(side, largest);
        }
        self.resample.reserve(side, largest);
        self.blur.reserve(side);
        reserve(&mut self.image, side * side);
    }
}

/// Grows the capacity to `len` and no further.
pub(super) fn reserve<T>(values: &mut Vec<T>, len: usize) {
    values.reserve_exact(len.saturating_sub(values.len()));
}

#[cfg(test)]
impl Scratch {
    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        let taps = self.taps.iter().map(|(y, x)| y.bytes() + x.bytes());
        let image = self.image.capacity() * size_of::<f32>();
        taps.sum::<usize>() + image + self.resample.bytes() + self.blur.bytes()
    }
}
