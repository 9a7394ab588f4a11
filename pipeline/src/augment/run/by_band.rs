//! Passes that take each band for itself.

use super::block::{Block, Inputs, Target};
use super::{DIRECT, PORCH, Run, apply, block_rows, first_normals, plane_len};
use crate::augment::GRID_SIDE;
use crate::augment::ops::blur::{HalfKernel, blur_along_rows, blur_rows};
use crate::augment::ops::noise::Noise;
use crate::augment::ops::pointwise::total;
use crate::augment::program::{Action, Pass, Source, Step};
use crate::augment::resample::{Raster, SHARP, stride};
use crate::augment::scratch::{Axes, Scratch};
use crate::element::Element;
use crate::rng::Left;

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
        if self.stream_noisy(pass, steps, band) {
            return;
        }
        let is_direct =
            pass.last && steps.is_empty() && matches!(pass.source, Source::Native { .. });
        let rows = match is_direct && self.blur.is_none() {
            true => DIRECT,
            false => block_rows(side),
        };
        let (mut sum, mut ready) = (0.0, 0);
        for first in (0..side).step_by(rows) {
            let block = Block {
                band,
                slot,
                rows: first..(first + rows).min(side),
                step: rows,
            };
            if first >= ready {
                ready = self.prepare(pass, &block);
            }
            sum += self.block(pass, steps, &block);
        }
        if let Some(table) = pass.means {
            self.set_offset(table, band, sum);
        }
    }

    /// Makes a band that gets noise and nothing else, and writes it to the view, where that is streamed; else says so.
    fn stream_noisy(&mut self, pass: &Pass, steps: &[Step], band: usize) -> bool {
        let (&Source::Native { table }, &[Step::Noise { std, key }]) = (&pass.source, steps) else {
            return false;
        };
        let (simd, side) = (self.simd, self.side());
        let first = first_normals(band, 0, self.pixels_of_plane());
        let block = Block {
            band,
            slot: 0,
            rows: 0..side,
            step: side,
        };
        let (mut target, inputs, _) = self.target(pass, &block);
        if !inputs.goes_to_lines(table, &block, &mut target) {
            return false;
        }
        self.prepare(pass, &block);
        let (mut target, inputs, left) = self.target(pass, &block);
        let noise = Noise { std, key, first };
        inputs.stream_noisy(simd, table, &block, noise, &mut left[band], &mut target);
        true
    }

    /// Makes the rows that the columns of a block are made from, and maybe of others behind it: gives the first row of
    /// the view that is left out.
    fn prepare(&mut self, pass: &Pass, block: &Block) -> usize {
        let side = self.side();
        match (&pass.source, &self.blur) {
            (Source::Native { table }, &Some(kernel)) => {
                self.blurred_rows(*table, &kernel, block.band);
                side
            }
            (Source::Native { .. }, None) => self.native_rows(block),
            (Source::Blur(kernel), _) => {
                let Scratch {
                    planes,
                    resample,
                    line,
                    ..
                } = &mut *self.scratch;
                let len = plane_len(side);
                let plane = &planes[block.slot * len..][..side * side];
                blur_along_rows(self.simd, plane, side, kernel, line, &mut resample.rows);
                side
            }
            (Source::Planes, _) => side,
        }
    }

    /// Native rows of as many blocks as there are fewer of them than of the view's.
    fn native_rows(&mut self, block: &Block) -> usize {
        let (raster, group) = self.raster(block.band);
        let first = block.rows.start;
        let end = (first + block.step * (GRID_SIDE as usize / raster.side)).min(self.side());
        let Scratch {
            axes,
            resample,
            top,
            ..
        } = &mut *self.scratch;
        let Axes { y, x, across, .. } = &axes[group];
        let inputs = y.inputs(first..end);
        *top = inputs.start;
        raster.along_rows(self.simd, inputs, (x, across), resample, 0);
        end
    }

    /// The native rows of a band, resampled and blurred along themselves and multiplied by the gain of its map: all at
    /// once, since each is needed for many outputs.
    fn blurred_rows(&mut self, table: usize, kernel: &HalfKernel, band: usize) {
        let (simd, side) = (self.simd, self.side());
        let (raster, group) = self.raster(band);
        let gain = self.scratch.maps[table * self.bands() + band].gain;
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
    #[inline(always)]
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
                target.noise(simd, Noise { std, key, first }, &mut left[block.band]);
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
    #[inline(always)]
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
