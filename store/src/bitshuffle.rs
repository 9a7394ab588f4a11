//! Blosc's bit shuffle for two-byte elements, and its inverse.
//!
//! A shuffled block holds 16 planes, the lowest bit first: plane `b` has bit `b` of every element, eight
//! elements a byte, the first in the lowest bit (Masui et al., 2015, Astronomy and Computing 12). c-blosc
//! is compiled here without AVX2 and goes over the block twice through memory; this goes over it once.

mod forward;
#[cfg(target_arch = "x86_64")]
mod gfni;

pub(crate) use forward::shuffle;

/// Bytes of an element.
const ELEMENT: usize = 2;

/// Elements of which a plane holds one byte.
const GROUP: usize = 8;

/// Puts the bits of one block back. Blosc leaves blocks alone that are no whole number of groups.
///
/// `planes` and `target` must be equally long: what one has too much is ignored.
pub(crate) fn unshuffle(planes: &[u8], target: &mut [u8]) {
    let len = planes.len().min(target.len());
    let (planes, target) = (&planes[..len], &mut target[..len]);
    let elements = len / ELEMENT;
    if !elements.is_multiple_of(GROUP) {
        target.copy_from_slice(planes);
        return;
    }
    let (bits, rest) = planes.split_at(elements * ELEMENT);
    let (values, end) = target.split_at_mut(bits.len());
    end.copy_from_slice(rest);
    let done = vector::unshuffle(bits, values);
    let size = elements / GROUP;
    for at in done..size {
        let group = std::array::from_fn(|plane| bits[plane * size + at]);
        values[at * 16..][..16].copy_from_slice(&transposed(group));
    }
}

