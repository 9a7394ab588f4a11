//! Lanes in two registers of AVX2: lanes 0 to 7 and 8 to 15.

#![expect(unsafe_code, reason = "instructions of AVX2, and streaming stores")]

use std::arch::x86_64::*;

use super::{LANES, LINE, Lanes, Line, Line16, Pick, Row, Starts};

/// Proof that the processor has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        let path = super::SimdPath::Avx2;
        path.check().is_ok().then_some(Self(()))
    }
}

/// Calls intrinsics.
macro_rules! vector {
    ($($body:tt)*) => {
        // SAFETY: a value of `Avx2` exists only where the processor has the instructions; memory is
        // reached through references to at least as many values as the instruction touches.
        unsafe { $($body)* }
    };
}

/// Does the same with both registers.
macro_rules! halves {
    ($intrinsic:ident $(::<$constant:tt>)?, $($argument:ident),+) => {
        vector!([
            $intrinsic$(::<$constant>)?($($argument[0]),+),
            $intrinsic$(::<$constant>)?($($argument[1]),+),
        ])
    };
}

type Floats = [__m256; 2];
type Words = [__m256i; 2];

#[inline(always)]
fn split<T>(row: &Row<T>) -> (&[T; 8], &[T; 8]) {
    let (low, high) = row.split_at(8);
    match (low.first_chunk(), high.first_chunk()) {
        (Some(low), Some(high)) => (low, high),
        _ => unreachable!("a row is two times eight values"),
    }
}

impl Lanes for Avx2 {
    type F = Floats;
    type U = Words;
    type H = [__m128i; 2];

    #[inline(always)]
    fn splat(self, x: f32) -> Floats {
        vector!([_mm256_set1_ps(x); 2])
    }

    #[inline(always)]
    fn load(self, from: &Row<f32>) -> Floats {
        let (low, high) = split(from);
        vector!([
            _mm256_loadu_ps(low.as_ptr()),
            _mm256_loadu_ps(high.as_ptr())
        ])
    }

    #[inline(always)]
    fn store(self, v: Floats, to: &mut Row<f32>) {
        let (low, high) = to.split_at_mut(8);
        vector!({
            _mm256_storeu_ps(low.as_mut_ptr(), v[0]);
            _mm256_storeu_ps(high.as_mut_ptr(), v[1]);
        });
    }

