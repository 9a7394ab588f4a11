//! Views whose bands are equal, and passes from the one band that stands for all.

use chipmill_schemas::band::Resolution;

use super::{Run, first_normals, native_weights, plane_len};
use crate::augment::ops::blur::{blur_along_rows, blur_columns_to_bands, goes_to_bands};
use crate::augment::ops::noise::{Noise, stream_noisy};
use crate::augment::program::{Pass, Source, Step};
use crate::augment::resample::{
    Affine, BANDS_AT_ONCE, Columns, Raster, along_columns, combine, gray_to_view, stride,
};
use crate::augment::scratch::{Axes, Scratch};
use crate::element::Element;

impl<E: Element> Run<'_, E> {
    /// A pass over the one band that stands for all, or that makes all bands from it.
    pub(super) fn gray(&mut self, pass: &Pass, steps: &[Step]) {
        if let Some((Step::Spread, steps)) = steps.split_first() {
            return self.spread(pass, steps);
        }
        if pass.last && steps.is_empty() && self.stream_blurred(pass) {
            return;
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

    /// Writes a gray view that is blurred last, where it is streamed; else says so.
    fn stream_blurred(&mut self, pass: &Pass) -> bool {
        let Source::Blur(kernel) = &pass.source else {
            return false;
        };
        let (simd, side) = (self.simd, self.side());
        if !self.streams() || !goes_to_bands(side, kernel, self.out) {
            return false;
        }
        let Scratch {
            planes,
            block,
            resample,
            line,
            ..
        } = &mut *self.scratch;
        let rows = &mut resample.rows;
        blur_along_rows(simd, &planes[..side * side], side, kernel, line, rows);
        blur_columns_to_bands(simd, rows, side, kernel, block, self.out);
        true
    }

    fn spread(&mut self, pass: &Pass, steps: &[Step]) {
        let len = plane_len(self.side());
        // The first band is changed last: it is what the others are made from.
        for band in (0..self.bands()).rev() {
            if pass.last && self.stream_spread(steps, band) {
                continue;
            }
            // On its way to the view every band but the first can use the second's memory.
            let slot = if pass.last { band.min(1) } else { band };
            self.scratch.planes.copy_within(..len, slot * len);
            self.band(pass, steps, band, slot);
        }
    }

    /// Writes a band of a gray view to which nothing but noise is added, where nothing needs to be kept for that; else
    /// says so.
    fn stream_spread(&mut self, steps: &[Step], band: usize) -> bool {
        let &[Step::Noise { std, key }] = steps else {
            return false;
        };
        let (streams, pixels) = (self.streams(), self.pixels_of_plane());
        let Scratch { planes, left, .. } = &mut *self.scratch;
        let (plane, left) = (&planes[..pixels], &mut left[band]);
        let out = &mut self.out[band * pixels..][..pixels];
        let first = first_normals(band, 0, pixels);
        streams && stream_noisy(self.simd, plane, Noise { std, key, first }, left, out)
    }

    /// The mean over bands, taken at each resolution before that is resampled.
    pub(super) fn gray_native(&mut self, table: usize, contrast: Option<usize>, last: bool) {
        let (side, bands, streams) = (self.side(), self.bands(), self.streams());
        let mut starts = [0; Resolution::ALL.len()];
        let mut at = 0;
        for (start, group) in starts.iter_mut().zip(&self.augmenter.groups) {
            *start = at;
            at += self.gray_rows(*group, table, contrast, at);
        }
        let maps = (0..bands).map(|band| self.gray_map(table, contrast, band));
        let offsets = maps.map(|map| f64::from(map.offset)).sum::<f64>();
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mut offset = (offsets / bands as f64) as f32;
        let Scratch {
            axes,
            resample,
            planes,
            ..
        } = &mut *self.scratch;
        let mut all = [None; Resolution::ALL.len()];
        for ((columns, start), group) in all.iter_mut().zip(starts).zip(&self.augmenter.groups) {
            let y = &axes[group.index()].y;
            *columns = Some(Columns {
                rows: &resample.rows[start..],
                top: y.all_inputs().start,
                y,
                map: Affine { gain: 1.0, offset },
                adds: start > 0,
            });
            offset = 0.0;
        }
        if last && streams && gray_to_view(self.simd, &all, side, planes, self.out) {
            return;
        }
        for columns in all.iter().flatten() {
            along_columns(self.simd, *columns, 0..side, planes);
        }
        if last {
            for band in 0..self.bands() {
                self.write_plane(0, band, 0..self.pixels_of_plane());
            }
        }
    }

    /// The map of a band of a gray view.
    fn gray_map(&self, table: usize, contrast: Option<usize>, band: usize) -> Affine {
        let map = |table| self.scratch.maps[table * self.bands() + band];
        match contrast {
            Some(contrast) => map(table).contrasted(map(contrast)),
            None => map(table),
        }
    }

    /// The weighted sum of the bands of one resolution, resampled along rows, into the rows from value `at` on; gives
    /// how many values they are.
    fn gray_rows(
        &mut self,
        group: Resolution,
        table: usize,
        contrast: Option<usize>,
        at: usize,
    ) -> usize {
        self.combine(group, table, contrast);
        let Scratch {
            axes,
            resample,
            line,
            ..
        } = &mut *self.scratch;
        let Axes { y, x, across, .. } = &axes[group.index()];
        let raster = Raster {
            pixels: &line[..group.side() * group.side()],
            side: group.side(),
            transposed: self.transposed,
        };
        let inputs = y.all_inputs();
        raster.turn(self.simd, (y, x), resample);
        raster.along_rows(self.simd, inputs.clone(), (x, across), resample, at);
        inputs.len() * stride(y.starts.len())
    }

    /// The weighted sum of the bands of one resolution, into the line. The means of the bands become offsets of the
    /// contrast's table.
    fn combine(&mut self, group: Resolution, table: usize, contrast: Option<usize>) {
        let (augmenter, count, native) = (self.augmenter, self.bands(), group.side());
        let total = self.pixels_of_plane();
        let mut places = augmenter.places(group).peekable();
        let mut adds = false;
        while places.peek().is_some() {
            let mut bands = [(0.0, &[][..]); BANDS_AT_ONCE];
            let mut own = [0; BANDS_AT_ONCE];
            let mut taken = 0;
            for ((to, own), place) in bands.iter_mut().zip(&mut own).zip(places.by_ref()) {
                // A contrast's factor is known before the mean that it is about.
                let gain = self.gray_map(table, contrast, place).gain;
                let source = self.pixels.band_slice(augmenter.bands[place].0);
                *to = (gain * (1.0 / count as f32), source);
                *own = place;
                taken += 1;
            }
            let bands = &bands[..taken];
            let Scratch {
                zooms,
                maps,
                line,
                totals,
                ..
            } = &mut *self.scratch;
            let weights = native_weights(
                zooms,
                &augmenter.grids[group.index()],
                self.transposed,
                totals,
            );
            let to = &mut line[..native * native];
            let means = combine(self.simd, bands, native, weights, total, adds, to);
            adds = true;
            if let Some(contrast) = contrast {
                for (place, mean) in own[..taken].iter().zip(means) {
                    maps[contrast * count + place].offset = mean;
                }
            }
        }
    }
}
