//! Small matrices turned in registers of SSE2.

#![expect(unsafe_code, reason = "instructions of SSE2")]

use std::arch::x86_64::*;

/// `to[r][c] = from[c][r]`, with instructions of SSE2: pairs, fours and eights of words are interleaved
/// in turn.
#[inline(always)]
pub(super) fn transpose8(from: [[u16; 8]; 8]) -> [[u16; 8]; 8] {
    let r: [__m128i; 8] = bytemuck::cast(from);
    // SAFETY: the instructions are those of SSE2, which every x86-64 processor has.
    unsafe {
        let a: [__m128i; 8] = [
            _mm_unpacklo_epi16(r[0], r[1]),
            _mm_unpacklo_epi16(r[2], r[3]),
            _mm_unpacklo_epi16(r[4], r[5]),
            _mm_unpacklo_epi16(r[6], r[7]),
            _mm_unpackhi_epi16(r[0], r[1]),
            _mm_unpackhi_epi16(r[2], r[3]),
            _mm_unpackhi_epi16(r[4], r[5]),
            _mm_unpackhi_epi16(r[6], r[7]),
        ];
        let b: [__m128i; 8] = [
            _mm_unpacklo_epi32(a[0], a[1]),
            _mm_unpackhi_epi32(a[0], a[1]),
            _mm_unpacklo_epi32(a[4], a[5]),
            _mm_unpackhi_epi32(a[4], a[5]),
            _mm_unpacklo_epi32(a[2], a[3]),
            _mm_unpackhi_epi32(a[2], a[3]),
            _mm_unpacklo_epi32(a[6], a[7]),
            _mm_unpackhi_epi32(a[6], a[7]),
        ];
        let c: [__m128i; 8] = [
            _mm_unpacklo_epi64(b[0], b[4]),
            _mm_unpackhi_epi64(b[0], b[4]),
            _mm_unpacklo_epi64(b[1], b[5]),
            _mm_unpackhi_epi64(b[1], b[5]),
            _mm_unpacklo_epi64(b[2], b[6]),
            _mm_unpackhi_epi64(b[2], b[6]),
            _mm_unpacklo_epi64(b[3], b[7]),
            _mm_unpackhi_epi64(b[3], b[7]),
        ];
        bytemuck::cast(c)
    }
}
