//! From the pixels of a patch to augmented views.
//!
//! # What a view is
//! 1. Every band is brought from its native 120, 60 or 20 pixels a side to the 10 m grid of 120
//!    (`view.upsample`, half-pixel centres).
//! 2. Digital numbers become floats by an affine map for each band (`view.normalise`). Nothing is
//!    clipped here.
//! 3. The operations run in the order of the configuration, each on the result of those before it.
//!
//! Flips, rotations and the zoom that come first are folded, together with step 1, into one linear
//! map for each axis, computed in `f64`: they cost one resampling, not one each. A `zoom_scale` there
//! cuts its window from the 120 pixel grid and resizes it to `view.side` at once; without one the
//! whole grid is resized with `view.upsample`. Geometric operations that come after an operation on
//! values work on the view at its side.
//!
//! # Resizing
//! Filters are defined in [`Filter`]; weights beyond the window's border are left out and the others
//! scaled to add up to 1. Resizes by less than a factor of 2 are not antialiased, as in the notes'
//! original (whose crops are never larger than the view). **From a factor of 2 on, whole grid and
//! zoom alike, every filter gives way to the average over the area of the new pixel**, so that small
//! views do not alias and training and evaluation see the same kind of pixels.
//!
//! # Operations
//! `u` is a fresh uniform number in [0, 1); pixel values are those after normalisation.
//!
//! | operation | what it computes |
//! |---|---|
//! | `flip_left_right`, `flip_up_down` | mirrored if `u < p` |
//! | `rot90` | `k` quarter turns against the clock, `k` uniform in 0..=3 |
//! | `zoom_scale` | always: a random window, resized to the view. `height_uniform`: aspect uniform, then an integer height uniform between those of the smallest and the largest area; the corner never takes the last possible offset (as the notes' original). `area_uniform`: area uniform, aspect log-uniform (as torchvision) |
//! | `jitter` | always: brightness `x f`; contrast `m + f (x - m)` with `m` the band's mean over this view at this step; saturation and hue by `model`; each step is clipped to `clip` if that is given. Factors are `U(max(0, 1 - w), 1 + w)` |
//! | ... `model = "bands"` | saturation `m + f (x - m)` with `m` the mean over bands at the pixel; hue: every band by a gain of its own |
//! | ... `model = "hsv"` | HSV saturation times `f`, at most 1; hue shifted by `U(-w, w)` of a full turn |
//! | `gaussian_blur` | if `u < p`: separable, standard deviation uniform in `sigma`, one for all bands, kernel radius `floor(side / 20)` (at least 1), weights adding up to 1; beyond the border mirrored pixels (border pixel not repeated) or zeros |
//! | `gaussian_noise` | if `u < p`: plus independent `N(0, std²)` on every pixel and band (within 5 `std`: beyond that a normal number is once in 1.7 million) |
//! | `drop_color` | if `u < p`: every band becomes the plain mean over the view's bands |
//! | `band_drop` | every band on its own becomes 0 if `u < p` |
//! | `clip` | to `min..=max` |
//!
//! The preset `notes` differs from its TensorFlow original in: blur mirrors at borders (the original
//! pads with zeros: `border = "zero"`); saturation and hue are those of `model = "bands"`, which exists
//! for any number of bands (`model = "hsv"` for three); brightness and contrast share one factor over
//! the bands (`scope = "shared"`, where the original's contrast and brightness do too).
//!
//! # How it is done
//! The draws of a view become a program of few passes over its pixels: affine steps fold into the
//! resampling, and so does a blur that follows nothing else; `drop_color` comes before it where all was
//! linear, and what is left is done to a block of rows while that is in a cache. Kernels are written for
//! sixteen lanes (`simd`). So results are those of the table up to the rounding of `f32`, to 1e-5 of the
//! view's typical value.
//!
//! # Determinism
//! A view is a function of pixels, configuration and [`ViewKey`], and the same to the last bit on
//! every machine: random numbers come from counters, no mathematical function of the C library is
//! called, and sums have a fixed order. Which vector instructions are used
//! ([`Augmenter::with_simd`]) is a question of speed alone.

mod check;
#[cfg(test)]
mod count_tests;
mod crop;
mod custom;
mod error;
mod floats;
mod frame;
mod graph;
#[cfg(test)]
mod kinds;
mod normalise;
mod ops;
mod orientation;
#[cfg(test)]
mod placement_tests;
mod program;
#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "images of a few pixels"
)]
mod reference;
mod resample;
mod run;
mod scratch;
mod stream;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chipmill_schemas::augment::{Augment, Filter};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::ViewConfig;
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

