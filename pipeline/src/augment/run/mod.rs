//! A view's program, carried out.

mod across;
mod block;
mod by_band;
mod gray;

use std::ops::Range;

use chipmill_store::PatchPixels;

use super::graph::Stage;
use super::ops::blur::HalfKernel;
use super::ops::noise::{Noise, add_noise};
use super::ops::pointwise::{limit, map};
use super::program::{Action, Step};
use super::resample::{
    Affine, BANDS_AT_ONCE, Columns, Grid, Raster, Zoom, along_columns, means_of_view, stride,
};
use super::scratch::{Axes, Scratch};
use super::stream::{LARGE, line_at, write};
use super::{Augmenter, CustomView};
use crate::element::Element;
use crate::rng::{Left, NORMALS, NORMALS_RUN, ViewKey};
use crate::simd::{LANES, Row, Simd, fence};

/// Pixels of every band that a pass over all bands works on at a time: with twelve bands 24 KiB.
const STRETCH: usize = 512;
/// Pixels of one band that a pass works on at a time, at least.
const BLOCK: usize = 7_200;
/// Rows that go straight to the view at a time: few enough for the rows that they are made from to stay in the
/// innermost cache.
const DIRECT: usize = 32;
/// Before a block there is room for the values that did not fill a cache line with those before them.
const PORCH: usize = 64;

/// Values from one plane to the next: whole blocks of normal numbers, with room for vectors that reach
/// beyond the last row.
pub(super) fn plane_len(side: usize) -> usize {
    (side * (side - 1) + stride(side)).next_multiple_of(NORMALS)
}

/// Rows of a block: so many that its pixels are whole blocks of normal numbers, and not too few.
fn block_rows(side: usize) -> usize {
    let unit = NORMALS >> side.trailing_zeros().min(NORMALS.trailing_zeros());
    unit * BLOCK.div_ceil(unit * side).max(1)
}

/// Values of a block with its porch, and of a stretch of the mean over bands.
pub(super) fn block_len(side: usize) -> usize {
    let rows = block_rows(side)
        .max(DIRECT)
        .min(side.next_multiple_of(NORMALS));
    PORCH
        + (rows * side + 2 * LANES)
            .next_multiple_of(NORMALS)
            .max(STRETCH)
}

/// One view being rendered.
pub(super) struct Run<'a, E> {
    pub(super) augmenter: &'a Augmenter,
    pub(super) simd: Simd,
    pub(super) pixels: &'a PatchPixels,
    pub(super) key: ViewKey,
    pub(super) transposed: bool,
    /// What the resampling has taken in.
    pub(super) blur: Option<HalfKernel>,
    pub(super) scratch: &'a mut Scratch,
    pub(super) out: &'a mut [E],
}

impl<'a, E: Element> Run<'a, E> {
    pub(super) fn actions(&mut self) {
        let program = std::mem::take(&mut self.scratch.program);
        self.scratch.maps.clone_from(&program.maps);
        self.blur = program.blur;
        self.take_in_blur();
        let mut at = 0;
        while let Some(action) = program.actions.get(at) {
            match action {
                Action::GrayNative {
                    table,
                    contrast,
                    last,
                } => self.gray_native(*table, *contrast, *last),
                Action::Stage(stage) => self.stage(*stage),
                Action::Pass(pass) if pass.across => {
                    self.across(pass, &program.steps[pass.steps.clone()]);
                }
                Action::Pass(pass) if pass.gray => {
                    self.gray(pass, &program.steps[pass.steps.clone()]);
                }
                Action::Pass(_) => {
                    // Band by band, each through all passes while it is in cache.
                    let count = program.actions[at..]
                        .iter()
                        .take_while(|a| is_by_band(a))
                        .count();
                    self.by_band(&program.actions[at..at + count], &program.steps);
                    at += count - 1;
                }
            }
            at += 1;
        }
        // Streaming stores are not ordered with those that tell another thread that a batch is ready.
        fence(self.simd);
        self.scratch.program = program;
    }

    /// Folds a blur into the weights along columns. Along rows it is done to the native rows, which are fewer than
    /// those of the view.
    fn take_in_blur(&mut self) {
        let Some(kernel) = self.blur else {
            return;
        };
        for group in &self.augmenter.groups {
            let Scratch { axes, line, .. } = &mut *self.scratch;
            let Axes { y, blurred, .. } = &mut axes[group.index()];
            blurred.set_blurred(self.simd, y, kernel.weights(), group.side(), line);
        }
    }

    fn side(&self) -> usize {
        self.augmenter.side()
    }

    fn pixels_of_plane(&self) -> usize {
        self.side() * self.side()
    }

    fn bands(&self) -> usize {
        self.augmenter.bands()
    }

    fn set_offset(&mut self, table: usize, band: usize, sum: f64) {
        let pixels = self.pixels_of_plane() as f64;
        let map = &mut self.scratch.maps[table * self.augmenter.bands() + band];
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mean = (sum / pixels) as f32;
        map.offset = (1.0 - map.gain) * mean;
    }

