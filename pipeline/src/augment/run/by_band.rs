//! Passes that take each band for itself.

use std::ops::Range;

use super::{DIRECT, PORCH, Run, apply, block_rows, first_normals, plane_len};
use crate::augment::GRID_SIDE;
use crate::augment::ops::blur::{
    HalfKernel, blur_along_rows, blur_columns, blur_columns_to_view, blur_rows,
};
use crate::augment::ops::noise::{add_noise_to_view, stream_noisy};
use crate::augment::ops::pointwise::total;
use crate::augment::program::{Action, Pass, Source, Step};
use crate::augment::resample::{
    Affine, Columns, Raster, SHARP, Taps, along_columns, along_columns_to_view, stride,
};
use crate::augment::scratch::{Axes, Scratch};
use crate::augment::stream::{line_at, write};
use crate::element::Element;
use crate::rng::{Left, NORMALS, OpKey};
use crate::simd::{Row, Simd};

impl<'a, E: Element> Run<'a, E> {
    pub(super) fn by_band(&mut self, passes: &[Action], steps: &[Step]) {
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
    pub(super) fn band(&mut self, pass: &Pass, steps: &[Step], band: usize, slot: usize) {
        let side = self.side();
        if let Source::Native { .. } = pass.source {
            let (raster, group) = self.raster(band);
            let Scratch { axes, resample, .. } = &mut *self.scratch;
            let y = axes[group].along_columns(self.blur.is_some());
            raster.turn(self.simd, (y, &axes[group].x), resample);
        }
        let is_direct =
            pass.last && steps.is_empty() && matches!(pass.source, Source::Native { .. });
        let rows = match is_direct && self.blur.is_none() {
            true => DIRECT,
            false => block_rows(side),
        };
        let mut sum = 0.0;
        for first in (0..side).step_by(rows) {
            let block = Block {
                band,
                slot,
                rows: first..(first + rows).min(side),
                step: rows,
            };
            match (&pass.source, &self.blur) {
                (Source::Native { table }, &Some(kernel)) => {
                    self.blurred_rows(*table, &kernel, &block);
                }
                _ => self.along_rows(pass, &block),
            }
            sum += self.block(pass, steps, &block);
        }
        if let Some(table) = pass.means {
            self.set_offset(table, band, sum);
        }
    }

    /// Prepares the rows that columns are made from: of a raster where a span of blocks begins, of a blur all at
    /// once, since each is needed for many outputs.
    fn along_rows(&mut self, pass: &Pass, block: &Block) {
        let (side, first) = (self.side(), block.rows.start);
        let (raster, group) = self.raster(block.band);
        // Native rows are fewer than outputs by as much.
        let span = block.step * (GRID_SIDE as usize / raster.side);
        match &pass.source {
            Source::Native { .. } if first.is_multiple_of(span) => {
                let Scratch {
                    axes,
                    resample,
                    top,
                    ..
                } = &mut *self.scratch;
                let Axes { y, x, across, .. } = &axes[group];
                let inputs = y.inputs(first..(first + span).min(side));
                *top = inputs.start;
                raster.along_rows(self.simd, inputs, (x, across), resample, 0);
            }
            Source::Blur(kernel) if first == 0 => {
                let Scratch {
                    planes,
                    resample,
                    line,
                    ..
                } = &mut *self.scratch;
                let len = plane_len(side);
                let plane = &planes[block.slot * len..][..side * side];
                blur_along_rows(self.simd, plane, side, kernel, line, &mut resample.rows);
            }
            _ => {}
        }
    }

    /// The native rows of a band, resampled and blurred along themselves and multiplied by the gain of its map: all at
    /// once, since each is needed for many outputs.
    fn blurred_rows(&mut self, table: usize, kernel: &HalfKernel, block: &Block) {
        if block.rows.start > 0 {
            return;
        }
        let (simd, side) = (self.simd, self.side());
        let (raster, group) = self.raster(block.band);
        let gain = self.scratch.maps[table * self.bands() + block.band].gain;
        let Scratch {
            axes,
            resample,
            line,
            top,
            ..
        } = &mut *self.scratch;
        let Axes {
            blurred, x, across, ..
        } = &axes[group];
        let (inputs, stride) = (blurred.all_inputs(), stride(side));
        *top = inputs.start;
        let sharp_at = inputs.len() * stride;
        for first in inputs.clone().step_by(SHARP) {
            let rows = first..(first + SHARP).min(inputs.end);
            let (to, count) = ((first - inputs.start) * stride, rows.len());
            raster.along_rows(simd, rows, (x, across), resample, sharp_at);
            let (blurred, sharp) = resample.rows.split_at_mut(sharp_at);
            let sharp = (&sharp[..count * stride], stride);
            blur_rows(simd, sharp, side, kernel, gain, line, &mut blurred[to..]);
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
        let (simd, pixels) = (self.simd, self.pixels_of_plane());
        let (mut target, inputs, left) = self.target(pass, block);
        if inputs.fill(
            simd,
            pass,
            block,
            pass.last && steps.is_empty(),
            &mut target,
        ) {
            return 0.0;
        }
        let (noise, steps) = match steps.split_last() {
            Some((&Step::Noise { std, key }, before)) if pass.last => (Some((std, key)), before),
            _ => (None, steps),
        };
        let start = target.pixels.start;
        for step in steps {
            let values = target.rows();
            apply(
                simd,
                step,
                values,
                block.band,
                (start, pixels),
                inputs.maps,
                left,
            );
        }
        match noise {
            Some((std, key)) => {
                let first = first_normals(block.band, start, pixels);
                target.noise(simd, std, key, first, &mut left[block.band]);
            }
            None if pass.last => target.write(simd),
            None => {}
        }
        if pass.means.is_some() {
            return total(simd, target.values());
        }
        0.0
    }

    /// What a block is made from and where it goes, and where the bands' normal numbers were left.
    fn target(&mut self, pass: &Pass, block: &Block) -> (Target<'_, E>, Inputs<'_>, &mut [Left]) {
        let (side, bands, pixels) = (self.side(), self.bands(), self.pixels_of_plane());
        let own = block.rows.start * side..block.rows.end * side;
        let streams = self.streams();
        let group = self.augmenter.bands[block.band].0.resolution().index();
        let out = match pass.last {
            true => &mut self.out[block.band * pixels..][..pixels],
            false => &mut [],
        };
        let Scratch {
            planes,
            block: memory,
            resample,
            axes,
            maps,
            top,
            left,
            ..
        } = &mut *self.scratch;
        let len = plane_len(side);
        // What only passes through on its way to the view needs no plane.
        let passes_through = pass.last && !matches!(pass.source, Source::Planes);
        let (memory, first) = if passes_through {
            (&mut memory[..], PORCH)
        } else {
            (&mut planes[block.slot * len..][..len], own.start)
        };
        let target = Target {
            memory,
            first,
            pixels: own,
            out,
            streams,
            passes_through,
        };
        let inputs = Inputs {
            rows: &resample.rows,
            top: *top,
            y: axes[group].along_columns(self.blur.is_some()),
            is_mapped: self.blur.is_some(),
            side,
            maps,
            bands,
        };
        (target, inputs, left)
    }
}

/// Some rows of one band.
struct Block {
    band: usize,
    /// Number of its plane in memory.
    slot: usize,
    rows: Range<usize>,
    /// Rows from one block to the next.
    step: usize,
}

/// What the columns of a block are made from.
struct Inputs<'a> {
    rows: &'a [f32],
    /// Native row that `rows` begins with.
    top: usize,
    y: &'a Taps,
    /// The gain is in the rows.
    is_mapped: bool,
    side: usize,
    maps: &'a [Affine],
    bands: usize,
}

impl Inputs<'_> {
    fn columns(&self, table: usize, block: &Block) -> Columns<'_> {
        let mut map = self.maps[table * self.bands + block.band];
        if self.is_mapped {
            map.gain = 1.0;
        }
        Columns {
            rows: self.rows,
            top: self.top,
            y: self.y,
            map,
            adds: false,
        }
    }

    /// Makes the block's values; with `at_once` writes them to the view, too, and says so.
    fn fill<E: Element>(
        &self,
        simd: Simd,
        pass: &Pass,
        block: &Block,
        at_once: bool,
        target: &mut Target<'_, E>,
    ) -> bool {
        let rows = block.rows.clone();
        let at_once = at_once && target.passes_through;
        let Target {
            memory,
            first,
            out,
            streams,
            ..
        } = &mut *target;
        let (first, streams) = (*first, *streams);
        match &pass.source {
            Source::Planes => {}
            Source::Native { table } => {
                let columns = self.columns(*table, block);
                if at_once {
                    along_columns_to_view(simd, columns, rows, memory, first, out, streams);
                } else {
                    along_columns(simd, columns, rows, &mut memory[first..]);
                }
            }
            Source::Blur(kernel) => {
                let from = &self.rows[rows.start * stride(self.side)..];
                let side = self.side;
                if at_once {
                    blur_columns_to_view(
                        simd, from, side, kernel, rows, memory, first, out, streams,
                    );
                } else {
                    blur_columns(simd, from, side, kernel, rows.len(), &mut memory[first..]);
                }
            }
        }
        if at_once {
            target.keep_rest();
        }
        at_once
    }
}