pub use custom::{CustomOp, CustomView, Random};
pub use error::AugmentError;
pub use scratch::Scratch;

use self::custom::Custom;
use self::floats::Floats;
use self::frame::{Frame, Geometric};
use self::graph::{Graph, Stage};
use self::resample::{Affine, Grid};
use self::run::{Run, native_means};
use self::scratch::Extent;
use crate::element::Element;
use crate::rng::{OpKey, ViewKey};
use crate::simd::{Counting, Simd, SimdError, SimdPath};

/// Side of the 10 m grid.
const GRID_SIDE: u32 = 120;
/// Where the weights of geometric operations on views are kept in [`Scratch`].
const OF_VIEW: usize = 3;

/// A view configuration, compiled once and then used for any number of views on any thread.
///
/// ```
/// use chipmill_pipeline::augment::{Augmenter, Scratch};
/// use chipmill_pipeline::ViewKey;
/// # use chipmill_pipeline::schemas::{config::*, statistics::SetStatistics};
/// # use chipmill_store::PatchPixels;
/// # let statistics = SetStatistics { split: None, patches: 0, bands: vec![] };
/// # let pixels = PatchPixels::zeroed();
///
/// let config = ViewConfig { normalise: Normalise::None, side: 32, ..ViewConfig::default() };
/// let augmenter = Augmenter::compile(&config, &statistics)?;
/// let (mut scratch, mut view) = (Scratch::new(), vec![0.0; augmenter.view_len()]);
/// let key = ViewKey { seed: 1, epoch: 0, patch: 7, view: 0 };
/// augmenter.render(&pixels, key, &mut scratch, &mut view);
/// for (operation, drawn) in augmenter.draws(key) {
///     println!("{operation}: {drawn}");
/// }
/// # Ok::<(), chipmill_pipeline::augment::AugmentError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Augmenter {
    bands: Vec<(Band, Affine)>,
    side: u32,
    filter: Filter,
    /// From each resolution's native raster to the 10 m grid, by [`Resolution::index`].
    grids: [Grid; 3],
    /// From a view to itself.
    view_grid: Grid,
    groups: Vec<Resolution>,
    operations: Vec<Augment>,
    custom: Vec<Custom>,
    graph: Graph,
    simd: Simd,
}

impl Augmenter {
    /// Compiles a configuration; `statistics` are those that bands are normalised by, best those of
    /// all patches of the store.
    ///
    /// # Errors
    /// [`AugmentError`] naming the key that is out of range, or the band without statistics.
    pub fn compile(config: &ViewConfig, statistics: &SetStatistics) -> Result<Self, AugmentError> {
        let bands = config.bands.bands();
        check_shape(config.side, bands.len())?;
        let operations = config.operations();
        Graph::check(&operations, bands.len())?;
        let affine = |band| Ok((band, normalise::affine(config.normalise, band, statistics)?));
        let grid = |resolution: Resolution| {
            let native = u32::try_from(resolution.side()).unwrap_or(GRID_SIDE);
            Grid::new(native, GRID_SIDE, config.upsample)
        };
        let is_needed = |&r: &Resolution| bands.iter().any(|b| b.resolution() == r);
        Ok(Self {
            side: config.side,
            filter: config.upsample,
            grids: Resolution::ALL.map(grid),
            view_grid: Grid::new(config.side, config.side, Filter::Nearest),
            groups: Resolution::ALL.into_iter().filter(is_needed).collect(),
            graph: Graph::new(&operations, &[]),
            operations,
            custom: Vec::new(),
            simd: Simd::best(),
            bands: bands.into_iter().map(affine).collect::<Result<_, _>>()?,
        })
    }

    /// Uses these vector instructions in place of the fastest of this processor. Views have the same
    /// bits on every path.
    ///
    /// # Errors
    /// [`SimdError::Unavailable`] naming what the processor lacks.
    pub fn with_simd(self, path: SimdPath) -> Result<Self, SimdError> {
        let simd = Simd::new(path)?;
        Ok(Self { simd, ..self })
    }

    /// The vector instructions in use.
    #[must_use]
    pub fn simd(&self) -> SimdPath {
        self.simd.path()
    }

