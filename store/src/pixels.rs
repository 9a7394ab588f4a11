//! One patch at native resolution.

use chipmill_schemas::band::{Band, PATCH_BYTES, Resolution};
use ndarray::{ArrayView2, ArrayView3};
use std::ops::Range;

use crate::codec::CRC_BYTES;
use crate::widen;

const LEN: usize = PATCH_BYTES / size_of::<u16>();

/// Values behind each group that a stored chunk may spill over while it is read: its checksum.
pub(crate) const SPILL: usize = CRC_BYTES / size_of::<u16>();

/// The pixels of one patch: 80,000 values in three groups, always whole.
///
/// # Shapes
/// Three groups `[band, y, x]` of `u16`, digital numbers as read (reflectance x 10,000, 0..=65,535):
/// `10m` `[4, 120, 120]` (B02 B03 B04 B08), `20m` `[6, 60, 60]` (B05 B06 B07 B8A B11 B12) and `60m`
/// `[2, 20, 20]` (B01 B09).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchPixels {
    /// The groups, and [`SPILL`] zeros.
    values: Box<[u16]>,
}

impl PatchPixels {
    /// All values 0: a buffer to read into.
    #[must_use]
    pub fn zeroed() -> Self {
        Self {
            values: vec![0; LEN + SPILL].into_boxed_slice(),
        }
    }

    /// One resolution group, `[band, y, x]`.
    #[must_use]
    pub fn group(&self, resolution: Resolution) -> ArrayView3<'_, u16> {
        let side = resolution.side();
        let shape = (resolution.bands().len(), side, side);
        view(ArrayView3::from_shape(shape, self.group_slice(resolution)))
    }

    /// The values of one group in C order.
    #[must_use]
    pub fn group_slice(&self, resolution: Resolution) -> &[u16] {
        &self.values[group_range(resolution)]
    }

    /// The values of one group in C order, to be filled.
    pub fn group_slice_mut(&mut self, resolution: Resolution) -> &mut [u16] {
        &mut self.values[group_range(resolution)]
    }

    /// A group to be filled, and [`SPILL`] values behind it that have to be put back.
    pub(crate) fn group_and_spill_mut(&mut self, resolution: Resolution) -> &mut [u16] {
        let group = group_range(resolution);
        &mut self.values[group.start..group.end + SPILL]
    }

    /// The values of the groups as `f32`, one group after the other, into a place of a batch. The place
    /// is not drawn into the processor's caches: a batch is larger than they are.
    ///
    /// # Shapes
    /// `into` takes 80,000 values: `10m`, `20m` and `60m`, each `[band, y, x]` in C order, digital
    /// numbers 0.0..=65,535.0. Where it is shorter or longer the rest is left out or left alone.
    pub fn write_f32(&self, into: &mut [f32]) {
        widen::stream(&self.values[..LEN], into);
    }

    /// One band, `[y, x]`, at its native resolution.
    #[must_use]
    pub fn band(&self, band: Band) -> ArrayView2<'_, u16> {
        let side = band.resolution().side();
        view(ArrayView2::from_shape((side, side), self.band_slice(band)))
    }

    /// The values of one band in C order.
    #[must_use]
    #[inline]
    pub fn band_slice(&self, band: Band) -> &[u16] {
        &self.values[band_range(band)]
    }

    /// The values of one band in C order, to be filled.
    pub fn band_slice_mut(&mut self, band: Band) -> &mut [u16] {
        &mut self.values[band_range(band)]
    }
}

impl Default for PatchPixels {
    fn default() -> Self {
        Self::zeroed()
    }
}

const fn group_range(resolution: Resolution) -> Range<usize> {
    const AFTER_10M: usize = Resolution::M10.chunk_len();
    const AFTER_20M: usize = AFTER_10M + Resolution::M20.chunk_len();
    match resolution {
        Resolution::M10 => 0..AFTER_10M,
        Resolution::M20 => AFTER_10M..AFTER_20M,
        Resolution::M60 => AFTER_20M..LEN,
    }
}

/// Where each band lies, in the order of [`Band::ALL`]: asked many times a view.
static BAND_RANGES: [Range<usize>; Band::ALL.len()] = {
    let mut ranges = [const { 0..0 }; _];
    let mut i = 0;
    while i < ranges.len() {
        let band = Band::ALL[i];
        let pixels = band.resolution().side().pow(2);
        let start = group_range(band.resolution()).start + band.index_in_group() * pixels;
        ranges[i] = start..start + pixels;
        i += 1;
    }
    ranges
};

fn band_range(band: Band) -> Range<usize> {
    let Range { start, end } = BAND_RANGES[band.index()];
    start..end
}

fn view<V>(made: Result<V, ndarray::ShapeError>) -> V {
    match made {
        Ok(view) => view,
        Err(_) => unreachable!("the slice has as many values as its shape asks for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_tile_the_patch_without_gap_or_overlap() {
        let mut pixels = PatchPixels::zeroed();
        for (band, code) in Band::ALL.into_iter().zip(1u16..) {
            assert!(pixels.band_slice(band).iter().all(|&v| v == 0));
            pixels.band_slice_mut(band).fill(code);
        }
        assert!(pixels.values[..LEN].iter().all(|&v| v > 0));
        assert_eq!(pixels.values[LEN..], [0; SPILL]);
    }

    #[test]
    fn a_patch_becomes_f32_in_the_order_of_its_groups() {
        let mut pixels = PatchPixels::zeroed();
        pixels.group_slice_mut(Resolution::M10)[1] = u16::MAX;
        pixels.group_slice_mut(Resolution::M60)[799] = 7;
        let mut floats = vec![-1.0; LEN + 1];
        pixels.write_f32(&mut floats);
        assert_eq!(
            (floats[0], floats[1], floats[LEN - 1]),
            (0.0, 65_535.0, 7.0)
        );
        assert_eq!(floats[LEN], -1.0);
    }

    #[test]
    fn a_band_is_the_same_alone_and_in_its_group() {
        let mut pixels = PatchPixels::zeroed();
        for (value, code) in pixels.values.iter_mut().zip((0u16..=u16::MAX).cycle()) {
            *value = code;
        }
        for band in Band::ALL {
            let group = pixels.group(band.resolution());
            let in_group = group.index_axis(ndarray::Axis(0), band.index_in_group());
            assert_eq!(in_group, pixels.band(band));
            assert_eq!(pixels.band(band).as_slice(), Some(pixels.band_slice(band)));
        }
    }
}
