//! Sixteen numbers at a time, the same bits on every processor.
//!
//! Kernels are written once, over [`Lanes`]: sixteen logical lanes, whatever the width of the
//! registers. Every operation is rounded as IEEE 754 says, products and sums are fused only where a
//! kernel says so ([`Lanes::mul_add`]), and sums over many values have the order of the lanes; so all
//! three implementations give the same bits, and which one runs is a question of speed alone.
//!
//! A fourth implementation computes nothing and counts operations (`counting`).
//!
//! `unsafe` stands in `avx2.rs`, `avx512.rs`, `transpose.rs` and the macro `kernel`; each says there why it holds:
//! a value of type `Avx2` or `Avx512` is made only where the processor has been asked for its features.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod counting;
mod kernel;
mod path;
mod peak;
mod scalar;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod transpose;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use counting::Counting;
pub(crate) use kernel::kernel;
pub(crate) use path::Simd;
pub use path::{SimdError, SimdPath};
pub use peak::{FusedWay, fused_products, normal_numbers};
pub(crate) use scalar::Scalar;

/// Logical lanes.
pub(crate) const LANES: usize = 16;

/// Sixteen values in memory.
pub(crate) type Row<T> = [T; LANES];

/// A row of pixels as `f32`: the longest has 240, and vectors may read sixteen and the taps beyond.
pub(crate) type Line16 = [f32; LINE];

/// Values of a [`Line16`].
pub(crate) const LINE: usize = 272;

/// One cache line, the unit of streaming stores.
#[derive(Debug, Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct Line(pub(crate) [u8; 64]);