    /// Adds an operation of your own before operation number `before` of the configuration, counted
    /// from 0; at the end if there are fewer. Those with the same place run in the order they were added.
    ///
    /// What other operations draw does not change.
    #[must_use]
    pub fn with_op(mut self, before: usize, op: impl CustomOp + 'static) -> Self {
        self.custom.push(Custom {
            before,
            op: Arc::new(op),
            number: u32::try_from(self.custom.len()).unwrap_or(u32::MAX),
        });
        self.graph = Graph::new(&self.operations, &self.custom);
        self
    }

    /// Number of bands of a view.
    #[must_use]
    pub fn bands(&self) -> usize {
        self.bands.len()
    }

    /// Side of a view in pixels.
    #[must_use]
    pub fn side(&self) -> usize {
        self.side as usize
    }

    /// Values of a view: bands x side x side.
    #[must_use]
    pub fn view_len(&self) -> usize {
        self.bands() * self.side() * self.side()
    }

    /// The resolution groups that have to be read.
    #[must_use]
    pub fn groups(&self) -> &[Resolution] {
        &self.groups
    }

    /// How many of a view's bands are of a resolution.
    #[must_use]
    pub fn bands_of(&self, group: Resolution) -> usize {
        self.places(group).count()
    }

    /// Where among a view's bands those of a resolution are.
    fn places(&self, group: Resolution) -> impl Iterator<Item = usize> {
        let bands = self.bands.iter().enumerate();
        let own = bands.filter(move |(_, (band, _))| band.resolution() == group);
        own.map(|(place, _)| place)
    }

    /// Bytes that a [`Scratch`] may come to hold.
    #[must_use]
    pub fn scratch_bytes(&self) -> usize {
        let extent = self.extent();
        let largest = extent.largest + 32;
        // The view; turned sources, rows between two passes, bands added up, a block.
        let floats = self.bands() * (self.side() + 16) * (self.side() + 16) + 5 * largest * largest;
        // Weights of 4 axes of rows and 8 of columns, with where they begin.
        let weights = 4 * largest * (3 * 20 + 16) + 2 * largest * 36;
        let program = (8 * extent.operations + 8) * (16 * self.bands() + 512);
        (floats + weights) * size_of::<f32>() + program
    }

    fn extent(&self) -> Extent {
        Extent {
            side: self.side(),
            bands: self.bands(),
            largest: self.side().max(GRID_SIDE as usize),
            operations: self.graph.stages.len(),
        }
    }

    /// Renders one view of a patch into `out`, every value of which is overwritten.
    ///
    /// Only the groups of [`Self::groups`] are looked at.
    ///
    /// # Shapes
    /// `out`: `[band, y, x]` in C order, bands as in the configuration, normalised values.
    ///
    /// # Panics
    /// If `out` does not hold [`Self::view_len`] values.
    pub fn render(
        &self,
        pixels: &PatchPixels,
        key: ViewKey,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        self.render_into(pixels, key, scratch, out);
    }

    /// [`Self::render`] into values of any [`Element`]: `f32`, `f16` or `bf16`.
    ///
    /// A loader with batches in half precision keeps slots of that type and calls this in place of
    /// `render`; key, draws and scratch are the same. Large views are written past the caches, fastest
    /// where `out` begins at a multiple of 64 bytes.
    ///
    /// # Shapes
    /// `out`: `[band, y, x]` in C order, bands as in the configuration, normalised values.
    ///
    /// # Panics
    /// If `out` does not hold [`Self::view_len`] values.
    pub fn render_into<E: Element>(
        &self,
        pixels: &PatchPixels,
        key: ViewKey,
        scratch: &mut Scratch,
        out: &mut [E],
    ) {
        self.render_on(self.simd, pixels, key, scratch, out);
    }

    /// Counts the floating-point operations of rendering these views: every addition, multiplication,
    /// division and root of a value, a fused product and sum as one, in all sixteen lanes of every vector,
    /// whether they are used or not. Whole numbers (random words, rows' weights) and custom operations are
    /// not counted.
    ///
    /// Nothing is computed, so that this takes little time and `pixels` may be of any patch. The count is
    /// the same on every path.
    #[must_use]
    pub fn count_operations(
        &self,
        pixels: &PatchPixels,
        keys: impl IntoIterator<Item = ViewKey>,
    ) -> u64 {
        let (mut scratch, mut out, len) = (Scratch::new(), Floats::default(), self.view_len());
        out.resize(len);
        Counting::count(|counting| {
            for key in keys {
                let out = &mut out[..len];
                self.render_on(Simd::Counting(counting), pixels, key, &mut scratch, out);
            }
        })
    }

