//! Widening and a crc32c in one pass over a chunk.
//!
//! Widening waits for memory, and the processor's crc32 instruction, a unit of its own, works meanwhile: by
//! itself the checksum of a patch took 10 us, in here it takes none that can be measured. The instruction
//! gives 8 bytes a cycle only where it does not wait for its own result of three cycles before, so three
//! thirds of a chunk are read side by side, and their checksums put together.

use super::{ALIGNMENT, STEP};
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
        return side_by_side(values, into, Thirds::of(values.len()));
    }
    one_by_one(values, into)
}

/// Any processor's.
fn one_by_one(values: &[u8], into: &mut [f32]) -> u32 {
    let pairs = into.iter_mut().zip(values.as_chunks::<VALUE>().0);
    pairs.for_each(|(into, &value)| *into = f32::from(u16::from_le_bytes(value)));
    codec::crc32c(values)
}

/// How a run of values is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Thirds {
    /// Bytes of one, a multiple of what a step reads.
    bytes: usize,
    /// What a checksum is multiplied by when so many bytes follow it.
    shift: u32,
}

impl Thirds {
    /// Values before the first aligned place of a batch are not in a third.
    const HEAD: usize = ALIGNMENT / size_of::<f32>() * VALUE;

    /// Of so many bytes; those of a group are known beforehand.
    fn of(bytes: usize) -> Self {
        const GROUPS: [(usize, Thirds); 3] = [
            (115_200, Thirds::cut(115_200)),
            (43_200, Thirds::cut(43_200)),
            (1_600, Thirds::cut(1_600)),
        ];
        let known = GROUPS.iter().find(|(group, _)| *group == bytes);
        known.map_or_else(|| Self::cut(bytes), |&(_, thirds)| thirds)
    }

    const fn cut(bytes: usize) -> Self {
        let step = STEP * VALUE;
        let bytes = bytes.saturating_sub(Self::HEAD) / (3 * step) * step;
        Self {
            bytes,
            shift: power_of_x(8 * bytes),
        }
    }

    /// The checksum of three thirds after each other: the first with what came before, the others begun
    /// from 0.
    fn join(self, [first, second, third]: [u64; 3]) -> u64 {
        let [first, second, third] = [first, second, third].map(low_half);
        u64::from(multiply(self.shift, multiply(self.shift, first) ^ second) ^ third)
    }
}

/// What the crc32 instruction gives has 32 bits, in a register of 64.
#[expect(clippy::cast_possible_truncation, reason = "the upper half is 0")]
fn low_half(crc: u64) -> u32 {
    crc as u32
}

/// The polynomial of CRC-32C (Castagnoli, RFC 3720), without its highest power; in this file bit 31 is the
/// power 0 (the reflected order of the checksum).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// The product of two polynomials over GF(2), modulo [`POLYNOMIAL`].
const fn multiply(a: u32, mut b: u32) -> u32 {
    let (mut product, mut power) = (0, 0);
    while power < 32 {
        if a & (1 << 31 >> power) != 0 {
            product ^= b;
        }
        // Times x.
        b = if b & 1 == 0 {
            b >> 1
        } else {
            b >> 1 ^ POLYNOMIAL
        };
        power += 1;
    }
    product
}

/// A power of x, modulo [`POLYNOMIAL`], by squaring.
const fn power_of_x(mut exponent: usize) -> u32 {
    let (mut power, mut square) = (1 << 31, 1 << 30);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = multiply(power, square);
        }
        square = multiply(square, square);
        exponent >>= 1;
    }
    power
}

