//! Small matrices turned in registers of AVX2.

#![expect(unsafe_code, reason = "instructions of AVX2")]

use std::arch::x86_64::*;

use super::{TALL, WIDE};

/// Rows of a block that is turned are `stride` apart: one question in place of one for each row, which would take
/// longer than turning.
#[inline(always)]
fn check(from: usize, to: usize, stride: usize) {
    assert!(
        from >= (TALL - 1) * stride + WIDE && to >= (WIDE - 1) * stride + TALL,
        "a block reaches beyond the pixels"
    );
}

/// [`turn_words`](super::Lanes::turn_words): pairs, fours and eights of words are interleaved in turn, those of rows 8 to 15 in
/// the upper halves of the registers. Two matrices of 8 x 8 take as many instructions as one.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn turn_words(from: &[u16], to: &mut [u16], stride: usize) {
    check(from.len(), to.len(), stride);
    // SAFETY: the processor has the instructions, says the caller. Rows of eight words, `stride` apart, are read
    // from `from`, which is long enough for sixteen of them, and rows of sixteen written to `to`, which is for eight.
    unsafe {
        let mut r = [_mm256_setzero_si256(); WIDE];
        for (i, r) in r.iter_mut().enumerate() {
            let [low, high] = [i, i + WIDE].map(|row| from.as_ptr().add(row * stride).cast());
            *r = _mm256_loadu2_m128i(high, low);
        }
        let a = [
            _mm256_unpacklo_epi16(r[0], r[1]),
            _mm256_unpacklo_epi16(r[2], r[3]),
            _mm256_unpacklo_epi16(r[4], r[5]),
            _mm256_unpacklo_epi16(r[6], r[7]),
            _mm256_unpackhi_epi16(r[0], r[1]),
            _mm256_unpackhi_epi16(r[2], r[3]),
            _mm256_unpackhi_epi16(r[4], r[5]),
            _mm256_unpackhi_epi16(r[6], r[7]),
        ];
        let b = [
            _mm256_unpacklo_epi32(a[0], a[1]),
            _mm256_unpackhi_epi32(a[0], a[1]),
            _mm256_unpacklo_epi32(a[4], a[5]),
            _mm256_unpackhi_epi32(a[4], a[5]),
            _mm256_unpacklo_epi32(a[2], a[3]),
            _mm256_unpackhi_epi32(a[2], a[3]),
            _mm256_unpacklo_epi32(a[6], a[7]),
            _mm256_unpackhi_epi32(a[6], a[7]),
        ];
        let c: [__m256i; 8] = [
            _mm256_unpacklo_epi64(b[0], b[4]),
            _mm256_unpackhi_epi64(b[0], b[4]),
            _mm256_unpacklo_epi64(b[1], b[5]),
            _mm256_unpackhi_epi64(b[1], b[5]),
            _mm256_unpacklo_epi64(b[2], b[6]),
            _mm256_unpackhi_epi64(b[2], b[6]),
            _mm256_unpacklo_epi64(b[3], b[7]),
            _mm256_unpackhi_epi64(b[3], b[7]),
        ];
        for (i, c) in c.into_iter().enumerate() {
            _mm256_storeu_si256(to.as_mut_ptr().add(i * stride).cast(), c);
        }
    }
}

/// [`turn_floats`](super::Lanes::turn_floats): the same for two matrices of 8 x 8, one after the other.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn turn_floats(from: &[f32], to: &mut [f32], stride: usize) {
    check(from.len(), to.len(), stride);
    for half in [0, WIDE] {
        // SAFETY: the processor has the instructions, says the caller. Rows of eight values, `stride` apart, are
        // read from `from`, which is long enough for sixteen of them, and written to `to`, which is for eight with
        // eight values before them.
        unsafe {
            let mut r = [_mm256_setzero_ps(); WIDE];
            for (i, r) in r.iter_mut().enumerate() {
                *r = _mm256_loadu_ps(from.as_ptr().add((half + i) * stride));
            }
            // Columns 0 and 1, and 4 and 5 above them, of rows 0 and 1, 2 and 3 and so on; then columns 2, 3, 6 and 7.
            let mut pairs = [[_mm256_setzero_pd(); 4]; 2];
            for i in 0..4 {
                let (a, b) = (r[2 * i], r[2 * i + 1]);
                pairs[0][i] = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
                pairs[1][i] = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
            }
            for (i, [a, b, c, d]) in pairs.into_iter().enumerate() {
                let upper = [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)];
                let lower = [_mm256_unpacklo_pd(c, d), _mm256_unpackhi_pd(c, d)];
                for k in 0..2 {
                    let to = to.as_mut_ptr().add((2 * i + k) * stride + half);
                    let low = _mm256_permute2f128_pd::<0x20>(upper[k], lower[k]);
                    let high = _mm256_permute2f128_pd::<0x31>(upper[k], lower[k]);
                    _mm256_storeu_ps(to, _mm256_castpd_ps(low));
                    _mm256_storeu_ps(to.add(4 * stride), _mm256_castpd_ps(high));
                }
            }
        }
    }
}