    #[inline(always)]
    fn widen(self, from: &Row<u16>) -> Floats {
        let (low, high) = split(from);
        let [low, high] = [low, high].map(|half| half.as_ptr().cast());
        vector!([
            _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(low))),
            _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(_mm_loadu_si128(high))),
        ])
    }

    #[inline(always)]
    fn add(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_add_ps, a, b)
    }

    #[inline(always)]
    fn sub(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_sub_ps, a, b)
    }

    #[inline(always)]
    fn mul(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_mul_ps, a, b)
    }

    #[inline(always)]
    fn div(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_div_ps, a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: Floats, b: Floats, c: Floats) -> Floats {
        halves!(_mm256_fmadd_ps, a, b, c)
    }

    #[inline(always)]
    fn join(self, a: Floats, b: Floats) -> Floats {
        [a[0], b[0]]
    }

    #[inline(always)]
    fn between(self, a: Floats, b: Floats) -> Floats {
        [a[1], b[0]]
    }

    #[inline(always)]
    fn sqrt(self, a: Floats) -> Floats {
        halves!(_mm256_sqrt_ps, a)
    }

    #[inline(always)]
    fn min(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_min_ps, a, b)
    }

    #[inline(always)]
    fn max(self, a: Floats, b: Floats) -> Floats {
        halves!(_mm256_max_ps, a, b)
    }

    #[inline(always)]
    fn if_le(self, a: Floats, b: Floats, x: Floats, y: Floats) -> Floats {
        let is_le = halves!(_mm256_cmp_ps::<_CMP_LE_OQ>, a, b);
        halves!(_mm256_blendv_ps, y, x, is_le)
    }

    /// Eight lanes after the other eight: all sixteen at once have more values than there are registers.
    #[inline(always)]
    fn middle_out<const N: usize>(
        self,
        rows: &[Row<f32>],
        len: usize,
        weights: &[Floats; N],
    ) -> [Floats; 2] {
        if rows.len() <= (2 * N - 1) * len {
            return [self.splat(0.0); 2];
        }
        let (low, stride) = (rows.as_ptr().cast::<f32>(), LANES * len);
        // SAFETY: there are `2 N` rows, as the last is there, and each vector of them has sixteen values; a value of
        // `Avx2` exists only where the processor has the instructions.
        let [low, high] = unsafe {
            [
                two_middle_out(low, stride, weights),
                two_middle_out(low.add(8), stride, weights),
            ]
        };
        [[low[0], high[0]], [low[1], high[1]]]
    }

    #[inline(always)]
    fn splat_u(self, x: u32) -> Words {
        vector!([_mm256_set1_epi32(x.cast_signed()); 2])
    }

    #[inline(always)]
    fn load_u(self, from: &Row<u32>) -> Words {
        let (low, high) = split(from);
        let [low, high] = [low, high].map(|half| half.as_ptr().cast());
        vector!([_mm256_loadu_si256(low), _mm256_loadu_si256(high)])
    }

    #[inline(always)]
    fn add_u(self, a: Words, b: Words) -> Words {
        halves!(_mm256_add_epi32, a, b)
    }

    #[inline(always)]
    fn sub_u(self, a: Words, b: Words) -> Words {
        halves!(_mm256_sub_epi32, a, b)
    }

    #[inline(always)]
    fn and(self, a: Words, b: Words) -> Words {
        halves!(_mm256_and_si256, a, b)
    }

    #[inline(always)]
    fn xor(self, a: Words, b: Words) -> Words {
        halves!(_mm256_xor_si256, a, b)
    }

    #[inline(always)]
    fn shift_left<const N: u32>(self, a: Words) -> Words {
        vector!({
            let count = _mm_cvtsi32_si128(N.cast_signed());
            [_mm256_sll_epi32(a[0], count), _mm256_sll_epi32(a[1], count)]
        })
    }

    #[inline(always)]
    fn shift_right<const N: u32>(self, a: Words) -> Words {
        vector!({
            let count = _mm_cvtsi32_si128(N.cast_signed());
            [_mm256_srl_epi32(a[0], count), _mm256_srl_epi32(a[1], count)]
        })
    }

    #[inline(always)]
    fn rotate_left<const N: u32>(self, a: Words) -> Words {
        vector!({
            let left = _mm_cvtsi32_si128(N.cast_signed());
            let right = _mm_cvtsi32_si128(32 - N.cast_signed());
            let [low, high] = a;
            [
                _mm256_or_si256(_mm256_sll_epi32(low, left), _mm256_srl_epi32(low, right)),
                _mm256_or_si256(_mm256_sll_epi32(high, left), _mm256_srl_epi32(high, right)),
            ]
        })
    }

    #[inline(always)]
    fn bits(self, a: Floats) -> Words {
        halves!(_mm256_castps_si256, a)
    }

    #[inline(always)]
    fn as_floats(self, a: Words) -> Floats {
        halves!(_mm256_castsi256_ps, a)
    }

    #[inline(always)]
    fn round_i32(self, a: Words) -> Floats {
        halves!(_mm256_cvtepi32_ps, a)
    }

    #[inline(always)]
    fn pick_index(self, pick: &Pick) -> Words {
        self.load_u(&pick.half)
    }

    #[inline(always)]
    fn close_sum<const W: usize>(
        self,
        line: &Line16,
        starts: Starts,
        index: Words,
        weights: &[Floats; W],
    ) -> Floats {
        let [low, high] = starts.eights;
        let (Some(low), Some(high)) = (
            line.get(low..low + 8 + W - 1),
            line.get(high..high + 8 + W - 1),
        ) else {
            return self.splat(0.0);
        };
        // SAFETY: both windows hold eight values from every `k` below `W` on; the processor has AVX2.
        let tap = |k: usize| unsafe {
            [
                _mm256_permutevar8x32_ps(_mm256_loadu_ps(low.as_ptr().add(k)), index[0]),
                _mm256_permutevar8x32_ps(_mm256_loadu_ps(high.as_ptr().add(k)), index[1]),
            ]
        };
        let mut sum = self.mul(tap(0), weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = self.mul_add(tap(k), *weight, sum);
        }
        sum
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "places in a line")]
    fn gather(self, line: &Line16, pick: &Pick, offset: usize) -> Floats {
        let start = self.splat_u((pick.starts.sixteen + offset) as u32);
        let index = self.add_u(self.load_u(&pick.near), start);
        let last = self.splat_u(LINE as u32 - 1);
        // SAFETY: no index is beyond the last of the line's values; the processor has AVX2.
        unsafe {
            [
                _mm256_i32gather_ps::<4>(line.as_ptr(), _mm256_min_epu32(index[0], last[0])),
                _mm256_i32gather_ps::<4>(line.as_ptr(), _mm256_min_epu32(index[1], last[1])),
            ]
        }
    }

    #[inline(always)]
    fn to_f16(self, v: Floats) -> [__m128i; 2] {
        halves!(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>, v)
    }

    #[inline(always)]
    fn to_bf16(self, v: Floats) -> [__m128i; 2] {
        vector!({
            let rounded = [bf16_words(v[0]), bf16_words(v[1])];
            // Packing works within halves of registers: lanes 0-3, 8-11, 4-7, 12-15 come out.
            let packed = _mm256_packus_epi32(rounded[0], rounded[1]);
            let ordered = _mm256_permute4x64_epi64::<0b11_01_10_00>(packed);
            [
                _mm256_castsi256_si128(ordered),
                _mm256_extracti128_si256::<1>(ordered),
            ]
        })
    }

    #[inline(always)]
    fn store_half(self, v: [__m128i; 2], to: &mut Row<u16>) {
        let (low, high) = to.split_at_mut(8);
        vector!({
            _mm_storeu_si128(low.as_mut_ptr().cast(), v[0]);
            _mm_storeu_si128(high.as_mut_ptr().cast(), v[1]);
        });
    }

    #[inline(always)]
    fn stream(self, v: Floats, to: &mut Line) {
        let (low, high) = to.0.split_at_mut(32);
        // `Line` is aligned to 64 bytes: both halves have the alignment that these stores need.
        vector!({
            _mm256_stream_ps(low.as_mut_ptr().cast(), v[0]);
            _mm256_stream_ps(high.as_mut_ptr().cast(), v[1]);
        });
    }

    #[inline(always)]
    fn stream_half(self, v: [[__m128i; 2]; 2], to: &mut Line) {
        let (low, high) = to.0.split_at_mut(32);
        vector!({
            let both = v.map(|v| _mm256_set_m128i(v[1], v[0]));
            _mm256_stream_si256(low.as_mut_ptr().cast(), both[0]);
            _mm256_stream_si256(high.as_mut_ptr().cast(), both[1]);
        });
    }

    #[inline(always)]
    fn fence(self) {
        vector!(_mm_sfence());
    }

    #[inline(always)]
    fn turn_words(self, from: &[u16], to: &mut [u16], stride: usize) {
        vector!(super::transpose::turn_words(from, to, stride));
    }

    #[inline(always)]
    fn turn_floats(self, from: &[f32], to: &mut [f32], stride: usize) {
        vector!(super::transpose::turn_floats(from, to, stride));
    }
}

