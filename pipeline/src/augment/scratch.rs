//! Memory that rendering works in.

use super::ops::BlurBuffers;
use super::resample::{Buffers, Taps};

/// Working memory of [`Augmenter::render`](super::Augmenter::render), one for each thread.
///
/// It grows to what the augmenter needs while the first views are rendered, to less than
/// [`Augmenter::scratch_bytes`](super::Augmenter::scratch_bytes); after that nothing is allocated.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Weights of rows and columns, for each resolution and for views.
    pub(super) taps: [(Taps, Taps); 4],
    pub(super) resample: Buffers,
    pub(super) image: Vec<f32>,
    pub(super) blur: BlurBuffers,
}

impl Scratch {
    /// Empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
