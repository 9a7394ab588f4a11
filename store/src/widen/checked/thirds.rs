//! Three thirds of a chunk side by side: the crc32 instruction gives 8 bytes a cycle only where it does not wait for
//! its own result of three cycles before. The checksums of the thirds are put together afterwards.

use chipmill_schemas::band::Resolution;

use super::super::{ALIGNMENT, STEP};
use super::VALUE;

/// How a run of values is cut.
#[derive(Debug, Clone, Copy)]
struct Thirds {
    /// Bytes of one, a multiple of what a step reads.
    bytes: usize,
    /// What a checksum is multiplied by when so many bytes follow it.
    shift: u32,
}

impl Thirds {
    /// Bytes of the most values before the first aligned place of a batch: those are not in a third.
    const HEAD: usize = ALIGNMENT / size_of::<f32>() * VALUE;

    /// Of so many bytes; those of a group are known beforehand.
    fn of(bytes: usize) -> Self {
        const GROUPS: [(usize, Thirds); 3] = [
            Thirds::known(Resolution::M10),
            Thirds::known(Resolution::M20),
            Thirds::known(Resolution::M60),
        ];
        let known = GROUPS.iter().find(|(group, _)| *group == bytes);
        known.map_or_else(|| Self::cut(bytes), |&(_, thirds)| thirds)
    }

    const fn known(group: Resolution) -> (usize, Self) {
        let bytes = group.chunk_len() * VALUE;
        (bytes, Self::cut(bytes))
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
    fn join(self, [first, second, third]: [u32; 3]) -> u32 {
        multiply(self.shift, multiply(self.shift, first) ^ second) ^ third
    }
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

/// Widens `into.len()` values; gives their crc32c. Who calls has asked whether the processor has AVX2 and SSE4.2.
pub(super) fn widen(values: &[u8], into: &mut [f32]) -> u32 {
    let thirds = Thirds::of(values.len());
    let head = into.as_ptr().align_offset(ALIGNMENT).min(into.len());
    let third = thirds.bytes / VALUE;
    let (values, into) = (values.split_at(head * VALUE), into.split_at_mut(head));
    #[expect(
        unsafe_code,
        reason = "instructions that not every processor has (ADR 0011)"
    )]
    // SAFETY: the processor has both.
    let crc = unsafe { vector::plain(values.0, into.0, u32::MAX) };
    let (values, into) = (
        values.1.split_at(3 * thirds.bytes),
        into.1.split_at_mut(3 * third),
    );
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the processor has both; `into` begins behind the head, at an aligned place, and a third is a
    // multiple of a step.
    let crcs = unsafe { vector::thirds(values.0, into.0, crc) };
    let crc = thirds.join(crcs);
    #[expect(unsafe_code, reason = "as above")]
    // SAFETY: the processor has both.
    let crc = unsafe { vector::plain(values.1, into.1, crc) };
    !crc
}

mod vector {
    use std::arch::x86_64::{_mm_crc32_u16, _mm_crc32_u64, _mm_sfence};

    use super::super::super::step;
    use super::{STEP, VALUE};

    /// Bytes that a step reads.
    const READ: usize = STEP * VALUE;

    #[target_feature(enable = "avx2,sse4.2")]
    pub(super) fn plain(values: &[u8], into: &mut [f32], mut crc: u32) -> u32 {
        for (into, &value) in into.iter_mut().zip(values.as_chunks::<VALUE>().0) {
            let value = u16::from_le_bytes(value);
            crc = _mm_crc32_u16(crc, value);
            *into = f32::from(value);
        }
        crc
    }

    /// The checksums of three thirds, the first after what has `crc`, the others begun from 0.
    ///
    /// # Safety
    /// `into` must be aligned as that of [`step`], and have a multiple of three steps.
    #[target_feature(enable = "avx2,sse4.2")]
    #[expect(unsafe_code, reason = "there is no safe streaming store (ADR 0011)")]
    pub(super) unsafe fn thirds(values: &[u8], into: &mut [f32], crc: u32) -> [u32; 3] {
        let values = values.as_chunks::<READ>().0;
        let into = into.as_chunks_mut::<STEP>().0;
        let third = into.len() / 3;
        let (first, rest) = values.split_at(third);
        let (second, third_of_values) = rest.split_at(third);
        let (into_first, rest) = into.split_at_mut(third);
        let (into_second, into_third) = rest.split_at_mut(third);
        let [mut a, mut b, mut c] = [u64::from(crc), 0, 0];
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
        [low_half(a), low_half(b), low_half(c)]
    }

    /// What the crc32 instruction gives has 32 bits, in a register of 64.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half is 0")]
    fn low_half(crc: u64) -> u32 {
        crc as u32
    }

    fn eight(values: &[u8; READ], part: usize) -> u64 {
        u64::from_le_bytes(values.as_chunks::<8>().0[part])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_moved_over_zeros_by_a_product() {
        for zeros in [0, 1, 32, 38_368] {
            let moved = multiply(power_of_x(8 * zeros), !::crc32c::crc32c(b"chipmill"));
            let long = [b"chipmill".to_vec(), vec![0; zeros]].concat();
            assert_eq!(moved, !::crc32c::crc32c(&long), "{zeros} zeros");
        }
    }
}
