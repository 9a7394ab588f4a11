//! A view's program, carried out.

use std::ops::Range;

use chipmill_store::PatchPixels;

use super::graph::Stage;
use super::ops::blur::{blur_columns, blur_columns_to_view, rows_for};
use super::ops::hsv;
use super::ops::noise::{self, add_noise_to_view};
use super::ops::pointwise::{blend, limit, map, mean_over_bands, total};
use super::program::{Action, Pass, Source, Step};
use super::resample::{
    Affine, Columns, Raster, along_columns, along_columns_to_view, combine, mean_of_view, stride,
};
use super::scratch::{Axes, Scratch};
use super::stream::{LARGE, line_at, write};
use super::{Augmenter, CustomView};
use crate::element::Element;
use crate::rng::{NORMALS, ViewKey};
use crate::simd::{LANES, Row, Simd, fence};

/// Pixels of every band that a pass over all bands works on at a time: with twelve bands 24 KiB.
const STRETCH: usize = 512;
/// Pixels of one band that a pass works on at a time, at least.
const BLOCK: usize = 900;
/// Rows whose sources are made at a time, where blocks are smaller.
const SPAN: usize = 40;
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

/// Rows of a span: blocks for which the rows that their columns are made from stay in the innermost cache.
fn span_rows(side: usize) -> usize {
    let rows = block_rows(side);
    rows * (SPAN / rows).max(1)
}

/// Values of a block with its porch, and of a stretch of the mean over bands.
pub(super) fn block_len(side: usize) -> usize {
    let rows = block_rows(side).min(side.next_multiple_of(NORMALS));
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
    pub(super) scratch: &'a mut Scratch,
    pub(super) out: &'a mut [E],
}

