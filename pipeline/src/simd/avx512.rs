//! Lanes in one register of AVX-512.

#![expect(unsafe_code, reason = "instructions of AVX-512, and streaming stores")]

use std::arch::x86_64::*;

use super::{LANES, LINE, Lanes, Line, Line16, Pick, Row, Starts};

/// Proof that the processor has AVX-512 F, BW, DQ and VL, AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(super) fn detect() -> Option<Self> {
        let path = super::SimdPath::Avx512;
        path.check().is_ok().then_some(Self(()))
    }
}

/// Calls intrinsics.
macro_rules! vector {
    ($($body:tt)*) => {
        // SAFETY: a value of `Avx512` exists only where the processor has the instructions; memory is
        // reached through references to exactly as many values as the instruction touches.
        unsafe { $($body)* }
    };
}

/// A sum outwards of up to 7 weights: values before by shifts of registers, those `K` behind as `$high` gives them.
macro_rules! outwards {
    ($lanes:ident, [$before:ident, $here:ident], $weights:ident, $k:ident => $high:expr) => {
        outwards!(@ $lanes, $before, $here, $weights, $k, $high, 1 2 3 4 5 6)
    };
    (@ $lanes:ident, $before:ident, $here:ident, $weights:ident, $k:ident, $high:expr, $($n:literal)*) => {{
        let (before, middle) = ($lanes.bits($before), $lanes.bits($here));
        let mut sum = $lanes.mul($here, $weights[0]);
        $(if let Some(weight) = $weights.get($n) {
            const $k: i32 = $n;
            let low = vector!(_mm512_alignr_epi32::<{ 16 - $n }>(middle, before));
            let pair = $lanes.add($lanes.as_floats(low), $high);
            sum = $lanes.mul_add(pair, *weight, sum);
        })*
        sum
    }};
}

/// Four registers through a place that the compiler cannot look into: it would put what is done to one of them
/// after what is done to another, since that takes fewer registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn abreast([mut a, mut b, mut c, mut d]: [__m512; 4]) -> [__m512; 4] {
    // SAFETY: no instruction, only a comment.
    unsafe {
        std::arch::asm!(
            "/* {} {} {} {} */",
            inout(zmm_reg) a,
            inout(zmm_reg) b,
            inout(zmm_reg) c,
            inout(zmm_reg) d,
            options(nomem, nostack, preserves_flags),
        );
    }
    [a, b, c, d]
}

