//! The bit shuffle and its inverse where the processor transposes eight by eight bits in one instruction:
//! GFNI's affine transformation, of the identity, with the bits as the matrix.
//!
//! Steps take 64 bytes of each plane, 512 elements. The last step overlaps with the one before it, and writes
//! the same bytes again.

use std::arch::x86_64::*;

/// Bytes of a plane, and elements of a register of bytes, in one step.
const STEP: usize = 64;

/// Bytes of the elements of a step.
const VALUES: usize = STEP * 16;

/// Byte `k` is bit `k`: multiplied by a matrix it gives the matrix's column `k`.
const IDENTITY: i64 = 0x8040_2010_0804_0201_u64.cast_signed();

/// Whether this processor has what [`unshuffle`] and [`shuffle`] need.
pub(super) fn is_here() -> bool {
    std::arch::is_x86_feature_detected!("gfni")
        && std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
        && std::arch::is_x86_feature_detected!("avx512vbmi")
}

/// Planes to elements; gives how many bytes of each plane are done: all, or none of short ones.
#[target_feature(enable = "gfni,avx512f,avx512bw,avx512vbmi")]
pub(super) fn unshuffle(bits: &[u8], values: &mut [u8]) -> usize {
    let size = bits.len() / 16;
    if size < STEP {
        return 0;
    }
    let rows = load(&ROWS_OF_GROUPS);
    for step in 0..size.div_ceil(STEP) {
        let at = (step * STEP).min(size - STEP);
        let mut planes = [[_mm512_setzero_si512(); 8]; 2];
        for p in 0..16 {
            planes[p / 8][p % 8] = load_at(bits, p * size + at);
        }
        let [low, high] = [transpose(planes[0]), transpose(planes[1])];
        let out = &mut values[at * 16..][..VALUES];
        for t in 0..8 {
            let low = transpose_bits(_mm512_permutexvar_epi8(rows, low[t]));
            let high = transpose_bits(_mm512_permutexvar_epi8(rows, high[t]));
            store_at(_mm512_unpacklo_epi8(low, high), out, 2 * t * STEP);
            store_at(_mm512_unpackhi_epi8(low, high), out, (2 * t + 1) * STEP);
        }
    }
    size
}

/// Elements to planes; gives how many bytes of each plane are done: all, or none of short ones.
#[target_feature(enable = "gfni,avx512f,avx512bw,avx512vbmi")]
pub(super) fn shuffle(values: &[u8], planes: &mut [u8]) -> usize {
    let size = planes.len() / 16;
    if size < STEP {
        return 0;
    }
    let halves = [load(&LOW_BYTES), load(&HIGH_BYTES)];
    let groups = load(&GROUPS_OF_PLANES);
    for step in 0..size.div_ceil(STEP) {
        let at = (step * STEP).min(size - STEP);
        let values = &values[at * 16..][..VALUES];
        for (h, half) in halves.into_iter().enumerate() {
            let mut rows = [_mm512_setzero_si512(); 8];
            for (t, row) in rows.iter_mut().enumerate() {
                let first = load_at(values, 2 * t * STEP);
                let second = load_at(values, (2 * t + 1) * STEP);
                let bytes = _mm512_permutex2var_epi8(first, half, second);
                *row = _mm512_permutexvar_epi8(groups, transpose_bits(bytes));
            }
            let rows = transpose(rows);
            for (p, row) in rows.into_iter().enumerate() {
                store_at(row, planes, (8 * h + p) * size + at);
            }
        }
    }
    size
}

/// Bit `i` of byte `k` becomes bit `k` of byte `7 - i`, in every eight bytes: who wants a transposition
/// reverses the bytes before.
#[inline]
#[target_feature(enable = "gfni,avx512f")]
fn transpose_bits(matrix: __m512i) -> __m512i {
    _mm512_gf2p8affine_epi64_epi8::<0>(_mm512_set1_epi64(IDENTITY), matrix)
}

/// Eight bytes `t` of register `p` become eight bytes `p` of register `t`.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(r: [__m512i; 8]) -> [__m512i; 8] {
    let mut out = r;
    for odd in 0..2 {
        let mut pairs = [r[0]; 4];
        for (p, pair) in pairs.iter_mut().enumerate() {
            let (a, b) = (r[2 * p], r[2 * p + 1]);
            *pair = if odd == 0 {
                _mm512_unpacklo_epi64(a, b)
            } else {
                _mm512_unpackhi_epi64(a, b)
            };
        }
        // What is left is to transpose four by four quarters of registers.
        let [a, b, c, d] = pairs;
        let (ab, cd) = (even_quarters(a, b), even_quarters(c, d));
        out[odd] = even_quarters(ab, cd);
        out[4 + odd] = odd_quarters(ab, cd);
        let (ab, cd) = (odd_quarters(a, b), odd_quarters(c, d));
        out[2 + odd] = even_quarters(ab, cd);
        out[6 + odd] = odd_quarters(ab, cd);
    }
    out
}

#[inline]
#[target_feature(enable = "avx512f")]
fn even_quarters(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0b10_00_10_00>(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn odd_quarters(a: __m512i, b: __m512i) -> __m512i {
    _mm512_shuffle_i64x2::<0b11_01_11_01>(a, b)
}

/// Where byte `b` of eight bytes `q` comes from.
macro_rules! bytes {
    (|$q:ident, $b:ident| $from:expr) => {{
        let mut index = [0_u8; 64];
        let (mut at, mut byte) = (0_usize, 0_u8);
        while at < 64 {
            let ($q, $b) = (byte / 8, byte % 8);
            index[at] = $from;
            (at, byte) = (at + 1, byte + 1);
        }
        index
    }};
}

/// From eight bytes of each of eight planes to a byte of all planes, the last first, for each of eight groups
/// of elements, in the order in which interleaving takes them.
const ROWS_OF_GROUPS: [u8; 64] = bytes!(|q, b| (7 - b) * 8 + q / 2 + q % 2 * 4);

/// From a byte of all planes for each of eight groups to eight bytes of each plane.
const GROUPS_OF_PLANES: [u8; 64] = bytes!(|q, b| b * 8 + q);

/// The low bytes of 64 elements, the last of eight first.
const LOW_BYTES: [u8; 64] = bytes!(|q, b| (q * 8 + 7 - b) * 2);

const HIGH_BYTES: [u8; 64] = bytes!(|q, b| (q * 8 + 7 - b) * 2 + 1);

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; STEP]) -> __m512i {
    #[expect(unsafe_code, reason = "instructions of AVX-512 (ADR 0011)")]
    // SAFETY: reads the 64 bytes that the reference is to, at any alignment.
    unsafe {
        _mm512_loadu_si512(bytes.as_ptr().cast())
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_at(bytes: &[u8], at: usize) -> __m512i {
    match bytes[at..].first_chunk() {
        Some(bytes) => load(bytes),
        None => _mm512_setzero_si512(),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_at(value: __m512i, bytes: &mut [u8], at: usize) {
    if let Some(bytes) = bytes[at..].first_chunk_mut::<STEP>() {
        #[expect(unsafe_code, reason = "instructions of AVX-512 (ADR 0011)")]
        // SAFETY: writes the 64 bytes that the reference is to, at any alignment.
        unsafe {
            _mm512_storeu_si512(bytes.as_mut_ptr().cast(), value);
        }
    }
}
