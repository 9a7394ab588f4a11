//! From the pixels of a patch to three compressed chunks.

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;

use crate::codec::{self, ChunkEncoder, ChunkError};
use crate::error::WriteError;
use crate::pixels::PatchPixels;

/// Compresses patches. One may serve any number of threads.
#[derive(Debug)]
pub struct PatchEncoder {
    chunks: ChunkEncoder,
}

impl PatchEncoder {
    /// An encoder for stores of that codec.
    ///
    /// # Errors
    /// [`WriteError::Chunk`] when the compression library does not know the codec.
    pub fn new(codec: Codec) -> Result<Self, WriteError> {
        let chunks = ChunkEncoder::pixels(codec)?;
        Ok(Self { chunks })
    }

    /// Compresses one patch; the same pixels always give the same bytes.
    ///
    /// # Errors
    /// [`WriteError::Chunk`] when the compression library fails.
    pub fn encode(&self, pixels: &PatchPixels) -> Result<EncodedPatch, WriteError> {
        let mut patch = EncodedPatch::default();
        for resolution in Resolution::ALL {
            let values = pixels.group_slice(resolution);
            patch.chunks[resolution.index()] = self.chunks.encode_pixels(resolution, values)?;
        }
        Ok(patch)
    }
}

/// One patch as three chunks, each with its crc32c, ready to go into shards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncodedPatch {
    chunks: [Vec<u8>; 3],
}

impl EncodedPatch {
    /// Bytes of the three chunks.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.chunks.iter().map(Vec::len).sum()
    }

    /// The chunk of one group.
    #[must_use]
    pub fn chunk(&self, resolution: Resolution) -> &[u8] {
        &self.chunks[resolution.index()]
    }

    /// The patch as plain bytes, so that it can be spooled: three lengths as `u32` (little endian, 10 m
    /// first), then the chunks.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.bytes());
        for chunk in &self.chunks {
            // A chunk holds at most 115,200 pixels' bytes and a small overhead.
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            bytes.extend_from_slice(&length.to_le_bytes());
        }
        self.chunks.iter().for_each(|c| bytes.extend_from_slice(c));
        bytes
    }

    /// The patch that [`to_bytes`](Self::to_bytes) wrote; every chunk's checksum is compared.
    ///
    /// # Errors
    /// [`ChunkError`] when the lengths do not fit the bytes or a checksum does not hold.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ChunkError> {
        let Some((header, mut rest)) = bytes.split_at_checked(HEADER) else {
            return Err(ChunkError::TooShort { found: bytes.len() });
        };
        let mut patch = Self::default();
        for (chunk, length) in patch.chunks.iter_mut().zip(header.as_chunks::<4>().0) {
            let length = u32::from_le_bytes(*length) as usize;
            let Some((head, tail)) = rest.split_at_checked(length) else {
                return Err(ChunkError::Length {
                    found: rest.len(),
                    expected: length,
                });
            };
            codec::checked(head)?;
            *chunk = head.to_vec();
            rest = tail;
        }
        if rest.is_empty() {
            Ok(patch)
        } else {
            Err(ChunkError::Length {
                found: bytes.len(),
                expected: bytes.len() - rest.len(),
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
        PatchEncoder::new(Codec::Lz4)
            .unwrap()
            .encode(&pixels)
            .unwrap()
    }

    #[test]
    fn a_spooled_patch_comes_back_whole() {
        let patch = encoded();
        assert_eq!(EncodedPatch::from_bytes(&patch.to_bytes()).unwrap(), patch);
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
