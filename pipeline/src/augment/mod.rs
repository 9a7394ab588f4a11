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
//! | `gaussian_noise` | if `u < p`: plus independent `N(0, std²)` on every pixel and band |
//! | `drop_color` | if `u < p`: every band becomes the plain mean over the view's bands |
//! | `band_drop` | every band on its own becomes 0 if `u < p` |
//! | `clip` | to `min..=max` |
//!
//! The preset `notes` differs from its TensorFlow original in: blur mirrors at borders (the original
//! pads with zeros: `border = "zero"`); saturation and hue are those of `model = "bands"`, which exists
//! for any number of bands (`model = "hsv"` for three); brightness and contrast share one factor over
//! the bands (`scope = "shared"`, where the original's contrast and brightness do too).
//!
//! # Determinism
//! A view is a function of pixels, configuration and [`ViewKey`], and the same to the last bit on
//! every machine: random numbers come from counters, no mathematical function of the C library is
//! called, and sums have a fixed order.

mod check;
mod crop;
mod error;
mod frame;
mod graph;
mod normalise;
mod ops;
mod orientation;
#[cfg(test)]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "images of a few pixels"
)]
mod reference;
mod resample;
mod scratch;
#[cfg(test)]
mod tests;

use chipmill_schemas::augment::{Augment, Filter};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::ViewConfig;
use chipmill_schemas::statistics::SetStatistics;
use chipmill_store::PatchPixels;

pub use error::AugmentError;
pub use scratch::Scratch;

use self::frame::{Frame, Geometric};
use self::graph::{Graph, Stage};
use self::resample::{Affine, Grid, Taps, resample};
use crate::element::Element;
use crate::rng::{OpKey, ViewKey};

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
    graph: Graph,
    names: Vec<&'static str>,
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
        let affine = |band| Ok((band, normalise::affine(config.normalise, band, statistics)?));
        let grid = |resolution: Resolution| {
            let native = u32::try_from(resolution.side()).unwrap_or(GRID_SIDE);
            Grid::new(native, GRID_SIDE, config.upsample)
        };
        let is_needed = |&r: &Resolution| bands.iter().any(|b| b.resolution() == r);
        Ok(Self {
            graph: Graph::compile(&operations, bands.len())?,
            side: config.side,
            filter: config.upsample,
            grids: Resolution::ALL.map(grid),
            view_grid: Grid::new(config.side, config.side, Filter::Nearest),
            groups: Resolution::ALL.into_iter().filter(is_needed).collect(),
            names: operations.iter().map(Augment::name).collect(),
            bands: bands.into_iter().map(affine).collect::<Result<_, _>>()?,
        })
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

    /// Bytes that a [`Scratch`] may come to hold.
    #[must_use]
    pub fn scratch_bytes(&self) -> usize {
        let side = self.side().max(GRID_SIDE as usize) + 32;
        // Turned source, rows between the two passes, blur, one band's copy, and weights of 4 x 2 axes.
        let planes = 4 * side * side;
        let weights = 8 * side * 20;
        (planes + weights + self.view_len()) * size_of::<f32>()
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
        assert_eq!(out.len(), self.view_len(), "`out` holds one view");
        scratch.reserve(self.side(), self.side().max(GRID_SIDE as usize));
        self.bring(pixels, key, scratch, out);
        for stage in &self.graph.stages {
            match stage {
                Stage::Reframe(run) => self.reframe(run, key, scratch, out),
                Stage::Values(number, op) => {
                    let key = OpKey::new(key, *number);
                    op.apply(out, self.side(), key, &mut scratch.blur);
                }
            }
        }
    }

    /// [`Self::render`] into values of any [`Element`]: `f32`, `f16` or `bf16`.
    ///
    /// A loader with batches in half precision keeps slots of that type and calls this in place of
    /// `render`; key, draws and scratch are the same.
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
        assert_eq!(out.len(), self.view_len(), "`out` holds one view");
        let mut view = std::mem::take(&mut scratch.view);
        view.resize(self.view_len(), 0.0);
        self.render(pixels, key, scratch, &mut view);
        for (element, value) in out.iter_mut().zip(&view) {
            *element = E::from_f32(*value);
        }
        scratch.view = view;
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
            }
        }
        draws
    }

    fn name(&self, number: u32) -> String {
        let name = self.names.get(number as usize);
        name.copied().unwrap_or_default().to_owned()
    }

    /// From native pixels to the normalised view, with the geometric operations that come first.
    fn bring(&self, pixels: &PatchPixels, key: ViewKey, scratch: &mut Scratch, out: &mut [f32]) {
        let op_key = |number| OpKey::new(key, number);
        let frame = Frame::draw(&self.graph.source, op_key, GRID_SIDE, self.filter);
        let (transposed, y, x) = frame.axes();
        for group in &self.groups {
            let grid = &self.grids[group.index()];
            let (rows, columns) = &mut scratch.taps[group.index()];
            rows.set(&y, grid, self.side);
            columns.set(&x, grid, self.side);
        }
        let planes = out.chunks_exact_mut(self.side() * self.side());
        for (&(band, affine), plane) in self.bands.iter().zip(planes) {
            let group = band.resolution();
            let (rows, columns) = &scratch.taps[group.index()];
            resample(
                pixels.band_slice(band),
                group.side(),
                transposed,
                (rows, columns),
                affine,
                &mut scratch.resample,
                plane,
            );
        }
    }

    /// Geometric operations on the view itself.
    fn reframe(
        &self,
        run: &[(u32, Geometric)],
        key: ViewKey,
        scratch: &mut Scratch,
        out: &mut [f32],
    ) {
        let frame = Frame::draw(
            run,
            |number| OpKey::new(key, number),
            self.side,
            self.filter,
        );
        let (transposed, y, x) = frame.axes();
        let Scratch {
            taps,
            resample: buffers,
            image,
            ..
        } = scratch;
        let (rows, columns): &mut (Taps, Taps) = &mut taps[OF_VIEW];
        rows.set(&y, &self.view_grid, self.side);
        columns.set(&x, &self.view_grid, self.side);
        for plane in out.chunks_exact_mut(self.side() * self.side()) {
            image.clear();
            image.extend_from_slice(plane);
            let taps = (&*rows, &*columns);
            resample(
                image,
                self.side(),
                transposed,
                taps,
                Affine::IDENTITY,
                buffers,
                plane,
            );
        }
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