/// Arithmetic on sixteen lanes. Methods are always inlined, so that a whole kernel is compiled for one
/// kind of register.
pub trait Lanes: Copy {
    /// Sixteen `f32`.
    type F: Copy;
    /// Sixteen `u32`.
    type U: Copy;
    /// Sixteen half-precision numbers, as bits.
    type H: Copy;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, from: &Row<f32>) -> Self::F;
    fn store(self, v: Self::F, to: &mut Row<f32>);
    /// Widens sixteen unsigned integers.
    fn widen(self, from: &Row<u16>) -> Self::F;

    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a b + c`, rounded once.
    fn mul_add(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// Lanes 0 to 7 of `a`, then lanes 0 to 7 of `b`.
    fn join(self, a: Self::F, b: Self::F) -> Self::F;
    /// Lanes 8 to 15 of `a`, then lanes 0 to 7 of `b`: what lies between two vectors that follow one another.
    fn between(self, a: Self::F, b: Self::F) -> Self::F;
    fn sqrt(self, a: Self::F) -> Self::F;
    /// `if a < b { a } else { b }`.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a > b { a } else { b }`.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `if a <= b { x } else { y }`.
    fn if_le(self, a: Self::F, b: Self::F, x: Self::F, y: Self::F) -> Self::F;

    /// The sum of sixteen values from `place` on, each with those around it, from the middle outwards:
    /// those `k` before and behind are added up and then weighted by `weights[k]`. 0 where `values` do
    /// not reach so far.
    #[inline(always)]
    fn outwards<const N: usize>(
        self,
        values: &[f32],
        place: usize,
        weights: &[Self::F; N],
    ) -> Self::F {
        outwards(self, values, place, weights)
    }

    /// Whether there are registers for eight sums and what they are made from.
    const MANY_REGISTERS: bool = false;

    /// Whether [`Self::outwards_of`] is faster than reading the values again from memory.
    const SHIFTS: bool = false;

    /// [`Self::outwards`] of sixteen values, with those before and behind them; 0 for more than 7 weights.
    #[inline(always)]
    fn outwards_of<const N: usize>(self, around: [Self::F; 3], weights: &[Self::F; N]) -> Self::F {
        let mut values = [0.0; 3 * LANES];
        for (v, to) in around.into_iter().zip(values.as_chunks_mut().0) {
            self.store(v, to);
        }
        self.outwards(&values, LANES, weights)
    }

    /// [`Self::outwards`] of the first sixteen of `values`, which are `here`, with those before them in a register and
    /// those behind them in memory; 0 for more than 7 weights.
    #[inline(always)]
    fn outwards_from<const N: usize>(
        self,
        [before, here]: [Self::F; 2],
        values: &[f32; LANES + 6],
        weights: &[Self::F; N],
    ) -> Self::F {
        let mut behind = [0.0; LANES];
        behind[..6].copy_from_slice(&values[LANES..]);
        self.outwards_of([before, here, self.load(&behind)], weights)
    }

    /// Lane `index[l]` of `v` in lane `l`, with indices below 16.
    #[inline(always)]
    fn pick(self, v: Self::F, index: Self::U) -> Self::F {
        let (mut values, mut places) = ([0.0; LANES], [0.0; LANES]);
        self.store(v, &mut values);
        self.store(self.as_floats(index), &mut places);
        self.load(&places.map(|place| values[place.to_bits() as usize % LANES]))
    }

    /// Two sums over the first vectors of rows, which are `len` vectors each: of the `2 N - 1` around row `N - 1` and
    /// of those around row `N`, from the middle outwards as [`Self::outwards`] has it. 0 where there are fewer
    /// than `2 N`.
    #[inline(always)]
    fn middle_out<const N: usize>(
        self,
        rows: &[Row<f32>],
        len: usize,
        weights: &[Self::F; N],
    ) -> [Self::F; 2] {
        let mut sums = [self.splat(0.0); 2];
        if rows.len() > (2 * N - 1) * len {
            let (mut above, mut below) =
                (self.load(&rows[(N - 1) * len]), self.load(&rows[N * len]));
            sums = [self.mul(above, weights[0]), self.mul(below, weights[0])];
            for (k, &weight) in weights.iter().enumerate().skip(1) {
                let up = self.load(&rows[(N - 1 - k) * len]);
                let down = self.load(&rows[(N + k) * len]);
                sums[0] = self.mul_add(self.add(up, below), weight, sums[0]);
                sums[1] = self.mul_add(self.add(above, down), weight, sums[1]);
                (above, below) = (up, down);
            }
        }
        sums
    }

    /// The same values, all of which are there before anything is made of one of them: steps that depend on each other
    /// then alternate with those of three others, and none waits for long.
    #[inline(always)]
    fn abreast(self, v: [Self::F; 4]) -> [Self::F; 4] {
        v
    }

    fn splat_u(self, x: u32) -> Self::U;
    fn load_u(self, from: &Row<u32>) -> Self::U;
    fn add_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn sub_u(self, a: Self::U, b: Self::U) -> Self::U;
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    fn xor(self, a: Self::U, b: Self::U) -> Self::U;
    fn shift_left<const N: u32>(self, a: Self::U) -> Self::U;
    fn shift_right<const N: u32>(self, a: Self::U) -> Self::U;
    /// Bits that are shifted out come in at the other end; `N` from 1 to 31.
    fn rotate_left<const N: u32>(self, a: Self::U) -> Self::U;
    fn bits(self, a: Self::F) -> Self::U;
    fn as_floats(self, a: Self::U) -> Self::F;
    /// The lanes as signed integers, rounded to `f32`.
    fn round_i32(self, a: Self::U) -> Self::F;

    /// What [`Self::close_sum`] needs of a pick, kept in a register.
    fn pick_index(self, pick: &Pick) -> Self::U;

    /// The weighted sums of sixteen outputs, where `pick.close`: lane `l` of tap `k` is
    /// `line[start of output l + k]`; the first product is rounded, the others are fused, in order.
    fn close_sum<const W: usize>(
        self,
        line: &Line16,
        starts: Starts,
        index: Self::U,
        weights: &[Self::F; W],
    ) -> Self::F;

    /// Whether [`Self::word_sum`] is faster than widening rows first.
    const PICKS_WORDS: bool = false;

    /// What [`Self::word_sum`] needs of a pick, kept in a register.
    #[inline(always)]
    fn word_index(self, pick: &Pick) -> Self::U {
        self.load_u(&pick.near)
    }

    /// [`Self::close_sum`] from unsigned integers: `words` are those of a row from `starts.sixteen` on.
    #[inline(always)]
    fn word_sum<const W: usize>(
        self,
        words: &[u16],
        index: Self::U,
        weights: &[Self::F; W],
    ) -> Self::F {
        let mut near = [0.0; LANES];
        self.store(self.as_floats(index), &mut near);
        let near = near.map(|near| near.to_bits() as usize);
        let tap = |k: usize| near.map(|near| f32::from(words[near + k]));
        let mut sum = self.mul(self.load(&tap(0)), weights[0]);
        for (k, weight) in weights.iter().enumerate().skip(1) {
            sum = self.mul_add(self.load(&tap(k)), *weight, sum);
        }
        sum
    }

    /// [`Self::word_sum`] for some rows: `words` hold one every `native`, and `out` takes one every `stride`.
    #[inline(always)]
    fn word_sums<const W: usize>(
        self,
        (words, native): (&[u16], usize),
        rows: usize,
        index: Self::U,
        weights: &[Self::F; W],
        (out, stride): (&mut [f32], usize),
    ) {
        for row in 0..rows {
            if let Some(out) = out[row * stride..].first_chunk_mut() {
                let words = &words[row * native..];
                self.store(self.word_sum(words, index, weights), out);
            }
        }
    }

    /// Lane `l` is `line[start of output l + offset]`, at any distance; what lies beyond the line is its
    /// last value.
    fn gather(self, line: &Line16, pick: &Pick, offset: usize) -> Self::F;

    /// To `f16`, halves to even.
    fn to_f16(self, v: Self::F) -> Self::H;
    /// To `bf16`, halves to even.
    fn to_bf16(self, v: Self::F) -> Self::H;
    fn store_half(self, v: Self::H, to: &mut Row<u16>);

    /// Writes past the caches, where there are such stores.
    fn stream(self, v: Self::F, to: &mut Line);
    /// The same for two times sixteen halves.
    fn stream_half(self, v: [Self::H; 2], to: &mut Line);
    /// Makes streamed values visible to other threads before anything that is stored after this.
    fn fence(self);

    /// `to[r stride + c] = from[c stride + r]` for [`WIDE`] rows `r` and [`TALL`] columns `c`.
    ///
    /// # Panics
    /// Where either does not hold them.
    fn turn_words(self, from: &[u16], to: &mut [u16], stride: usize);
    /// The same for `f32`.
    fn turn_floats(self, from: &[f32], to: &mut [f32], stride: usize);
}

