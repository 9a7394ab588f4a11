//! Operations that users of the library add.

use std::sync::Arc;

use crate::rng::{OpKey, Stream, ViewKey};

/// An operation of your own, in the midst of the others.
///
/// It is added with [`Augmenter::with_op`](super::Augmenter::with_op) and gets the view as the operations
/// before it left it. What it computes must depend on nothing but the view and the random numbers it is
/// given, or batches are no longer a function of seed and position. The loader turns a panic into an
/// error that names the patch.
///
/// ```
/// use chipmill_pipeline::augment::{Augmenter, CustomOp, CustomView, Random};
/// # use chipmill_pipeline::schemas::{config::*, statistics::SetStatistics};
/// # let statistics = SetStatistics { split: None, patches: 0, bands: vec![] };
///
/// /// Squares every value of the first band, in every other view.
/// #[derive(Debug)]
/// struct Square;
///
/// impl CustomOp for Square {
///     fn name(&self) -> &str {
///         "square"
///     }
///
///     fn apply(&self, view: &mut CustomView<'_>, random: &mut Random) {
///         if random.chance(0.5) {
///             view.band_mut(0).iter_mut().for_each(|value| *value *= *value);
///         }
///     }
/// }
///
/// let config = ViewConfig { normalise: Normalise::None, ..ViewConfig::default() };
/// let augmenter = Augmenter::compile(&config, &statistics)?.with_op(4, Square);
/// # Ok::<(), chipmill_pipeline::augment::AugmentError>(())
/// ```
pub trait CustomOp: std::fmt::Debug + Send + Sync {
    /// A name for people, as in [`Augmenter::draws`](super::Augmenter::draws).
    fn name(&self) -> &str;

    /// Changes the view.
    fn apply(&self, view: &mut CustomView<'_>, random: &mut Random);

    /// What is drawn, for people: `random` gives the numbers that [`Self::apply`] gets.
    fn describe(&self, random: &mut Random) -> String {
        let _ = random;
        "custom".to_owned()
    }
}

/// A view in the midst of being made: normalised `f32` values, `[band, y, x]`.
#[derive(Debug)]
pub struct CustomView<'a> {
    planes: &'a mut [f32],
    side: usize,
    plane_len: usize,
}

impl<'a> CustomView<'a> {
    pub(super) fn new(planes: &'a mut [f32], side: usize, plane_len: usize) -> Self {
        Self {
            planes,
            side,
            plane_len,
        }
    }

    /// Number of bands, in the order of the configuration.
    #[must_use]
    pub fn bands(&self) -> usize {
        self.planes.len() / self.plane_len
    }

    /// Side in pixels.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side
    }

    /// One band.
    ///
    /// # Shapes
    /// `[y, x]` in C order.
    ///
    /// # Panics
    /// If there is no band of that number.
    #[must_use]
    pub fn band(&self, band: usize) -> &[f32] {
        &self.planes[band * self.plane_len..][..self.side * self.side]
    }

    /// One band, to be changed.
    ///
    /// # Shapes
    /// `[y, x]` in C order.
    ///
    /// # Panics
    /// If there is no band of that number.
    #[must_use]
    pub fn band_mut(&mut self, band: usize) -> &mut [f32] {
        &mut self.planes[band * self.plane_len..][..self.side * self.side]
    }

    /// All bands in turn, to be changed.
    ///
    /// # Shapes
    /// Each `[y, x]` in C order.
    pub fn bands_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        let pixels = self.side * self.side;
        let planes = self.planes.chunks_exact_mut(self.plane_len);
        planes.map(move |plane| &mut plane[..pixels])
    }
}

/// The random numbers of one custom operation of one view: a function of seed, epoch, patch, view and
/// the operation's number, shared with no other operation.
#[derive(Debug, Clone)]
pub struct Random {
    stream: Stream,
}

impl Random {
    /// The next 32 random bits.
    pub fn word(&mut self) -> u32 {
        self.stream.word()
    }

    /// Uniform in [0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.stream.uniform()
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        self.stream.between(low, high)
    }

    /// True with probability `p`; never for 0, always for 1.
    pub fn chance(&mut self, p: f32) -> bool {
        self.stream.chance(p)
    }

    /// Uniform among `0 .. n`; 0 for an `n` of 0.
    pub fn below(&mut self, n: u32) -> u32 {
        self.stream.below(n)
    }
}

/// Custom operations are numbered from here on, so that they change no other operation's numbers.
const FIRST: u32 = 1 << 16;

/// A custom operation and its place.
#[derive(Debug, Clone)]
pub(super) struct Custom {
    /// Number of the configuration's operation that it comes before.
    pub(super) before: usize,
    pub(super) op: Arc<dyn CustomOp>,
    /// Its number among custom operations.
    pub(super) number: u32,
}

impl Custom {
    fn random(&self, key: ViewKey) -> Random {
        Random {
            stream: OpKey::new(key, FIRST + self.number).stream(0),
        }
    }

    pub(super) fn apply(&self, key: ViewKey, view: &mut CustomView<'_>) {
        self.op.apply(view, &mut self.random(key));
    }

    pub(super) fn describe(&self, key: ViewKey) -> (String, String) {
        let text = self.op.describe(&mut self.random(key));
        (self.op.name().to_owned(), text)
    }
}
