//! Passes with steps that need all bands at a pixel.

use std::ops::Range;

use super::{Run, STRETCH, apply, plane_len};
use crate::augment::ops::hsv;
use crate::augment::ops::pointwise::{blend, mean_over_bands, total};
use crate::augment::program::{Pass, Step};
use crate::augment::scratch::Scratch;
use crate::element::Element;
use crate::rng::NORMALS;
use crate::simd::{LANES, Row};

impl<E: Element> Run<'_, E> {
    /// A pass with steps that need all bands at a pixel: stretch by stretch, all bands of it.
    pub(super) fn across(&mut self, pass: &Pass, steps: &[Step]) {
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
            left,
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
                        left,
                    );
                }
            }
        }
        gray
    }
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
