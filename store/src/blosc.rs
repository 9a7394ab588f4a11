//! Blosc frames decoded into the caller's slice (`docs/adr/0011-reading-in-place.md`).
//!
//! zarrs decodes into a vector of its own: an allocation and a copy for every chunk. And two thirds of
//! the time go into c-blosc's inverse bit shuffle, so only LZ4 is left to it.

mod encode;

use std::cell::RefCell;
use std::ffi::c_void;

use blosc_src::{blosc_cbuffer_validate, blosc_decompress_ctx};

use crate::bitshuffle;
use crate::codec::{ChunkError, blosc_error};

pub(crate) use encode::encode;

// Bytes of a frame's header, and flags in it (c-blosc's README_CHUNK_FORMAT).
const FLAGS: usize = 2;
const TYPE_SIZE: usize = 3;
const BLOCK_SIZE: usize = 8;
const BYTE_SHUFFLED: u8 = 0x01;
const COPIED: u8 = 0x02;
const BIT_SHUFFLED: u8 = 0x04;

/// Decodes a frame whose content must be exactly as long as `target`. A flag of the frame is changed
/// on the way.
///
/// # Errors
/// [`ChunkError::Length`] for a frame of another length, [`ChunkError::Codec`] for what is no frame.
/// `target` may then hold anything.
pub(crate) fn decode(frame: &mut [u8], target: &mut [u8]) -> Result<(), ChunkError> {
    let expected = target.len();
    let found = content_len(frame).ok_or_else(|| blosc_error("the header is not valid"))?;
    if found != expected {
        return Err(ChunkError::Length { found, expected });
    }
    match planes_of(frame) {
        Some(block) => decode_planes(frame, block, target),
        None => decompress(frame, target),
    }
}

/// The length of a block, where the blocks hold the bit planes of two-byte elements.
fn planes_of(frame: &[u8]) -> Option<usize> {
    let kind = frame[FLAGS] & (BYTE_SHUFFLED | COPIED | BIT_SHUFFLED);
    let (block, _) = frame[BLOCK_SIZE..].split_first_chunk::<4>()?;
    let block = usize::try_from(i32::from_le_bytes(*block)).ok()?;
    (kind == BIT_SHUFFLED && frame[TYPE_SIZE] == 2 && block >= 2).then_some(block)
}

