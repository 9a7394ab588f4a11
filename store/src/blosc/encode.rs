//! Blosc frames encoded straight behind what a buffer holds already (`docs/adr/0021-encoding-in-place.md`).
//!
//! zarrs encodes into a vector of its own, and c-blosc is compiled without AVX2: its bit shuffle goes over
//! the pixels twice. Here the pixels are shuffled first, and c-blosc compresses planes that it takes for
//! plain bytes; then the frame's header is told what they are. The bytes are those that c-blosc makes.

use std::cell::RefCell;
use std::ffi::c_void;
use std::mem::MaybeUninit;

use blosc_src::{
    BLOSC_BITSHUFFLE, BLOSC_LZ4_COMPNAME, BLOSC_MAX_OVERHEAD, BLOSC_NOSHUFFLE, blosc_compress_ctx,
};

use super::{BIT_SHUFFLED, BLOCK_SIZE, COPIED, FLAGS};
use crate::bitshuffle;
use crate::codec::{ChunkError, blosc_error};

/// Bytes of a frame's header, and the most that a frame is longer than its content.
const OVERHEAD: usize = BLOSC_MAX_OVERHEAD as usize;

/// Appends the frame (LZ4, bit shuffle) of some elements of `size` bytes each.
///
/// # Errors
/// [`ChunkError::Codec`] when c-blosc refuses; then nothing is appended.
pub(crate) fn encode(
    level: u8,
    bytes: &[u8],
    size: usize,
    out: &mut Vec<u8>,
) -> Result<(), ChunkError> {
    let is_done = size == 2 && shuffled_here(level, bytes, out);
    if is_done || compress(level, bytes, size, BLOSC_BITSHUFFLE, out).is_some() {
        return Ok(());
    }
    Err(blosc_error("the pixels cannot be compressed"))
}

/// The frame of two-byte elements, shuffled on this side: false, and nothing appended, where c-blosc has to
/// do it.
fn shuffled_here(level: u8, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    thread_local! {
        static PLANES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    PLANES.with_borrow_mut(|planes| {
        if planes.len() < bytes.len() {
            planes.resize(bytes.len(), 0);
        }
        let planes = &mut planes[..bytes.len()];
        let start = out.len();
        let is_one = bitshuffle::shuffle(bytes, planes)
            && compress(level, planes, 2, BLOSC_NOSHUFFLE, out)
                .is_some_and(|frame| named_shuffled(frame, bytes));
        if !is_one {
            out.truncate(start);
        }
        is_one
    })
}

/// Says in a frame of planes what they are; false where it has several blocks, each of which would have
/// planes of its own. Content of more than one block is longer than any patch.
fn named_shuffled(frame: &mut [u8], bytes: &[u8]) -> bool {
    let block = frame[BLOCK_SIZE..].first_chunk::<4>();
    let block = block.and_then(|b| usize::try_from(u32::from_le_bytes(*b)).ok());
    if block != Some(bytes.len()) {
        return false;
    }
    if frame[FLAGS] & COPIED != 0 {
        // What cannot be compressed is in the frame as it is, not shuffled.
        frame[OVERHEAD..].copy_from_slice(bytes);
    }
    frame[FLAGS] |= BIT_SHUFFLED;
    true
}

/// Compresses on this thread; gives the frame that was appended, or `None`, and nothing is.
fn compress<'a>(
    level: u8,
    bytes: &[u8],
    size: usize,
    shuffle: u32,
    out: &'a mut Vec<u8>,
) -> Option<&'a mut [u8]> {
    let (start, room) = (out.len(), bytes.len() + OVERHEAD);
    out.reserve(room);
    // Not zeroed before: that would be a pass over as many bytes as the pixels have. What a frame is depends
    // on the room, too.
    let frame: &mut [MaybeUninit<u8>] = &mut out.spare_capacity_mut()[..room];
    let (level, shuffle) = (i32::from(level), i32::try_from(shuffle).ok()?);
    let (source, target) = (bytes.as_ptr().cast::<c_void>(), frame.as_mut_ptr().cast());
    let name = BLOSC_LZ4_COMPNAME.as_ptr().cast();
    #[expect(unsafe_code, reason = "a C function (ADR 0021)")]
    // SAFETY: it reads `bytes.len()` bytes of `bytes` and writes at most `frame.len()` bytes of `frame`,
    // which nobody else sees meanwhile; the name ends in a zero. A block size of 0 is its own choice. With
    // one thread it starts none and keeps no global state.
    let written = unsafe {
        blosc_compress_ctx(
            level,
            shuffle,
            size,
            bytes.len(),
            source,
            target,
            frame.len(),
            name,
            0,
            1,
        )
    };
    // 0: the frame would not fit. It always does: there is room for a copy and its header.
    let written = usize::try_from(written).ok().filter(|len| *len > 0)?;
    assert!(written <= frame.len(), "c-blosc wrote more than it may");
    #[expect(unsafe_code, reason = "memory that a C function filled (ADR 0021)")]
    // SAFETY: there is room for them, and a frame's bytes are all written by who says that it is so long.
    unsafe {
        out.set_len(start + written);
    }
    Some(&mut out[start..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zarrs::array::codec::{BloscCompressor, BloscShuffleMode, blosc_compress_bytes};

    use super::*;

    fn by_c_blosc(bytes: &[u8], size: usize) -> Vec<u8> {
        let (shuffle, compressor) = (BloscShuffleMode::BitShuffle, BloscCompressor::LZ4);
        let level = 5.try_into().unwrap();
        blosc_compress_bytes(bytes, level, shuffle, size, compressor, 0, 1).unwrap()
    }

    fn ours(bytes: &[u8], size: usize) -> Vec<u8> {
        let mut out = b"before".to_vec();
        encode(5, bytes, size, &mut out).unwrap();
        assert!(out.starts_with(b"before"));
        out.split_off(6)
    }

    fn texture(len: usize, noise: u32) -> Vec<u8> {
        let value = |i: u32| (i / 7).wrapping_add(i.wrapping_mul(2_654_435_761) >> 9 & noise);
        let values = (0u32..).map(value).flat_map(|v| v.to_le_bytes());
        values.take(len).collect()
    }

    proptest! {
        #[test]
        fn frames_are_those_of_c_blosc_at_every_length(len in 1usize..5000, noise in any::<u32>()) {
            let bytes = texture(len, noise);
            for size in [2, 4] {
                prop_assert_eq!(ours(&bytes, size), by_c_blosc(&bytes, size));
            }
        }
    }

    #[test]
    fn frames_are_those_of_c_blosc_whether_it_copies_compresses_or_makes_several_blocks() {
        // Incompressible noise, nothing but zeros, and more than a block holds.
        for (len, noise) in [
            (115_200, u32::MAX),
            (43_200, 0),
            (1 << 20, 0xFF),
            (600_002, 0xF),
        ] {
            let bytes = texture(len, noise);
            assert!(ours(&bytes, 2) == by_c_blosc(&bytes, 2), "{len}, {noise}");
        }
        let noise = texture(1600, u32::MAX);
        let mixed: Vec<u8> = noise
            .iter()
            .zip(noise.iter().rev())
            .map(|(a, b)| a ^ b)
            .collect();
        assert!(ours(&mixed, 2) == by_c_blosc(&mixed, 2));
        assert!(ours(&[], 2) == by_c_blosc(&[], 2));
    }
}
