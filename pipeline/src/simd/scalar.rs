//! Plain code for every processor, and the definition of what the others must compute.

use half::{bf16, f16};

use super::{LANES, LINE, Lanes, Line, Line16, Pick, Row, Starts, TALL, WIDE};

/// Lanes in ordinary registers; the compiler vectorises what it can.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

#[inline(always)]
fn each<T: Copy, U>(a: [T; LANES], f: impl Fn(T) -> U) -> [U; LANES] {
    std::array::from_fn(|l| f(a[l]))
}

#[inline(always)]
fn both<T: Copy, U>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> U) -> [U; LANES] {
    std::array::from_fn(|l| f(a[l], b[l]))
}

/// `a b + c`, rounded once.
///
/// Without an instruction for it the C library would be called for each value. The product of two
/// `f32` is exact in `f64`; the sum is rounded to odd there, so that rounding it to `f32` gives the same
/// as one rounding (Boldo and Melquiond, "Emulation of a FMA and Correctly Rounded Sums", 2008).
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn mul_add(a: f32, b: f32, c: f32) -> f32 {
    if cfg!(any(target_feature = "fma", target_arch = "aarch64")) {
        return a.mul_add(b, c);
    }
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    let part = sum - product;
    let error = (product - (sum - part)) + (c - part);
    let bits = sum.to_bits();
    let is_even = bits & 1 == 0;
    let away = (error > 0.0) == (sum > 0.0);
    // Of a sum that is not finite the error is NaN, and the sum stays as it is.
    let is_inexact = error.abs() > 0.0;
    let odd = if away { bits + 1 } else { bits.wrapping_sub(1) };
    f64::from_bits(if is_even && is_inexact { odd } else { bits }) as f32
}

impl Lanes for Scalar {
    type F = Row<f32>;
    type U = Row<u32>;
    type H = Row<u16>;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, from: &Row<f32>) -> Self::F {
        *from
    }

    #[inline(always)]
    fn store(self, v: Self::F, to: &mut Row<f32>) {
        *to = v;
    }

    #[inline(always)]
    fn widen(self, from: &Row<u16>) -> Self::F {
        each(*from, f32::from)
    }

    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|l| mul_add(a[l], b[l], c[l]))
    }

    #[inline(always)]
    fn join(self, a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|l| if l < 8 { a[l] } else { b[l - 8] })
    }

    #[inline(always)]
    fn between(self, a: Self::F, b: Self::F) -> Self::F {
        std::array::from_fn(|l| if l < 8 { a[l + 8] } else { b[l - 8] })
    }

    #[inline(always)]
    fn sqrt(self, a: Self::F) -> Self::F {
        each(a, f32::sqrt)
    }

    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        both(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn if_le(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F {
        std::array::from_fn(|l| if a[l] <= b[l] { x[l] } else { y[l] })
    }

    #[inline(always)]
    fn splat_u(self, x: u32) -> Self::U {
        [x; LANES]
    }

    #[inline(always)]
    fn load_u(self, from: &Row<u32>) -> Self::U {
        *from
    }

    #[inline(always)]
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, u32::wrapping_add)
    }

    #[inline(always)]
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, u32::wrapping_sub)
    }

    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, |a, b| a & b)
    }

    #[inline(always)]
    fn xor(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, |a, b| a ^ b)
    }

    #[inline(always)]
    fn shift_left<const N: u32>(self, a: Self::U) -> Self::U {
        each(a, |a| a << N)
    }

    #[inline(always)]
    fn shift_right<const N: u32>(self, a: Self::U) -> Self::U {
        each(a, |a| a >> N)
    }

    #[inline(always)]
    fn rotate_left<const N: u32>(self, a: Self::U) -> Self::U {
        each(a, |a| a.rotate_left(N))
    }

    #[inline(always)]
    fn bits(self, a: Self::F) -> Self::U {
        each(a, f32::to_bits)
    }

    #[inline(always)]
    fn as_floats(self, a: Self::U) -> Self::F {
        each(a, f32::from_bits)
    }

    #[inline(always)]
    fn round_i32(self, a: Self::U) -> Self::F {
        each(a, |a| a.cast_signed() as f32)
    }

    #[inline(always)]
    fn pick_index(self, pick: &Pick) -> Self::U {
        pick.near
    }

    #[inline(always)]
    fn close_sum<const W: usize>(
        self,
        line: &Line16,
        starts: Starts,
        near: Self::U,
        weights: &[Self::F; W],
    ) -> Self::F {
        let tap = |k: usize| near.map(|near| line[starts.sixteen + near as usize + k]);
        let mut sum = self.mul(tap(0), weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = self.mul_add(tap(k), *weight, sum);
        }
        sum
    }

    #[inline(always)]
    fn gather(self, line: &Line16, pick: &Pick, offset: usize) -> Self::F {
        let start = pick.starts.sixteen + offset;
        each(pick.near, |near| {
            line[(start + near as usize).min(LINE - 1)]
        })
    }

    #[inline(always)]
    fn to_f16(self, v: Self::F) -> Self::H {
        each(v, |v| f16::from_f32(v).to_bits())
    }

    #[inline(always)]
    fn to_bf16(self, v: Self::F) -> Self::H {
        each(v, |v| bf16::from_f32(v).to_bits())
    }

    #[inline(always)]
    fn store_half(self, v: Self::H, to: &mut Row<u16>) {
        *to = v;
    }

    #[inline(always)]
    fn stream(self, v: Self::F, to: &mut Line) {
        to.0 = bytemuck::cast(v);
    }

    #[inline(always)]
    fn stream_half(self, v: [Self::H; 2], to: &mut Line) {
        to.0 = bytemuck::cast(v);
    }

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn turn_words(self, from: &[u16], to: &mut [u16], stride: usize) {
        turn(from, to, stride);
    }

    #[inline(always)]
    fn turn_floats(self, from: &[f32], to: &mut [f32], stride: usize) {
        turn(from, to, stride);
    }
}

/// [`Lanes::turn_words`] of anything.
fn turn<P: Copy>(from: &[P], to: &mut [P], stride: usize) {
    for (r, c) in (0..WIDE).flat_map(|r| (0..TALL).map(move |c| (r, c))) {
        to[r * stride + c] = from[c * stride + r];
    }
}

#[cfg(test)]
mod tests {
    use super::mul_add;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn products_and_sums_are_rounded_once(a in any::<u32>(), b in any::<u32>(), c in any::<u32>()) {
            let [a, b, c] = [a, b, c].map(f32::from_bits);
            let (found, expected) = (mul_add(a, b, c), a.mul_add(b, c));
            prop_assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan());
        }

        #[test]
        fn sums_that_nearly_cancel_or_tie_are_rounded_once(a in -4096_i32..4096, b in -4096_i32..4096, d in -3_i32..4, k in 0_i32..40) {
            let scale = 2_f32.powi(-k);
            let (a, b) = (a as f32 * 4_097.0, b as f32 * scale);
            let c = -(a * b) + d as f32 * scale * 2_f32.powi(-12);
            prop_assert_eq!(mul_add(a, b, c).to_bits(), a.mul_add(b, c).to_bits());
        }
    }
}
