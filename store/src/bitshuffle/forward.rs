//! Blosc's bit shuffle for two-byte elements, where the processor has AVX2: elsewhere c-blosc's own is used.

use super::{ELEMENT, GROUP};

/// Elements taken at once: a plane gets four bytes of them.
const STEP: usize = 32;

/// Writes the planes of one block; false, and nothing of use written, where there is no fast way on this
/// processor or the block is no whole number of groups.
pub(crate) fn shuffle(values: &[u8], planes: &mut [u8]) -> bool {
    let is_whole = values.len().is_multiple_of(ELEMENT * GROUP) && planes.len() == values.len();
    let Some(done) = is_whole.then(|| vector::shuffle(values, planes)).flatten() else {
        return false;
    };
    let size = values.len() / (ELEMENT * GROUP);
    for at in done / GROUP..size {
        for (plane, byte) in planed(&values[at * 16..][..16]).into_iter().enumerate() {
            planes[plane * size + at] = byte;
        }
    }
    true
}

/// Eight elements -> one byte of every plane.
fn planed(elements: &[u8]) -> [u8; 16] {
    let mut planes = [0; 16];
    for (element, bytes) in elements.chunks_exact(ELEMENT).enumerate() {
        for (plane, out) in planes.iter_mut().enumerate() {
            *out |= (bytes[plane / 8] >> (plane % 8) & 1) << element;
        }
    }
    planes
}

#[cfg(target_arch = "x86_64")]
mod vector {
    use std::arch::x86_64::*;

    use super::super::gfni;
    use super::{GROUP, STEP};

    /// Does as many elements as fill registers; gives how many.
    pub(super) fn shuffle(values: &[u8], planes: &mut [u8]) -> Option<usize> {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return None;
        }
        if gfni::is_here() {
            #[expect(unsafe_code, reason = "instructions of GFNI and AVX-512 (ADR 0021)")]
            // SAFETY: this processor has them.
            let done = unsafe { gfni::shuffle(values, planes) };
            if done > 0 {
                return Some(done * GROUP);
            }
        }
        #[expect(unsafe_code, reason = "instructions of AVX2 (ADR 0021)")]
        // SAFETY: this processor has AVX2.
        Some(unsafe { avx2(values, planes) })
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(values: &[u8], planes: &mut [u8]) -> usize {
        let size = planes.len() / 16;
        let byte = _mm256_set1_epi16(0xFF);
        let steps = values.chunks_exact(STEP * 2);
        let done = steps.len() * STEP;
        for (step, values) in steps.enumerate() {
            let [a, b]: [__m256i; 2] = bytemuck::pod_read_unaligned(values);
            // Packing goes lane by lane: the order of the quarters is mended afterwards.
            let low = _mm256_packus_epi16(_mm256_and_si256(a, byte), _mm256_and_si256(b, byte));
            let high = _mm256_packus_epi16(_mm256_srli_epi16::<8>(a), _mm256_srli_epi16::<8>(b));
            for (bytes, first) in [(low, 0), (high, 8)] {
                let mut bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(bytes);
                for plane in (first..first + 8).rev() {
                    let bits = _mm256_movemask_epi8(bytes);
                    planes[plane * size + step * 4..][..4].copy_from_slice(&bits.to_le_bytes());
                    bytes = _mm256_add_epi8(bytes, bytes);
                }
            }
        }
        done
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod vector {
    /// None: c-blosc has loops of its own.
    pub(super) fn shuffle(_: &[u8], _: &mut [u8]) -> Option<usize> {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::shuffled;
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn processors_with_less_get_the_same_bytes() {
        if !std::arch::is_x86_feature_detected!("avx2") {
            println!("skipped: needs a processor with AVX2");
            return;
        }
        let values: Vec<u8> = (0u32..16 * 96)
            .map(|i| (i * i / 7).to_le_bytes()[0])
            .collect();
        let mut planes = vec![0; values.len()];
        #[expect(unsafe_code, reason = "instructions of AVX2 (ADR 0021)")]
        // SAFETY: this processor has AVX2.
        let done = unsafe { vector::avx2(&values, &mut planes) };
        assert_eq!((done, planes), (96 * GROUP, shuffled(&values)));
    }

    proptest! {
        #[test]
        fn shuffling_is_the_definition_at_every_length(groups in 0usize..200, odd in 0usize..2, seed in any::<u32>()) {
            let byte = |i: u32| i.wrapping_mul(2_654_435_761).wrapping_add(seed).to_le_bytes()[3];
            let values: Vec<u8> = (0..).take(groups * 16 + odd).map(byte).collect();
            let mut planes = vec![0xA5; values.len()];
            if shuffle(&values, &mut planes) {
                prop_assert_eq!(odd, 0);
                prop_assert_eq!(planes, shuffled(&values));
            } else {
                let is_fast = vector::shuffle(&[], &mut []).is_some();
                prop_assert!(odd == 1 || !is_fast);
            }
        }
    }
}
