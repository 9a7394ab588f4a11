//! From the pixels of a patch to three compressed chunks.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chipmill_schemas::band::{PATCH_BYTES, Resolution};
use chipmill_schemas::manifest::Codec;

use crate::codec::{self, ChunkError, PixelEncoder};
use crate::error::WriteError;
use crate::pixels::PatchPixels;

/// Compresses patches. One may serve any number of threads.
#[derive(Debug)]
pub struct PatchEncoder {
    chunks: PixelEncoder,
    /// Patches that were written: their memory serves the next ones, so that the system need not give
    /// and zero new pages for every patch. Never more than were in flight at once.
    spent: Mutex<Vec<EncodedPatch>>,
}

impl PatchEncoder {
    /// An encoder for stores of that codec.
    #[must_use]
    pub fn new(codec: Codec) -> Self {
        Self {
            chunks: PixelEncoder::new(codec),
            spent: Mutex::default(),
        }
    }

    /// Compresses one patch; the same pixels always give the same bytes.
    ///
    /// # Errors
    /// [`WriteError::Chunk`] when the compression library fails.
    pub fn encode(&self, pixels: &PatchPixels) -> Result<EncodedPatch, WriteError> {
        let mut patch = self.spent().pop().unwrap_or_default();
        patch.bytes.clear();
        patch.bytes.reserve(PATCH_BYTES);
        for resolution in Resolution::ALL {
            let values = pixels.group_slice(resolution);
            self.chunks.append(resolution, values, &mut patch.bytes)?;
            patch.ends[resolution.index()] = patch.bytes.len();
        }
        Ok(patch)
    }

    /// Takes back a patch that is written, for the sake of its memory.
    pub fn recycle(&self, patch: EncodedPatch) {
        self.spent().push(patch);
    }

    /// Gives the memory of recycled patches back to the allocator: no more are to come for a while.
    pub fn forget_recycled(&self) {
        *self.spent() = Vec::new();
    }

    fn spent(&self) -> MutexGuard<'_, Vec<EncodedPatch>> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One patch as three chunks, each with its crc32c, ready to go into shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedPatch {
    /// The chunks, 10 m first.
    bytes: Vec<u8>,
    /// Where each chunk ends.
    ends: [usize; 3],
}

impl EncodedPatch {
    /// Bytes of the three chunks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The chunk of one group.
    #[must_use]
    pub fn chunk(&self, resolution: Resolution) -> &[u8] {
        &self.bytes[self.range(resolution.index())]
    }

    fn range(&self, group: usize) -> Range<usize> {
        let start = group.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[group]
    }

    /// The patch as plain bytes, so that it can be spooled: three lengths as `u32` (little endian, 10 m
    /// first), then the chunks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.bytes.len());
        for group in 0..self.ends.len() {
            // A chunk holds at most 115,200 pixels' bytes and a small overhead.
            let length = u32::try_from(self.range(group).len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    /// The patch that [`to_bytes`](Self::to_bytes) wrote; every chunk's checksum is compared.
    ///
    /// # Errors
    /// [`ChunkError`] when the lengths do not fit the bytes or a checksum does not hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        let Some((header, chunks)) = bytes.split_at_checked(HEADER) else {
            return Err(ChunkError::TooShort { found: bytes.len() });
        };
        let (mut ends, mut start) = ([0_usize; 3], 0_usize);
        for (end, length) in ends.iter_mut().zip(header.as_chunks::<4>().0) {
            let length = u32::from_le_bytes(*length) as usize;
            *end = start.saturating_add(length);
            let found = chunks.len() - start;
            let cut = ChunkError::Length {
                found,
                expected: length,
            };
            codec::checked(chunks.get(start..*end).ok_or(cut)?)?;
            start = *end;
        }
        if start == chunks.len() {
            let bytes = chunks.to_vec();
            Ok(Self { bytes, ends })
        } else {
            Err(ChunkError::Length {
                found: bytes.len(),
                expected: HEADER + start,
            })
        }
    }
}

const HEADER: usize = 3 * size_of::<u32>();

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> EncodedPatch {
        let mut pixels = PatchPixels::zeroed();
        pixels.group_slice_mut(Resolution::M60)[5] = 9;
        PatchEncoder::new(Codec::Lz4).encode(&pixels).unwrap()
    }

    #[test]
    fn a_spooled_patch_comes_back_whole() {
        let patch = encoded();
        assert_eq!(EncodedPatch::from_bytes(&patch.to_bytes()).unwrap(), patch);
    }

    #[test]
    fn a_recycled_patch_leaves_nothing_in_the_next_one() {
        for codec in [Codec::Lz4, Codec::Zstd, Codec::None] {
            let encoder = PatchEncoder::new(codec);
            let mut noise = PatchPixels::zeroed();
            for (value, code) in noise
                .group_slice_mut(Resolution::M10)
                .iter_mut()
                .zip(0u16..)
            {
                *value = code.wrapping_mul(40_503);
            }
            let flat = PatchPixels::zeroed();
            let expected = encoder.encode(&flat).unwrap();
            encoder.recycle(encoder.encode(&noise).unwrap());
            assert_eq!(encoder.encode(&flat).unwrap(), expected);
        }
    }

    #[test]
    fn a_damaged_spool_is_refused_at_every_byte() {
        let bytes = encoded().to_bytes();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(EncodedPatch::from_bytes(&damaged).is_err(), "byte {at}");
            assert!(
                EncodedPatch::from_bytes(&bytes[..at]).is_err(),
                "cut at {at}"
            );
        }
    }
}