    /// Whether the view is written past the caches.
    fn streams(&self) -> bool {
        size_of_val(&*self.out) >= LARGE
    }

    fn write_plane(&mut self, slot: usize, band: usize, pixels: Range<usize>) {
        let count = self.pixels_of_plane();
        let streams = self.streams();
        let out = &mut self.out[band * count..][..count];
        let (from, to) = (line_at(out, pixels.start), line_at(out, pixels.end));
        let plane = &self.scratch.planes[slot * plane_len(self.augmenter.side())..];
        write(self.simd, &plane[from..to], &mut out[from..to], streams);
    }

    fn stage(&mut self, stage: usize) {
        match &self.augmenter.graph.stages[stage] {
            Stage::Reframe(run) => self.reframe(run),
            Stage::Custom(number) => {
                let side = self.side();
                let mut view = CustomView::new(&mut self.scratch.planes, side, plane_len(side));
                self.augmenter.custom[*number].apply(self.key, &mut view);
            }
            Stage::Values(..) => {}
        }
    }

    /// Geometric operations on the view itself.
    fn reframe(&mut self, run: &super::frame::GeometricRun) {
        let (side, len) = (self.side(), plane_len(self.side()));
        let transposed = self
            .augmenter
            .set_view_axes(self.simd, run, self.key, self.scratch);
        let Axes { y, x, across, .. } = &self.scratch.axes[super::OF_VIEW];
        for plane in self.scratch.planes.chunks_exact_mut(len) {
            let raster = Raster {
                pixels: &plane[..side * side],
                side,
                transposed,
            };
            let buffers = &mut self.scratch.resample;
            raster.turn(self.simd, (y, x), buffers);
            let inputs = y.all_inputs();
            raster.along_rows(self.simd, inputs.clone(), (x, across), buffers, 0);
            let columns = Columns {
                rows: &buffers.rows,
                top: inputs.start,
                y,
                map: Affine::IDENTITY,
                adds: false,
            };
            along_columns(self.simd, columns, 0..side, plane);
        }
    }
}

fn is_by_band(action: &Action) -> bool {
    matches!(action, Action::Pass(pass) if !pass.across && !pass.gray)
}

/// A step on single values: those of one band from pixel `start` on.
fn apply(
    simd: Simd,
    step: &Step,
    values: &mut [Row<f32>],
    band: usize,
    (start, pixels): (usize, usize),
    maps: &[Affine],
    left: &mut [Left],
) {
    let bands = left.len();
    match *step {
        Step::Map { table, range } => map(simd, values, maps[table * bands + band], range),
        Step::Limit(range) => limit(simd, values, range),
        Step::Noise { std, key } => {
            let first = first_normals(band, start, pixels);
            add_noise(simd, values, Noise { std, key, first }, &mut left[band]);
        }
        _ => {}
    }
}

/// The block of normal numbers of a band's pixel `start`: every band begins with a new seed, so that where rows
/// are taken sixteen at a time no blocks are drawn only to be passed over.
fn first_normals(band: usize, start: usize, pixels: usize) -> u32 {
    let blocks = pixels.div_ceil(NORMALS);
    let first = band * blocks.next_multiple_of(NORMALS_RUN as usize) + start / NORMALS;
    u32::try_from(first).unwrap_or(u32::MAX)
}

/// How often each native row and column counts in a view.
fn native_weights<'a>(
    (y, x): &(Zoom, Zoom),
    grid: &Grid,
    transposed: bool,
    totals: &'a mut [f32],
) -> (&'a [f32], &'a [f32]) {
    let (rows, columns) = totals.split_at_mut(totals.len() / 2);
    // A turned view's rows are made from columns.
    let (of_rows, of_columns) = if transposed { (x, y) } else { (y, x) };
    grid.totals(of_rows, rows);
    grid.totals(of_columns, columns);
    (rows, columns)
}

/// The means of the bands of the resampled view, before any map, into the offsets of `means`.
pub(super) fn native_means(
    augmenter: &Augmenter,
    simd: Simd,
    pixels: &PatchPixels,
    transposed: bool,
    zooms: &(Zoom, Zoom),
    totals: &mut [f32],
    means: &mut [Affine],
) {
    let count = augmenter.side() * augmenter.side();
    for &group in &augmenter.groups {
        let (rows, columns) =
            native_weights(zooms, &augmenter.grids[group.index()], transposed, totals);
        let mut places = augmenter.places(group);
        loop {
            let mut bands = [(0, &[][..]); BANDS_AT_ONCE];
            let mut taken = 0;
            for (to, place) in bands.iter_mut().zip(places.by_ref()) {
                *to = (place, pixels.band_slice(augmenter.bands[place].0));
                taken += 1;
            }
            if taken == 0 {
                break;
            }
            let bands = &bands[..taken];
            let found = means_of_view(simd, bands, group.side(), rows, columns, count);
            for ((place, _), mean) in bands.iter().zip(found) {
                means[*place].offset = mean;
            }
        }
    }
}