    fn render_on<E: Element>(
        &self,
        simd: Simd,
        pixels: &PatchPixels,
        key: ViewKey,
        scratch: &mut Scratch,
        out: &mut [E],
    ) {
        assert_eq!(out.len(), self.view_len(), "`out` holds one view");
        scratch.reserve(&self.extent());
        let transposed = self.set_native_axes(simd, key, scratch);
        let mut program = std::mem::take(&mut scratch.program);
        let Scratch { totals, zooms, .. } = &mut *scratch;
        let means =
            |to: &mut [Affine]| native_means(self, simd, pixels, transposed, zooms, totals, to);
        let normalise = self.bands.iter().map(|(_, affine)| *affine);
        let takes_blur = |radius| {
            let mut grids = self.groups.iter().map(|group| &self.grids[group.index()]);
            grids.all(|grid| zooms.0.takes_blur(grid, radius))
        };
        let stages = &self.graph.stages;
        program.draw(stages, key, self.side(), normalise, means, takes_blur);
        scratch.program = program;
        let mut run = Run {
            augmenter: self,
            simd,
            pixels,
            key,
            transposed,
            blur: None,
            scratch,
            out,
        };
        run.actions();
    }

    /// What the operations draw for a view, in their order: `(operation, drawn parameters)`, for
    /// people.
    #[must_use]
    pub fn draws(&self, key: ViewKey) -> Vec<(String, String)> {
        let geometric = |run: &[(u32, Geometric)], side: u32, draws: &mut Vec<_>| {
            for (number, op) in run {
                let text = op.describe(OpKey::new(key, *number), side);
                draws.push((self.name(*number), text));
            }
        };
        let mut draws = Vec::new();
        geometric(&self.graph.source, GRID_SIDE, &mut draws);
        for stage in &self.graph.stages {
            match stage {
                Stage::Reframe(run) => geometric(run, self.side, &mut draws),
                Stage::Values(number, op) => {
                    let text = op.describe(self.bands(), OpKey::new(key, *number));
                    draws.push((self.name(*number), text));
                }
                Stage::Custom(number) => draws.push(self.custom[*number].describe(key)),
            }
        }
        draws
    }

    fn name(&self, number: u32) -> String {
        let op = self.operations.get(number as usize);
        op.map(Augment::name).unwrap_or_default().to_owned()
    }

    /// Weights from native pixels to the view, with the geometric operations that come first; gives
    /// whether rows become columns.
    fn set_native_axes(&self, simd: Simd, key: ViewKey, scratch: &mut Scratch) -> bool {
        let op_key = |number| OpKey::new(key, number);
        let frame = Frame::draw(&self.graph.source, op_key, GRID_SIDE, self.filter);
        let (transposed, rows, columns) = frame.axes();
        let Scratch { zooms, axes, .. } = scratch;
        zooms.0.set(&rows, GRID_SIDE, self.side);
        zooms.1.set(&columns, GRID_SIDE, self.side);
        for group in &self.groups {
            axes[group.index()].set(simd, (&zooms.0, &zooms.1), &self.grids[group.index()]);
        }
        transposed
    }

    /// The same from a view to itself.
    fn set_view_axes(
        &self,
        simd: Simd,
        run: &[(u32, Geometric)],
        key: ViewKey,
        scratch: &mut Scratch,
    ) -> bool {
        let op_key = |number| OpKey::new(key, number);
        let frame = Frame::draw(run, op_key, self.side, self.filter);
        let (transposed, rows, columns) = frame.axes();
        let Scratch { zooms, axes, .. } = scratch;
        zooms.0.set(&rows, self.side, self.side);
        zooms.1.set(&columns, self.side, self.side);
        axes[OF_VIEW].set(simd, (&zooms.0, &zooms.1), &self.view_grid);
        transposed
    }
}

fn check_shape(side: u32, bands: usize) -> Result<(), AugmentError> {
    let bad = |key: &str, found: String, expected| AugmentError::Parameter {
        key: key.to_owned(),
        op: None,
        found,
        expected,
    };
    if !(8..=240).contains(&side) {
        return Err(bad("view.side", side.to_string(), "8 to 240"));
    }
    if bands == 0 {
        return Err(bad("view.bands", "empty".to_owned(), "one band or more"));
    }
    Ok(())
}