/// Sums of `2 N - 1` rows around row `N - 1` and around the next, from the middle outwards. A row is loaded once:
/// what is `k` below one middle is `k - 1` below the other.
///
/// # Safety
/// The processor must have AVX2 and FMA; of `2 N` rows, `stride` values from one to the next, the first eight values
/// must be there.
#[inline(always)]
unsafe fn two_middle_out<const N: usize>(
    rows: *const f32,
    stride: usize,
    weights: &[Floats; N],
) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut above = _mm256_loadu_ps(rows.add((N - 1) * stride));
        let mut below = _mm256_loadu_ps(rows.add(N * stride));
        let mut first = _mm256_mul_ps(above, weights[0][0]);
        let mut second = _mm256_mul_ps(below, weights[0][0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            let up = _mm256_loadu_ps(rows.add((N - 1 - k) * stride));
            let down = _mm256_loadu_ps(rows.add((N + k) * stride));
            first = _mm256_fmadd_ps(_mm256_add_ps(up, below), weight[0], first);
            second = _mm256_fmadd_ps(_mm256_add_ps(above, down), weight[0], second);
            (above, below) = (up, down);
        }
        [first, second]
    }
}

/// `bf16` in the low half of 32 bits.
#[inline(always)]
fn bf16_words(v: __m256) -> __m256i {
    vector!({
        let bits = _mm256_castps_si256(v);
        let high = _mm256_srli_epi32::<16>(bits);
        let is_odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
        let half = _mm256_add_epi32(is_odd, _mm256_set1_epi32(0x7FFF));
        let rounded = _mm256_srli_epi32::<16>(_mm256_add_epi32(bits, half));
        let quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
        let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(v, v));
        _mm256_blendv_epi8(rounded, quiet, is_nan)
    })
}
