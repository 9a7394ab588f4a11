//! Widening and a crc32c in one pass over a chunk.
//!
//! Widening waits for memory, and the processor's crc32 instruction, a unit of its own, works meanwhile: by
//! itself the checksum of a patch took 10 us, in here it takes none that can be measured.

#[cfg(target_arch = "x86_64")]
mod thirds;

use crate::codec::{self, CRC_BYTES, ChunkError};

/// Bytes of a value as stored.
const VALUE: usize = size_of::<u16>();

/// Widens the little-endian values of an uncompressed chunk and compares the crc32c behind them. Where that
/// does not hold, `into` is not to be used.
pub(crate) fn chunk(chunk: &[u8], into: &mut [f32]) -> Result<(), ChunkError> {
    let (found, expected) = (chunk.len(), into.len() * VALUE + CRC_BYTES);
    let (Some((payload, &stored)), true) = (chunk.split_last_chunk(), found == expected) else {
        return Err(ChunkError::Length { found, expected });
    };
    codec::compare(widen(payload, into), stored)
}

/// Widens `into.len()` values; gives their crc32c.
fn widen(values: &[u8], into: &mut [f32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("sse4.2") {
        return thirds::widen(values, into);
    }
    one_by_one(values, into)
}

/// Any processor's.
fn one_by_one(values: &[u8], into: &mut [f32]) -> u32 {
    let pairs = into.iter_mut().zip(values.as_chunks::<VALUE>().0);
    pairs.for_each(|(into, &value)| *into = f32::from(u16::from_le_bytes(value)));
    codec::crc32c(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..len).map(|_| next()).collect()
    }

    /// The checksum of another crate, `f32::from`, and nothing before or behind touched.
    fn check(widen: impl Fn(&[u8], &mut [f32]) -> u32) {
        for len in [
            0, 1, 7, 8, 47, 48, 49, 57, 95, 96, 97, 104, 800, 21_600, 57_600,
        ] {
            let values = bytes(2 * len);
            let expected: Vec<f32> = values
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&v| f32::from(u16::from_le_bytes(v)))
                .collect();
            for offset in 0..9 {
                let mut all = vec![-1.0; offset + len + 9];
                let crc = widen(&values, &mut all[offset..offset + len]);
                assert_eq!(crc, ::crc32c::crc32c(&values), "{len} values at {offset}");
                assert_eq!(all[offset..offset + len], expected);
                let (before, after) = (&all[..offset], &all[offset + len..]);
                assert!(before.iter().chain(after).all(|&v| v == -1.0));
            }
        }
    }

    #[test]
    fn widening_gives_the_values_and_their_checksum_at_every_alignment() {
        check(widen);
    }

    #[test]
    fn so_it_does_on_any_processor() {
        check(one_by_one);
    }

    #[test]
    fn a_chunk_that_does_not_hold_is_refused() {
        let payload = bytes(1_600);
        let crc = ::crc32c::crc32c(&payload).to_le_bytes();
        let whole = [payload, crc.to_vec()].concat();
        let mut into = vec![0.0; 800];
        assert_eq!(chunk(&whole, &mut into), Ok(()));
        let length = |found| {
            Err(ChunkError::Length {
                found,
                expected: 1_604,
            })
        };
        assert_eq!(chunk(&whole[..1_603], &mut into), length(1_603));
        assert_eq!(chunk(&[], &mut into), length(0));
        for at in [0, 799, 1_599, 1_600, 1_603] {
            let mut damaged = whole.clone();
            damaged[at] ^= 4;
            assert!(matches!(
                chunk(&damaged, &mut into),
                Err(ChunkError::Checksum { .. })
            ));
        }
    }
}