/// The processor has AVX2 and SSE4.2 (asked for above).
#[cfg(target_arch = "x86_64")]
fn side_by_side(values: &[u8], into: &mut [f32], thirds: Thirds) -> u32 {
    let head = into.as_ptr().align_offset(ALIGNMENT).min(into.len());
    let third = thirds.bytes / VALUE;
    assert!(head + 3 * third <= into.len() && values.len() == into.len() * VALUE);
    let (values, into) = (values.split_at(head * VALUE), into.split_at_mut(head));
    #[expect(
        unsafe_code,
        reason = "instructions that not every processor has (ADR 0011)"
    )]
    // SAFETY: the processor has both.
    let crc = unsafe { vector::plain(values.0, into.0, u64::from(u32::MAX)) };
    let (values, into) = (
        values.1.split_at(3 * thirds.bytes),
        into.1.split_at_mut(3 * third),
    );
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the processor has both; `into` begins behind the head, at an aligned place, and a third is a
    // multiple of a step.
    let crcs = unsafe { vector::thirds(values.0, into.0, [crc, 0, 0]) };
    let crc = thirds.join(crcs);
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the processor has both.
    let crc = unsafe { vector::plain(values.1, into.1, crc) };
    !low_half(crc)
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::{_mm_crc32_u16, _mm_crc32_u64, _mm_sfence};

    use super::super::step;
    use super::{STEP, VALUE, low_half};

    /// Bytes that a step reads.
    const READ: usize = STEP * VALUE;

    #[target_feature(enable = "avx2,sse4.2")]
    pub(super) fn plain(values: &[u8], into: &mut [f32], crc: u64) -> u64 {
        let mut crc = low_half(crc);
        for (into, &value) in into.iter_mut().zip(values.as_chunks::<VALUE>().0) {
            let value = u16::from_le_bytes(value);
            crc = _mm_crc32_u16(crc, value);
            *into = f32::from(value);
        }
        u64::from(crc)
    }

    /// # Safety
    /// `into` must be aligned as that of [`step`], and have a multiple of three steps.
    #[target_feature(enable = "avx2,sse4.2")]
    #[expect(unsafe_code, reason = "there is no safe streaming store (ADR 0011)")]
    pub(super) unsafe fn thirds(values: &[u8], into: &mut [f32], crcs: [u64; 3]) -> [u64; 3] {
        let values = values.as_chunks::<READ>().0;
        let into = into.as_chunks_mut::<STEP>().0;
        let third = into.len() / 3;
        let (first, rest) = values.split_at(third);
        let (second, third_of_values) = rest.split_at(third);
        let (into_first, rest) = into.split_at_mut(third);
        let (into_second, into_third) = rest.split_at_mut(third);
        let [mut a, mut b, mut c] = crcs;
        let values = first.iter().zip(second).zip(third_of_values);
        let places = into_first.iter_mut().zip(into_second).zip(into_third);
        for (((va, vb), vc), ((ia, ib), ic)) in values.zip(places) {
            for part in 0..READ / 8 {
                a = _mm_crc32_u64(a, eight(va, part));
                b = _mm_crc32_u64(b, eight(vb, part));
                c = _mm_crc32_u64(c, eight(vc, part));
            }
            // SAFETY: the slice is aligned (the caller's promise), and steps are 64 bytes long.
            unsafe {
                step(bytemuck::cast(*va), ia);
                step(bytemuck::cast(*vb), ib);
                step(bytemuck::cast(*vc), ic);
            }
        }
        // Streaming stores are not ordered with those that tell another thread that the batch is ready.
        _mm_sfence();
        [a, b, c]
    }

    fn eight(values: &[u8; READ], part: usize) -> u64 {
        u64::from_le_bytes(values.as_chunks::<8>().0[part])
    }
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
    fn a_checksum_is_moved_over_zeros_by_a_product() {
        for zeros in [0, 1, 32, 38_368] {
            let moved = multiply(power_of_x(8 * zeros), !::crc32c::crc32c(b"chipmill"));
            let long = [b"chipmill".to_vec(), vec![0; zeros]].concat();
            assert_eq!(moved, !::crc32c::crc32c(&long), "{zeros} zeros");
        }
    }

    #[test]
    fn the_groups_thirds_are_those_that_are_computed() {
        for group in chipmill_schemas::band::Resolution::ALL {
            let bytes = group.chunk_len() * VALUE;
            assert_eq!(Thirds::of(bytes), Thirds::cut(bytes));
            assert!(3 * Thirds::of(bytes).bytes > bytes - 128);
        }
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