/// Without its flag c-blosc takes a frame for one that was never shuffled, and gives the bit planes.
fn decode_planes(frame: &mut [u8], block: usize, target: &mut [u8]) -> Result<(), ChunkError> {
    thread_local! {
        static PLANES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    frame[FLAGS] &= !BIT_SHUFFLED;
    PLANES.with_borrow_mut(|planes| {
        if planes.len() < target.len() {
            planes.resize(target.len(), 0);
        }
        let planes = &mut planes[..target.len()];
        decompress(frame, planes)?;
        for (planes, target) in planes.chunks(block).zip(target.chunks_mut(block)) {
            bitshuffle::unshuffle(planes, target);
        }
        Ok(())
    })
}

/// Decompresses a frame that [`content_len`] has accepted and whose content is as long as `target`.
fn decompress(frame: &[u8], target: &mut [u8]) -> Result<(), ChunkError> {
    let expected = target.len();
    match usize::try_from(call(frame, target)) {
        Ok(found) if found == expected => Ok(()),
        Ok(found) => Err(ChunkError::Length { found, expected }),
        Err(_) => Err(blosc_error("the frame is corrupt")),
    }
}

/// Length of the content that a frame's header tells, if the header fits the frame.
fn content_len(frame: &[u8]) -> Option<usize> {
    let mut content = 0;
    #[expect(unsafe_code, reason = "a C function (ADR 0011)")]
    // SAFETY: the pointer and the length are those of one slice, which the function only reads:
    // nothing when it is shorter than a header, else the header's 16 bytes. It writes one `usize`.
    let status =
        unsafe { blosc_cbuffer_validate(frame.as_ptr().cast(), frame.len(), &raw mut content) };
    (status == 0).then_some(content)
}

/// Decompresses on this thread; gives the number of bytes, or a negative number.
fn call(frame: &[u8], target: &mut [u8]) -> i32 {
    // The call is sound for these alone; everything that leads here has checked it already.
    if content_len(frame) != Some(target.len()) {
        return -1;
    }
    let (source, len) = (frame.as_ptr().cast::<c_void>(), target.len());
    #[expect(unsafe_code, reason = "a C function (ADR 0011)")]
    // SAFETY: `frame` has a whole header whose compressed length is `frame.len()`, and c-blosc checks
    // every offset and length in it against that one, so it reads nothing behind the slice. It writes
    // at most `len` bytes, those of `target`, which nobody else sees meanwhile. With one thread it
    // starts none and keeps no global state.
    unsafe {
        blosc_decompress_ctx(source, target.as_mut_ptr().cast(), len, 1)
    }
}

#[cfg(test)]
mod tests {
    use chipmill_schemas::band::Resolution;
    use chipmill_schemas::manifest::Codec;
    use proptest::prelude::*;
    use zarrs::array::codec::blosc_decompress_bytes;

    use super::*;
    use crate::codec::{PixelEncoder, checked};

    fn frame(group: Resolution, values: &[u16]) -> Vec<u8> {
        let (encoder, mut chunk) = (PixelEncoder::new(Codec::Lz4), Vec::new());
        encoder.append(group, values, &mut chunk).unwrap();
        checked(&chunk).unwrap().to_vec()
    }

    proptest! {
        #[test]
        fn a_frame_gives_the_bytes_that_zarrs_gives(noise in 0u16..=u16::MAX, seed in any::<u16>()) {
            let value = |i: u16| i.wrapping_mul(40_503).rotate_left(5).wrapping_add(seed) & noise;
            let values: Vec<u16> = (0u16..800).map(value).collect();
            let mut frame = frame(Resolution::M60, &values);
            let zarrs = blosc_decompress_bytes(&frame, 1600, 1).unwrap();
            let mut target = vec![0xA5; 1600];
            decode(&mut frame, &mut target).unwrap();
            prop_assert_eq!(&target, &zarrs);
            prop_assert_eq!(target, bytemuck::cast_slice::<u16, u8>(&values));
        }

        /// Without the chunk's checksum in front of it, as nothing else would protect the C code.
        #[test]
        fn a_damaged_frame_never_writes_beyond_its_target(at in 0usize..1000, bits in 1u8..=255, cut in 0usize..1000) {
            let mut frame = frame(Resolution::M60, &(0..800).map(|i| i / 3).collect::<Vec<u16>>());
            let at = at % frame.len();
            frame[at] ^= bits;
            frame.truncate(frame.len() - cut % frame.len() / 8);
            let mut guarded = vec![0xA5; 1600 + 64];
            let _ = decode(&mut frame, &mut guarded[..1600]);
            prop_assert!(guarded[1600..].iter().all(|&b| b == 0xA5));
        }
    }

    /// Several blocks, the last one shorter, as zarrs' own decoder sees them.
    #[test]
    fn every_group_gives_the_bytes_that_zarrs_gives() {
        for resolution in Resolution::ALL {
            let value = |i: u16| (i / 5).wrapping_mul(7) ^ i.wrapping_mul(40_503) >> 9;
            let values: Vec<u16> = (0..=u16::MAX)
                .cycle()
                .map(value)
                .take(resolution.chunk_len())
                .collect();
            let mut frame = frame(resolution, &values);
            let zarrs = blosc_decompress_bytes(&frame, values.len() * 2, 1).unwrap();
            let mut target = vec![0; values.len() * 2];
            decode(&mut frame, &mut target).unwrap();
            assert!(target == zarrs && target == bytemuck::cast_slice::<u16, u8>(&values));
        }
    }

    #[test]
    fn a_header_that_lies_about_its_lengths_is_refused() {
        let good = frame(Resolution::M60, &[7; 800]);
        for (at, what) in [(4, "content"), (8, "block"), (12, "frame")] {
            for lie in [0, 1, 1599, 1601, 1 << 20, i32::MAX, -1, i32::MIN] {
                let mut frame = good.clone();
                frame[at..at + 4].copy_from_slice(&lie.to_le_bytes());
                let answer = decode(&mut frame, &mut [0; 1600]);
                assert!(
                    answer.is_err() || at == 8,
                    "{what} length {lie}: {answer:?}"
                );
            }
        }
    }
}
