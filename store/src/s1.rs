//! Sentinel-1 beside the Sentinel-2 groups: an array of its own, whose chunks may be absent.
//!
//! It lies apart from the code that reads and writes the groups, which is as fast without it as with it.

mod fetch;
mod writer;

use chipmill_schemas::manifest::Codec;
use chipmill_schemas::s1::{Polarisation, S1_LEN, S1_SIDE};
use ndarray::ArrayView3;

use crate::codec::{self, ChunkError, PixelEncoder};
use crate::error::WriteError;

pub(crate) use fetch::S1Shards;
pub use writer::S1ShardWriter;

const AREA: usize = S1_SIDE * S1_SIDE;

/// The Sentinel-1 pixels of one patch.
///
/// # Shapes
/// `[polarisation, y, x]`, `[2, 120, 120]` of `f32`, decibels as read; VV, then VH. Row 0 is the
/// northernmost, column 0 the westernmost.
#[derive(Debug, Clone, PartialEq)]
pub struct S1Pixels {
    values: Box<[f32]>,
}

impl S1Pixels {
    /// All values NaN: no Sentinel-1, or a buffer to read into.
    #[must_use]
    pub fn absent() -> Self {
        Self {
            values: vec![f32::NAN; S1_LEN].into_boxed_slice(),
        }
    }

    /// All pixels, `[polarisation, y, x]`.
    #[must_use]
    pub fn view(&self) -> ArrayView3<'_, f32> {
        let shape = (Polarisation::ALL.len(), S1_SIDE, S1_SIDE);
        match ArrayView3::from_shape(shape, &self.values) {
            Ok(view) => view,
            Err(_) => unreachable!("the slice has as many values as its shape asks for"),
        }
    }

    /// All values in C order.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values in C order, to be filled.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// The values of one polarisation in C order.
    #[must_use]
    pub fn slice(&self, polarisation: Polarisation) -> &[f32] {
        &self.values[polarisation.index() * AREA..][..AREA]
    }

    /// The values of one polarisation in C order, to be filled.
    pub fn slice_mut(&mut self, polarisation: Polarisation) -> &mut [f32] {
        &mut self.values[polarisation.index() * AREA..][..AREA]
    }

    /// The pixels as plain bytes with a checksum, so that they can be spooled.
    ///
    /// # Errors
    /// None that can happen: nothing is compressed.
    pub fn to_bytes(&self, into: &mut Vec<u8>) -> Result<(), WriteError> {
        into.clear();
        PixelEncoder::new(Codec::None).append_s1(&self.values, into)?;
        Ok(())
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote; its checksum is compared.
    ///
    /// # Errors
    /// [`ChunkError`] when the length is another or the checksum does not hold.
    pub fn fill_from(&mut self, bytes: &mut [u8]) -> Result<(), ChunkError> {
        codec::decode_s1(Codec::None, bytes, &mut self.values)
    }
}

impl Default for S1Pixels {
    fn default() -> Self {
        Self::absent()
    }
}

/// Compresses Sentinel-1 patches. One may serve any number of threads.
#[derive(Debug)]
pub struct S1Encoder(PixelEncoder);

impl S1Encoder {
    /// An encoder for stores of that codec.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self(PixelEncoder::new(codec))
    }

    /// Puts the chunk of one patch, with its crc32c, in place of what `into` holds; the same pixels
    /// always give the same bytes.
    ///
    /// # Errors
    /// [`WriteError::Chunk`] when the compression library fails.
    pub fn encode(&self, pixels: &S1Pixels, into: &mut Vec<u8>) -> Result<(), WriteError> {
        into.clear();
        Ok(self.0.append_s1(pixels.values(), into)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spooled_pixels_come_back_to_the_bit_and_damaged_ones_are_refused() {
        let mut pixels = S1Pixels::absent();
        pixels.slice_mut(Polarisation::VH)[7] = -19.25;
        let mut bytes = Vec::new();
        pixels.to_bytes(&mut bytes).unwrap();
        let mut back = S1Pixels::absent();
        back.fill_from(&mut bytes).unwrap();
        let bits = |p: &S1Pixels| p.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&pixels));
        assert_eq!(back.view()[[1, 0, 7]], -19.25);
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(back.fill_from(&mut damaged).is_err(), "byte {at}");
        }
        assert!(back.fill_from(&mut bytes[..1000]).is_err());
    }
}