/// Where a block of one band is, and where in the view it goes.
struct Target<'a, E> {
    memory: &'a mut [f32],
    /// Where in `memory` the block begins.
    first: usize,
    pixels: Range<usize>,
    /// The band of the view, empty where the pass does not give it.
    out: &'a mut [E],
    streams: bool,
    /// The memory is a porch and a block, used again for the next; else it is the band's plane.
    passes_through: bool,
}

impl<E: Element> Target<'_, E> {
    fn values(&self) -> &[f32] {
        &self.memory[self.first..][..self.pixels.len()]
    }

    /// The values in whole blocks of normal numbers.
    fn rows(&mut self) -> &mut [Row<f32>] {
        let values = &mut self.memory[self.first..];
        let whole = self.pixels.len().next_multiple_of(NORMALS);
        let count = whole.min(values.len());
        values[..count].as_chunks_mut().0
    }

    fn noise(&mut self, simd: Simd, std: f32, key: OpKey, first: u32, left: &mut Left) {
        let pixels = self.pixels.clone();
        let (memory, out) = (&mut *self.memory, &mut *self.out);
        let values = &memory[self.first..][..pixels.len()];
        let to = &mut out[pixels.clone()];
        if self.streams && stream_noisy(simd, values, std, key, first, left, to) {
            return;
        }
        add_noise_to_view(
            simd,
            memory,
            self.first,
            std,
            key,
            first,
            left,
            pixels,
            out,
            self.streams,
        );
        self.keep_rest();
    }

    fn write(&mut self, simd: Simd) {
        let Range { start, end } = self.pixels;
        let (from, to) = (line_at(self.out, start), line_at(self.out, end));
        let values = &self.memory[self.first + from - start..][..to - from];
        write(simd, values, &mut self.out[from..to], self.streams);
        self.keep_rest();
    }

    /// Moves the values that did not fill a cache line of the view to the end of the porch, where the next
    /// block follows on them.
    fn keep_rest(&mut self) {
        if self.passes_through {
            let rest = self.pixels.end - line_at(self.out, self.pixels.end);
            let end = PORCH + self.pixels.len();
            self.memory.copy_within(end - rest..end, PORCH - rest);
        }
    }
}