/// Rows and columns of the blocks that are turned.
pub(crate) const TALL: usize = 16;
pub(crate) const WIDE: usize = 8;

/// Where the outputs of a [`Pick`] begin.
#[derive(Debug, Clone, Copy, Default)]
pub struct Starts {
    /// First input of the outputs 0 to 7, and of 8 to 15.
    pub(crate) eights: [usize; 2],
    /// First input of all sixteen, the smaller of both.
    pub(crate) sixteen: usize,
}

/// Where sixteen neighbouring outputs of a resampling along a row find their inputs: output `o` begins
/// at `starts.sixteen + near[o]`, which is `starts.eights[o / 8] + half[o]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pick {
    pub(crate) starts: Starts,
    /// Distances from `starts.eights`: below 8 where the pick is `close`.
    pub(crate) half: Row<u32>,
    /// Distances from `starts.sixteen`: below 16 where the pick is `close`.
    pub(crate) near: Row<u32>,
    /// All distances are small enough for permutations within registers.
    pub(crate) close: bool,
}

impl Pick {
    /// For up to sixteen outputs, which begin at `starts`, upwards or downwards; those that are missing begin where the
    /// last one does.
    #[inline(always)]
    pub(crate) fn new(starts: &[u32]) -> Self {
        let start: Row<u32> = match starts.first_chunk() {
            Some(all) => *all,
            None => {
                let last = starts.last().copied().unwrap_or(0);
                std::array::from_fn(|l| starts.get(l).copied().unwrap_or(last))
            }
        };
        debug_assert!(
            start.is_sorted() || start.iter().rev().is_sorted(),
            "{start:?}"
        );
        let least = [start[0].min(start[7]), start[8].min(start[15])];
        let most = [start[0].max(start[7]), start[8].max(start[15])];
        let sixteen = least[0].min(least[1]);
        let far = most[0].max(most[1]) - sixteen;
        let far_half = (most[0] - least[0]).max(most[1] - least[1]);
        // Loops of a length that is known, for which there are vectors.
        let (mut half, mut near): (Row<u32>, Row<u32>) = ([0; LANES], [0; LANES]);
        for l in 0..LANES {
            half[l] = start[l].wrapping_sub(least[l / 8]);
        }
        for l in 0..LANES {
            near[l] = start[l].wrapping_sub(sixteen);
        }
        Self {
            starts: Starts {
                eights: least.map(|e| e as usize),
                sixteen: sixteen as usize,
            },
            half,
            near,
            close: far_half < 8 && far < 16,
        }
    }
}

/// [`Lanes::outwards`] by a load for every neighbour.
#[inline(always)]
fn outwards<L: Lanes, const N: usize>(
    lanes: L,
    values: &[f32],
    place: usize,
    weights: &[L::F; N],
) -> L::F {
    let Some(window) = values.get(place + 1 - N..place + LANES + N - 1) else {
        return lanes.splat(0.0);
    };
    let mut sum = lanes.mul(at(lanes, window, N - 1), weights[0]);
    for (k, weight) in weights.iter().enumerate().skip(1) {
        let pair = lanes.add(at(lanes, window, N - 1 - k), at(lanes, window, N - 1 + k));
        sum = lanes.mul_add(pair, *weight, sum);
    }
    sum
}

#[inline(always)]
fn at<L: Lanes>(lanes: L, values: &[f32], place: usize) -> L::F {
    match values[place..].first_chunk() {
        Some(values) => lanes.load(values),
        None => lanes.splat(0.0),
    }
}

/// The sum of the lanes, in their order, in double precision.
#[inline(always)]
pub(crate) fn sum<L: Lanes>(lanes: L, v: L::F) -> f64 {
    let mut values = [0.0; LANES];
    lanes.store(v, &mut values);
    values.iter().map(|&v| f64::from(v)).sum()
}

kernel! {
    /// Makes what has been streamed visible to other threads before anything that is stored later.
    pub(crate) fn fence(lanes) {
        lanes.fence();
    }
}

/// `v` within `low..=high`; `low` for NaN.
#[inline(always)]
pub(crate) fn clamp<L: Lanes>(lanes: L, v: L::F, low: L::F, high: L::F) -> L::F {
    lanes.min(lanes.max(v, low), high)
}

/// Aligns the frame of the function that this is inlined into to the lines of the caches.
///
/// Compilers decide early whether a frame is aligned beyond 16 bytes, before they know that registers will not
/// do; vectors then spill to places that straddle lines, and where one straddles a page, a fourth of a view's time
/// went into one instruction.
#[inline(always)]
pub(crate) fn align_frame() {
    let line = Line([0; size_of::<Line>()]);
    std::hint::black_box(&line);
}