impl Lanes for Avx512 {
    type F = __m512;
    type U = __m512i;
    type H = __m256i;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        vector!(_mm512_set1_ps(x))
    }

    #[inline(always)]
    fn load(self, from: &Row<f32>) -> __m512 {
        vector!(_mm512_loadu_ps(from.as_ptr()))
    }

    #[inline(always)]
    fn store(self, v: __m512, to: &mut Row<f32>) {
        vector!(_mm512_storeu_ps(to.as_mut_ptr(), v));
    }

    #[inline(always)]
    fn widen(self, from: &Row<u16>) -> __m512 {
        vector!({
            let words = _mm256_loadu_si256(from.as_ptr().cast());
            _mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(words))
        })
    }

    #[inline(always)]
    fn abreast(self, v: [__m512; 4]) -> [__m512; 4] {
        vector!(abreast(v))
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_add_ps(a, b))
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_sub_ps(a, b))
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_mul_ps(a, b))
    }

    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_div_ps(a, b))
    }

    #[inline(always)]
    fn mul_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        vector!(_mm512_fmadd_ps(a, b, c))
    }

    #[inline(always)]
    fn join(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_insertf32x8::<1>(a, _mm512_castps512_ps256(b)))
    }

    #[inline(always)]
    fn between(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_shuffle_f32x4::<0b01_00_11_10>(a, b))
    }

    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        vector!(_mm512_sqrt_ps(a))
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_min_ps(a, b))
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        vector!(_mm512_max_ps(a, b))
    }

    #[inline(always)]
    fn if_le(self, a: __m512, b: __m512, x: __m512, y: __m512) -> __m512 {
        vector!(_mm512_mask_blend_ps(
            _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b),
            y,
            x
        ))
    }

    /// Up to six neighbours come from the vectors before and behind, in registers: nearly every load of
    /// theirs would touch two cache lines.
    #[inline(always)]
    fn outwards<const N: usize>(
        self,
        values: &[f32],
        place: usize,
        weights: &[__m512; N],
    ) -> __m512 {
        let start = place.wrapping_sub(LANES);
        let around = values.get(start..).and_then(|v| v.first_chunk::<48>());
        let Some(around) = around.filter(|_| N <= 7) else {
            return super::outwards(self, values, place, weights);
        };
        let [before, here, behind]: &[Row<f32>; 3] = bytemuck::cast_ref(around);
        let around = [self.load(before), self.load(here), self.load(behind)];
        self.outwards_of(around, weights)
    }

    #[inline(always)]
    fn pick(self, v: __m512, index: __m512i) -> __m512 {
        vector!(_mm512_permutexvar_ps(index, v))
    }

    const MANY_REGISTERS: bool = true;

    const SHIFTS: bool = true;

    #[inline(always)]
    fn outwards_of<const N: usize>(
        self,
        [before, here, behind]: [__m512; 3],
        weights: &[__m512; N],
    ) -> __m512 {
        if N > 7 {
            return self.splat(0.0);
        }
        let (middle, behind) = (self.bits(here), self.bits(behind));
        outwards!(self, [before, here], weights, K => {
            self.as_floats(vector!(_mm512_alignr_epi32::<K>(behind, middle)))
        })
    }

    /// Half of the shifts by loads: registers and memory are busy for half the time that either would be alone.
    #[inline(always)]
    fn outwards_from<const N: usize>(
        self,
        [before, here]: [__m512; 2],
        values: &[f32; LANES + 6],
        weights: &[__m512; N],
    ) -> __m512 {
        if N > 7 {
            return self.splat(0.0);
        }
        outwards!(self, [before, here], weights, K => match values[K as usize..].first_chunk() {
            Some(high) => self.load(high),
            None => self.splat(0.0),
        })
    }

    #[inline(always)]
    fn splat_u(self, x: u32) -> __m512i {
        vector!(_mm512_set1_epi32(x.cast_signed()))
    }

    #[inline(always)]
    fn load_u(self, from: &Row<u32>) -> __m512i {
        vector!(_mm512_loadu_si512(from.as_ptr().cast()))
    }

    #[inline(always)]
    fn add_u(self, a: __m512i, b: __m512i) -> __m512i {
        vector!(_mm512_add_epi32(a, b))
    }

    #[inline(always)]
    fn sub_u(self, a: __m512i, b: __m512i) -> __m512i {
        vector!(_mm512_sub_epi32(a, b))
    }

    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        vector!(_mm512_and_si512(a, b))
    }

    #[inline(always)]
    fn xor(self, a: __m512i, b: __m512i) -> __m512i {
        vector!(_mm512_xor_si512(a, b))
    }

    #[inline(always)]
    fn shift_left<const N: u32>(self, a: __m512i) -> __m512i {
        vector!(_mm512_slli_epi32::<N>(a))
    }

    #[inline(always)]
    fn shift_right<const N: u32>(self, a: __m512i) -> __m512i {
        vector!(_mm512_srli_epi32::<N>(a))
    }

    #[inline(always)]
    fn rotate_left<const N: u32>(self, a: __m512i) -> __m512i {
        // The intrinsic takes its count as another type than the trait.
        vector!(_mm512_rolv_epi32(a, _mm512_set1_epi32(N.cast_signed())))
    }

    #[inline(always)]
    fn bits(self, a: __m512) -> __m512i {
        vector!(_mm512_castps_si512(a))
    }

    #[inline(always)]
    fn as_floats(self, a: __m512i) -> __m512 {
        vector!(_mm512_castsi512_ps(a))
    }

    #[inline(always)]
    fn round_i32(self, a: __m512i) -> __m512 {
        vector!(_mm512_cvtepi32_ps(a))
    }

    #[inline(always)]
    fn pick_index(self, pick: &Pick) -> __m512i {
        self.load_u(&pick.near)
    }

    #[inline(always)]
    fn close_sum<const W: usize>(
        self,
        line: &Line16,
        starts: Starts,
        index: __m512i,
        weights: &[__m512; W],
    ) -> __m512 {
        let start = starts.sixteen;
        let Some(window) = line.get(start..start + LANES + W - 1) else {
            return self.splat(0.0);
        };
        // SAFETY: `window` holds sixteen values from every `k` below `W` on; the processor has AVX-512.
        let tap = |k: usize| unsafe {
            _mm512_permutexvar_ps(index, _mm512_loadu_ps(window.as_ptr().add(k)))
        };
        let mut sum = self.mul(tap(0), weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = self.mul_add(tap(k), *weight, sum);
        }
        sum
    }

    const PICKS_WORDS: bool = true;

    /// The low halves choose a word of the row, the high ones the upper half of 2^23: as a float that is 2^23 plus the
    /// word.
    #[inline(always)]
    fn word_index(self, pick: &Pick) -> __m512i {
        self.add_u(self.load_u(&pick.near), self.splat_u(32 << 16))
    }

    #[inline(always)]
    fn word_sum<const W: usize>(
        self,
        words: &[u16],
        index: __m512i,
        weights: &[__m512; W],
    ) -> __m512 {
        let window = match words.first_chunk::<32>() {
            Some(whole) => vector!(_mm512_loadu_si512(whole.as_ptr().cast())),
            None => {
                let there = (1_u32 << words.len()) - 1;
                // SAFETY: what is beyond `words` is not touched; the processor has AVX-512 BW.
                unsafe { _mm512_maskz_loadu_epi16(there, words.as_ptr().cast()) }
            }
        };
        window_sum(self, window, index, weights)
    }

    /// Without a question between two rows: the loop is as long as what it computes.
    #[inline(always)]
    fn word_sums<const W: usize>(
        self,
        (words, native): (&[u16], usize),
        rows: usize,
        index: __m512i,
        weights: &[__m512; W],
        (out, stride): (&mut [f32], usize),
    ) {
        let fit = |len: usize, window: usize, step: usize| match len.checked_sub(window) {
            Some(rest) => rest / step.max(1) + 1,
            None => 0,
        };
        let whole = rows
            .min(fit(words.len(), 32, native))
            .min(fit(out.len(), LANES, stride));
        for row in 0..whole {
            // SAFETY: `whole` rows of 32 words, `native` apart, fit into `words`, and as many of sixteen values,
            // `stride` apart, into `out`; the processor has AVX-512.
            unsafe {
                let window = _mm512_loadu_si512(words.as_ptr().add(row * native).cast());
                let sum = window_sum(self, window, index, weights);
                _mm512_storeu_ps(out.as_mut_ptr().add(row * stride), sum);
            }
        }
        for row in whole..rows {
            let Some(words) = words.get(row * native..) else {
                return;
            };
            if let Some(out) = out[row * stride..].first_chunk_mut() {
                self.store(self.word_sum(words, index, weights), out);
            }
        }
    }

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "places in a line")]
    fn gather(self, line: &Line16, pick: &Pick, offset: usize) -> __m512 {
        let start = self.splat_u((pick.starts.sixteen + offset) as u32);
        let index = self.add_u(self.load_u(&pick.near), start);
        let last = self.splat_u(LINE as u32 - 1);
        // SAFETY: no index is beyond the last of the line's values; the processor has AVX-512.
        unsafe { _mm512_i32gather_ps::<4>(_mm512_min_epu32(index, last), line.as_ptr().cast()) }
    }

    #[inline(always)]
    fn to_f16(self, v: __m512) -> __m256i {
        vector!(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v))
    }

    #[inline(always)]
    fn to_bf16(self, v: __m512) -> __m256i {
        vector!({
            let bits = _mm512_castps_si512(v);
            let high = _mm512_srli_epi32::<16>(bits);
            let is_odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
            let half = _mm512_add_epi32(is_odd, _mm512_set1_epi32(0x7FFF));
            let rounded = _mm512_srli_epi32::<16>(_mm512_add_epi32(bits, half));
            let quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
            let is_nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(v, v);
            _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, rounded, quiet))
        })
    }

    #[inline(always)]
    fn store_half(self, v: __m256i, to: &mut Row<u16>) {
        vector!(_mm256_storeu_si256(to.as_mut_ptr().cast(), v));
    }

    #[inline(always)]
    fn stream(self, v: __m512, to: &mut Line) {
        // `Line` is aligned to the 64 bytes that this store needs.
        vector!(_mm512_stream_ps(to.0.as_mut_ptr().cast(), v));
    }

    #[inline(always)]
    fn stream_half(self, v: [__m256i; 2], to: &mut Line) {
        vector!({
            let both = _mm512_inserti64x4::<1>(_mm512_castsi256_si512(v[0]), v[1]);
            _mm512_stream_si512(to.0.as_mut_ptr().cast(), both);
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

/// A subtraction, or the first product's sum, is all that conversion to floats takes.
#[inline(always)]
fn window_sum<const W: usize>(
    lanes: Avx512,
    window: __m512i,
    index: __m512i,
    weights: &[__m512; W],
) -> __m512 {
    const ABOVE: f32 = 8_388_608.0;
    let mut sum = lanes.splat(0.0);
    let mut index = index;
    for (k, &weight) in weights.iter().enumerate() {
        let above = lanes.bits(lanes.splat(ABOVE));
        // In both halves of 32 bits the upper half of `ABOVE`.
        let above = vector!(_mm512_or_si512(above, _mm512_srli_epi32::<16>(above)));
        let tap = vector!(_mm512_permutex2var_epi16(window, index, above));
        let tap = lanes.as_floats(tap);
        sum = if k == 0 {
            // The weight times 2^23 is exact: what is rounded is its product with the word, once.
            lanes.mul_add(tap, weight, lanes.mul(weight, lanes.splat(-ABOVE)))
        } else {
            lanes.mul_add(lanes.sub(tap, lanes.splat(ABOVE)), weight, sum)
        };
        index = lanes.add_u(index, lanes.splat_u(1));
    }
    sum
}

const _: () = assert!(size_of::<__m512>() == size_of::<Row<f32>>() && LANES == 16);