/// One byte of every plane -> eight elements.
fn transposed(planes: [u8; 16]) -> [u8; 16] {
    let mut elements = [0; 16];
    for (plane, byte) in planes.into_iter().enumerate() {
        for element in 0..GROUP {
            let bit = byte >> element & 1;
            elements[element * ELEMENT + plane / 8] |= bit << (plane % 8);
        }
    }
    elements
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::*;

    use super::gfni;

    /// Does as many bytes of each plane as fit the registers; gives how many.
    pub(super) fn unshuffle(bits: &[u8], values: &mut [u8]) -> usize {
        if gfni::is_here() {
            #[expect(unsafe_code, reason = "instructions of GFNI and AVX-512 (ADR 0011)")]
            // SAFETY: this processor has them.
            let done = unsafe { gfni::unshuffle(bits, values) };
            if done > 0 {
                return done;
            }
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            #[expect(unsafe_code, reason = "instructions of AVX2 (ADR 0011)")]
            // SAFETY: this processor has AVX2.
            unsafe {
                avx2::unshuffle(bits, values)
            }
        } else {
            #[expect(unsafe_code, reason = "instructions of SSE2 (ADR 0011)")]
            // SAFETY: every x86-64 processor has SSE2.
            unsafe {
                sse2::unshuffle(bits, values)
            }
        }
    }

    #[repr(align(64))]
    struct Frame([u8; 64]);

    /// The same steps for registers of 16 bytes and of 32. The latter are two lanes of 16, which no
    /// instruction used here mixes.
    macro_rules! kernel {
        ($name:ident, $feature:literal, $register:ty, $and:ident, $xor:ident, $set:ident, $left:ident,
         $right:ident, [$low8:ident, $low16:ident, $low32:ident, $low64:ident],
         [$high8:ident, $high16:ident, $high32:ident, $high64:ident]) => {
            mod $name {
                use super::*;

                const LANE: usize = 16;
                const STEP: usize = size_of::<$register>();

                /// Takes `STEP` bytes of each plane at once: eight times as many elements.
                #[target_feature(enable = $feature)]
                pub(super) fn unshuffle(bits: &[u8], values: &mut [u8]) -> usize {
                    // Aligns the frame: what registers spill to would straddle lines of the caches else (ADR 0020).
                    let frame = Frame([0; 64]);
                    std::hint::black_box(&frame.0);
                    let size = bits.len() / 16;
                    for (step, out) in values.chunks_exact_mut(STEP * 16).enumerate() {
                        let load = |plane: usize| -> $register {
                            bytemuck::pod_read_unaligned(
                                &bits[plane * size + step * STEP..][..STEP],
                            )
                        };
                        let low = transpose_bits(std::array::from_fn(load));
                        let high = transpose_bits(std::array::from_fn(|plane| load(plane + 8)));
                        let first = std::array::from_fn(|k| $low8(low[k], high[k]));
                        let last = std::array::from_fn(|k| $high8(low[k], high[k]));
                        store(&transpose_words(first), 0, out);
                        store(&transpose_words(last), 8 * LANE, out);
                    }
                    size / STEP * STEP
                }

                /// Each lane's eight rows lie together.
                #[inline]
                #[target_feature(enable = $feature)]
                fn store(rows: &[$register; 8], offset: usize, out: &mut [u8]) {
                    for (row, value) in rows.iter().enumerate() {
                        let lanes = bytemuck::bytes_of(value).chunks_exact(LANE);
                        for (lane, out) in lanes.zip(out.chunks_exact_mut(16 * LANE)) {
                            out[offset + row * LANE..][..LANE].copy_from_slice(lane);
                        }
                    }
                }

                /// Exchanges the bits of `a` at `mask << SHIFT` with those of `b` at `mask`.
                #[inline]
                #[target_feature(enable = $feature)]
                fn exchange<const SHIFT: i32>(a: &mut $register, b: &mut $register, mask: i8) {
                    let differ = $and($xor($right::<SHIFT>(*a), *b), $set(mask));
                    *b = $xor(*b, differ);
                    *a = $xor(*a, $left::<SHIFT>(differ));
                }

                /// Bit `k` of register `b` becomes bit `b` of register `k`, in every byte (Warren,
                /// Hacker's Delight, 7-3, with a register for a row).
                #[inline]
                #[target_feature(enable = $feature)]
                fn transpose_bits(mut rows: [$register; 8]) -> [$register; 8] {
                    let (top, bottom) = rows.split_at_mut(4);
                    for (a, b) in top.iter_mut().zip(bottom) {
                        exchange::<4>(a, b, 0x0F);
                    }
                    for half in rows.chunks_exact_mut(4) {
                        let (top, bottom) = half.split_at_mut(2);
                        for (a, b) in top.iter_mut().zip(bottom) {
                            exchange::<2>(a, b, 0x33);
                        }
                    }
                    for [a, b] in rows.as_chunks_mut::<2>().0 {
                        exchange::<1>(a, b, 0x55);
                    }
                    rows
                }

                /// Word `j` of register `k` becomes word `k` of register `j`.
                #[inline]
                #[target_feature(enable = $feature)]
                fn transpose_words(r: [$register; 8]) -> [$register; 8] {
                    let mut out = r;
                    let low = [0, 2, 4, 6].map(|k: usize| $low16(r[k], r[k + 1]));
                    let high = [0, 2, 4, 6].map(|k: usize| $high16(r[k], r[k + 1]));
                    for (p, out) in [low, high].iter().zip(out.as_chunks_mut::<4>().0) {
                        let (a, b) = ($low32(p[0], p[1]), $low32(p[2], p[3]));
                        let (c, d) = ($high32(p[0], p[1]), $high32(p[2], p[3]));
                        *out = [$low64(a, b), $high64(a, b), $low64(c, d), $high64(c, d)];
                    }
                    out
                }
            }
        };
    }

    kernel!(
        sse2,
        "sse2",
        __m128i,
        _mm_and_si128,
        _mm_xor_si128,
        _mm_set1_epi8,
        _mm_slli_epi64,
        _mm_srli_epi64,
        [
            _mm_unpacklo_epi8,
            _mm_unpacklo_epi16,
            _mm_unpacklo_epi32,
            _mm_unpacklo_epi64
        ],
        [
            _mm_unpackhi_epi8,
            _mm_unpackhi_epi16,
            _mm_unpackhi_epi32,
            _mm_unpackhi_epi64
        ]
    );
    kernel!(
        avx2,
        "avx2",
        __m256i,
        _mm256_and_si256,
        _mm256_xor_si256,
        _mm256_set1_epi8,
        _mm256_slli_epi64,
        _mm256_srli_epi64,
        [
            _mm256_unpacklo_epi8,
            _mm256_unpacklo_epi16,
            _mm256_unpacklo_epi32,
            _mm256_unpacklo_epi64
        ],
        [
            _mm256_unpackhi_epi8,
            _mm256_unpackhi_epi16,
            _mm256_unpackhi_epi32,
            _mm256_unpackhi_epi64
        ]
    );

    #[cfg(test)]
    mod tests {
        #[test]
        fn processors_with_less_get_the_same_bytes() {
            let bits: Vec<u8> = (0u32..16 * 96)
                .map(|i| (i * i / 7).to_le_bytes()[0])
                .collect();
            let mut best = vec![0; bits.len()];
            assert_eq!(super::unshuffle(&bits, &mut best), 96);
            let mut values = vec![0; bits.len()];
            #[expect(unsafe_code, reason = "instructions of SSE2 (ADR 0011)")]
            // SAFETY: every x86-64 processor has SSE2.
            let done = unsafe { super::sse2::unshuffle(&bits, &mut values) };
            assert_eq!((done, &values), (96, &best));
            if std::arch::is_x86_feature_detected!("avx2") {
                values.fill(0);
                #[expect(unsafe_code, reason = "instructions of AVX2 (ADR 0011)")]
                // SAFETY: this processor has AVX2.
                let done = unsafe { super::avx2::unshuffle(&bits, &mut values) };
                assert_eq!((done, &values), (96, &best));
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod vector {
    /// Nothing: the loop over single groups does it all.
    pub(super) fn unshuffle(_: &[u8], _: &mut [u8]) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// By the definition, bit by bit.
    pub(super) fn shuffled(values: &[u8]) -> Vec<u8> {
        let elements = values.len() / ELEMENT;
        let mut planes = vec![0; values.len()];
        for element in 0..elements {
            for bit in 0..16 {
                let value = values[element * ELEMENT + bit / 8] >> (bit % 8) & 1;
                planes[bit * elements / 8 + element / 8] |= value << (element % 8);
            }
        }
        let whole = elements * ELEMENT;
        planes[whole..].copy_from_slice(&values[whole..]);
        planes
    }

    proptest! {
        #[test]
        fn unshuffling_undoes_the_definition_at_every_length(groups in 0usize..200, odd in 0usize..2, seed in any::<u32>()) {
            let byte = |i: u32| i.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes()[3];
            let values: Vec<u8> = (0..).take(groups * 16 + odd).map(byte).collect();
            let mut back = vec![0xA5; values.len()];
            unshuffle(&shuffled(&values), &mut back);
            prop_assert_eq!(back, values);
        }
    }

    #[test]
    fn blocks_that_are_no_whole_number_of_groups_are_left_alone() {
        let values: Vec<u8> = (0..38).collect();
        let mut back = vec![0; 38];
        unshuffle(&values, &mut back);
        assert_eq!(back, values);
    }
}