impl<'a, E: Element> Run<'a, E> {
    pub(super) fn actions(&mut self) {
        let program = std::mem::take(&mut self.scratch.program);
        self.scratch.maps.clone_from(&program.maps);
        let mut at = 0;
        while let Some(action) = program.actions.get(at) {
            match action {
                Action::GrayNative { table } => self.gray_native(*table),
                Action::Stage(stage) => self.stage(*stage),
                Action::Pass(pass) if pass.across => {
                    self.across(pass, &program.steps[pass.steps.clone()])
                }
                Action::Pass(pass) if pass.gray => {
                    self.gray(pass, &program.steps[pass.steps.clone()])
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

    fn side(&self) -> usize {
        self.augmenter.side()
    }

    fn pixels_of_plane(&self) -> usize {
        self.side() * self.side()
    }

    fn bands(&self) -> usize {
        self.augmenter.bands()
    }

    fn by_band(&mut self, passes: &[Action], steps: &[Step]) {
        let ends = |action: Option<&Action>, f: fn(&Pass) -> bool| matches!(action, Some(Action::Pass(pass)) if f(pass));
        // Bands that come from nowhere and go to the view share the memory of one.
        let alone = ends(passes.first(), |p| {
            matches!(p.source, Source::Native { .. })
        }) && ends(passes.last(), |p| p.last);
        for band in 0..self.bands() {
            for action in passes {
                if let Action::Pass(pass) = action {
                    let slot = if alone { 0 } else { band };
                    self.band(pass, &steps[pass.steps.clone()], band, slot);
                }
            }
        }
    }

    /// One pass of one band, whose plane is number `slot`.
    fn band(&mut self, pass: &Pass, steps: &[Step], band: usize, slot: usize) {
        let side = self.side();
        if let Source::Native { .. } = pass.source {
            let (raster, group) = self.raster(band);
            let Scratch { axes, resample, .. } = &mut *self.scratch;
            raster.turn(self.simd, (&axes[group].y, &axes[group].x), resample);
        }
        let (rows, mut sum) = (block_rows(side), 0.0);
        for first in (0..side).step_by(rows) {
            let block = Block {
                band,
                slot,
                rows: first..(first + rows).min(side),
            };
            self.along_rows(pass, &block);
            sum += self.block(pass, steps, &block);
        }
        if let Some(table) = pass.means {
            self.set_offset(table, band, sum);
        }
    }

    /// Prepares, where a span of blocks begins, the rows that its columns are made from.
    fn along_rows(&mut self, pass: &Pass, block: &Block) {
        let (side, first) = (self.side(), block.rows.start);
        let span = span_rows(side);
        if !first.is_multiple_of(span) {
            return;
        }
        let outputs = first..(first + span).min(side);
        match &pass.source {
            Source::Native { .. } => {
                let (raster, group) = self.raster(block.band);
                let Scratch {
                    axes,
                    resample,
                    top,
                    ..
                } = &mut *self.scratch;
                let Axes { y, x, across } = &axes[group];
                let inputs = y.inputs(outputs);
                *top = inputs.start;
                raster.along_rows(self.simd, inputs, (x, across), resample);
            }
            Source::Blur(kernel) => {
                let Scratch {
                    planes,
                    resample,
                    line,
                    ..
                } = &mut *self.scratch;
                let len = plane_len(side);
                let plane = &planes[block.slot * len..][..side * side];
                let rows = &mut resample.rows;
                rows_for(self.simd, (plane, side), kernel, outputs, span, line, rows);
            }
            Source::Planes => {}
        }
    }

    /// A band's pixels, and the number of its resolution.
    fn raster(&self, band: usize) -> (Raster<'a, u16>, usize) {
        let band = self.augmenter.bands[band].0;
        let group = band.resolution();
        let raster = Raster {
            pixels: self.pixels.band_slice(band),
            side: group.side(),
            transposed: self.transposed,
        };
        (raster, group.index())
    }

    /// Gives the sum of what comes out where the pass asks for it.
    fn block(&mut self, pass: &Pass, steps: &[Step], block: &Block) -> f64 {
        let (side, simd, bands) = (self.side(), self.simd, self.bands());
        let pixels = self.pixels_of_plane();
        let (start, end) = (block.rows.start * side, block.rows.end * side);
        let len = plane_len(side);
        let streams = size_of_val(&*self.out) >= LARGE;
        let Scratch {
            planes,
            block: memory,
            resample,
            axes,
            maps,
            top,
            ..
        } = &mut *self.scratch;
        let plane = &mut planes[block.slot * len..][..len];
        let out = if pass.last {
            &mut self.out[block.band * pixels..][..pixels]
        } else {
            &mut []
        };
        // What only passes through on its way to the view needs no plane.
        let (values, porch) = match pass.source {
            Source::Planes => (&mut plane[..], start),
            _ if pass.last => (&mut memory[..], PORCH),
            _ => (&mut plane[..], start),
        };
        match pass.source {
            Source::Native { table } => {
                let group = self.augmenter.bands[block.band].0.resolution().index();
                let columns = Columns {
                    rows: &resample.rows,
                    top: *top,
                    y: &axes[group].y,
                    map: maps[table * bands + block.band],
                    adds: false,
                };
                let rows = block.rows.clone();
                if pass.last && steps.is_empty() {
                    along_columns_to_view(simd, columns, rows, values, porch, out, streams);
                    keep_rest(values, start..end, out);
                    return 0.0;
                }
                along_columns(simd, columns, rows, &mut values[porch..]);
            }
            Source::Blur(kernel) => {
                let within = block.rows.start % span_rows(side);
                let from = &resample.rows[within * stride(side)..];
                if pass.last && steps.is_empty() {
                    let rows = block.rows.clone();
                    blur_columns_to_view(
                        simd, from, side, &kernel, rows, values, porch, out, streams,
                    );
                    keep_rest(values, start..end, out);
                    return 0.0;
                }
                blur_columns(
                    simd,
                    from,
                    side,
                    &kernel,
                    block.rows.len(),
                    &mut values[porch..],
                );
            }
            Source::Planes => {}
        }
        let mut steps = steps;
        let mut noise = None;
        if pass.last
            && let Some((Step::Noise { std, key }, before)) = steps.split_last()
        {
            steps = before;
            noise = Some((*std, *key));
        }
        let whole = (end - start).next_multiple_of(NORMALS);
        let count = whole.min(values.len() - porch);
        for step in steps {
            let values = values[porch..][..count].as_chunks_mut().0;
            apply(simd, step, values, block.band, (start, pixels), maps, bands);
        }
        if let Some((std, key)) = noise {
            let first = first_normals(block.band, start, pixels);
            add_noise_to_view(
                simd,
                values,
                porch,
                std,
                key,
                first,
                start..end,
                out,
                streams,
            );
            if porch == PORCH {
                keep_rest(values, start..end, out);
            }
            return 0.0;
        }
        if pass.last {
            let (from, to) = (line_at(out, start), line_at(out, end));
            let lines = &values[porch + from - start..][..to - from];
            write(simd, lines, &mut out[from..to], streams);
            if porch == PORCH {
                keep_rest(values, start..end, out);
            }
        }
        if pass.means.is_some() {
            return total(simd, &values[porch..][..end - start]);
        }
        0.0
    }

    fn set_offset(&mut self, table: usize, band: usize, sum: f64) {
        let pixels = self.pixels_of_plane() as f64;
        let map = &mut self.scratch.maps[table * self.augmenter.bands() + band];
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mean = (sum / pixels) as f32;
        map.offset = (1.0 - map.gain) * mean;
    }

    /// A pass over the one band that stands for all, or that makes all bands from it.
    fn gray(&mut self, pass: &Pass, steps: &[Step]) {
        if let Some((Step::Spread, steps)) = steps.split_first() {
            return self.spread(pass, steps);
        }
        let kept = Pass {
            last: false,
            ..pass.clone()
        };
        self.band(&kept, steps, 0, 0);
        if pass.last {
            for band in 0..self.bands() {
                self.write_plane(0, band, 0..self.pixels_of_plane());
            }
        }
    }

    fn spread(&mut self, pass: &Pass, steps: &[Step]) {
        let len = plane_len(self.side());
        // The first band is changed last: it is what the others are made from.
        for band in (0..self.bands()).rev() {
            // On its way to the view every band but the first can use the second's memory.
            let slot = if pass.last { band.min(1) } else { band };
            self.scratch.planes.copy_within(..len, slot * len);
            self.band(pass, steps, band, slot);
        }
    }

    fn write_plane(&mut self, slot: usize, band: usize, pixels: Range<usize>) {
        let count = self.pixels_of_plane();
        let streams = size_of_val(&*self.out) >= LARGE;
        let out = &mut self.out[band * count..][..count];
        let (from, to) = (line_at(out, pixels.start), line_at(out, pixels.end));
        let plane = &self.scratch.planes[slot * plane_len(self.augmenter.side())..];
        write(self.simd, &plane[from..to], &mut out[from..to], streams);
    }

    /// A pass with steps that need all bands at a pixel: stretch by stretch, all bands of it.
    fn across(&mut self, pass: &Pass, steps: &[Step]) {
        let (bands, pixels) = (self.bands(), self.pixels_of_plane());
        let mut gray = pass.gray;
        if let Some(sums) = pass.means.map(|_| &mut self.scratch.sums) {
            sums.clear();
            sums.resize(bands, 0.0);
        }
        for start in (0..pixels).step_by(STRETCH) {
            let end = (start + STRETCH).min(pixels);
            gray = pass.gray;
            for step in steps {
                gray = self.across_step(step, start..end, gray);
            }
            let kept = if gray { 1 } else { bands };
            if pass.means.is_some() {
                let len = plane_len(self.side());
                for band in 0..kept {
                    let values = &self.scratch.planes[band * len..][start..end];
                    self.scratch.sums[band] += total(self.simd, values);
                }
            }
            if pass.last {
                for band in 0..bands {
                    self.write_plane(if gray { 0 } else { band }, band, start..end);
                }
            }
        }
        if let Some(table) = pass.means {
            for band in 0..if gray { 1 } else { bands } {
                self.set_offset(table, band, self.scratch.sums[band]);
            }
        }
    }

    /// Gives whether the first band stands for all after the step.
    fn across_step(&mut self, step: &Step, stretch: Range<usize>, gray: bool) -> bool {
        let (simd, bands, pixels) = (self.simd, self.bands(), self.pixels_of_plane());
        let len = plane_len(self.side()) / LANES;
        let rows = stretch.start / LANES..stretch.end.next_multiple_of(NORMALS) / LANES;
        let Scratch {
            planes,
            block,
            maps,
            ..
        } = &mut *self.scratch;
        let planes = planes.as_chunks_mut::<LANES>().0;
        let mean = &mut block.as_chunks_mut().0[..rows.len()];
        match *step {
            Step::Blend { factor, range } => {
                mean_over_bands(simd, planes, len, rows.start, mean);
                for plane in planes.chunks_exact_mut(len) {
                    blend(simd, &mut plane[rows.clone()], mean, factor, range);
                }
            }
            Step::Saturate { factor, range } => {
                if let Some(rgb) = three(planes, len, &rows) {
                    hsv::saturate(simd, rgb, factor, range);
                }
            }
            Step::Rotate { turn, range } => {
                if let Some(rgb) = three(planes, len, &rows) {
                    hsv::rotate(simd, rgb, turn, range);
                }
            }
            Step::Gray => {
                mean_over_bands(simd, planes, len, rows.start, mean);
                planes[rows].copy_from_slice(mean);
                return true;
            }
            Step::Spread => {
                for band in 1..bands {
                    planes.copy_within(rows.clone(), band * len + rows.start);
                }
                return false;
            }
            Step::Map { .. } | Step::Limit(_) | Step::Noise { .. } => {
                let kept = if gray { 1 } else { bands };
                for (band, plane) in planes.chunks_exact_mut(len).enumerate().take(kept) {
                    let values = &mut plane[rows.clone()];
                    apply(
                        simd,
                        step,
                        values,
                        band,
                        (stretch.start, pixels),
                        maps,
                        bands,
                    );
                }
            }
        }
        gray
    }

    /// The mean over bands, taken at each resolution before that is resampled.
    fn gray_native(&mut self, table: usize) {
        let (simd, bands, side) = (self.simd, self.bands(), self.side());
        let share = 1.0 / bands as f32;
        let maps = &self.scratch.maps[table * bands..][..bands];
        let offsets = maps.iter().map(|m| f64::from(m.offset)).sum::<f64>();
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mut offset = (offsets / bands as f64) as f32;
        let mut combined = std::mem::take(&mut self.scratch.line);
        for (g, &group) in self.augmenter.groups.iter().enumerate() {
            let native = group.side() * group.side();
            combined.resize(combined.len().max(native), 0.0);
            let mut adds = false;
            for ((band, _), map) in self.augmenter.bands.iter().zip(maps) {
                if band.resolution() == group {
                    let source = self.pixels.band_slice(*band);
                    combine(
                        simd,
                        source,
                        map.gain * share,
                        adds,
                        &mut combined[..native],
                    );
                    adds = true;
                }
            }
            let Axes { y, x, across } = &self.scratch.axes[group.index()];
            let raster = Raster {
                pixels: &combined[..native],
                side: group.side(),
                transposed: self.transposed,
            };
            let buffers = &mut self.scratch.resample;
            raster.turn(simd, (y, x), buffers);
            let inputs = y.all_inputs();
            raster.along_rows(simd, inputs.clone(), (x, across), buffers);
            let columns = Columns {
                rows: &buffers.rows,
                top: inputs.start,
                y,
                map: Affine { gain: 1.0, offset },
                adds: g > 0,
            };
            let plane = &mut self.scratch.planes[..plane_len(side)];
            along_columns(simd, columns, 0..side, plane);
            offset = 0.0;
        }
        self.scratch.line = combined;
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
        let transposed = self.augmenter.set_view_axes(run, self.key, self.scratch);
        let Axes { y, x, across } = &self.scratch.axes[super::OF_VIEW];
        for plane in self.scratch.planes.chunks_exact_mut(len) {
            let raster = Raster {
                pixels: &plane[..side * side],
                side,
                transposed,
            };
            let buffers = &mut self.scratch.resample;
            raster.turn(self.simd, (y, x), buffers);
            let inputs = y.all_inputs();
            raster.along_rows(self.simd, inputs.clone(), (x, across), buffers);
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

/// Moves the values of a block that did not fill a cache line of `out` to the end of the porch, where
/// the next block follows on them.
fn keep_rest<E>(block: &mut [f32], pixels: Range<usize>, out: &[E]) {
    let rest = pixels.end - line_at(out, pixels.end);
    let end = PORCH + pixels.len();
    block.copy_within(end - rest..end, PORCH - rest);
}

/// Some rows of one band.
struct Block {
    band: usize,
    /// Number of its plane in memory.
    slot: usize,
    rows: Range<usize>,
}

fn is_by_band(action: &Action) -> bool {
    matches!(action, Action::Pass(pass) if !pass.across && !pass.gray)
}

/// The same rows of three planes.
fn three<'a>(
    planes: &'a mut [Row<f32>],
    len: usize,
    rows: &Range<usize>,
) -> Option<[&'a mut [Row<f32>]; 3]> {
    let mut planes = planes
        .chunks_exact_mut(len)
        .map(|plane| &mut plane[rows.clone()]);
    Some([planes.next()?, planes.next()?, planes.next()?])
}

/// A step on single values: those of one band from pixel `start` on.
fn apply(
    simd: Simd,
    step: &Step,
    values: &mut [Row<f32>],
    band: usize,
    (start, pixels): (usize, usize),
    maps: &[Affine],
    bands: usize,
) {
    match *step {
        Step::Map { table, range } => map(simd, values, maps[table * bands + band], range),
        Step::Limit(range) => limit(simd, values, range),
        Step::Noise { std, key } => {
            noise::add_noise(simd, values, std, key, first_normals(band, start, pixels));
        }
        _ => {}
    }
}

/// The block of normal numbers of a band's pixel `start`: every band begins a new block.
fn first_normals(band: usize, start: usize, pixels: usize) -> u32 {
    let first = band * pixels.div_ceil(NORMALS) + start / NORMALS;
    u32::try_from(first).unwrap_or(u32::MAX)
}

/// The means of the bands of the resampled view, before any map, into the offsets of `means`.
pub(super) fn native_means(
    augmenter: &Augmenter,
    simd: Simd,
    pixels: &PatchPixels,
    transposed: bool,
    axes: &[Axes; 4],
    totals: &mut [f32],
    means: &mut [Affine],
) {
    let count = augmenter.side() * augmenter.side();
    let (rows, columns) = totals.split_at_mut(totals.len() / 2);
    for &group in &augmenter.groups {
        let Axes { y, x, .. } = &axes[group.index()];
        y.totals(if transposed {
            &mut *columns
        } else {
            &mut *rows
        });
        x.totals(if transposed {
            &mut *rows
        } else {
            &mut *columns
        });
        for ((band, _), mean) in augmenter.bands.iter().zip(&mut *means) {
            if band.resolution() == group {
                let source = pixels.band_slice(*band);
                mean.offset = mean_of_view(simd, source, group.side(), rows, columns, count);
            }
        }
    }
}
