//! Lanes that compute nothing and count what the others would.
//!
//! Which operations a kernel does depends on sizes and weights' number, never on values; so a view can
//! be rendered without a single value, and what is counted is exact.

use std::cell::Cell;

use super::{LANES, Lanes, Line, Line16, Pick, Row, Starts};

thread_local! {
    /// Operations on whole vectors.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Counts operations of floating-point arithmetic on this thread.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting(());

/// No values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nothing;

impl Counting {
    /// Counts what `work` does: operations on values, sixteen a vector. A product and sum that are fused
    /// are one.
    pub(crate) fn count(work: impl FnOnce(Self)) -> u64 {
        let before = COUNT.get();
        work(Self(()));
        (COUNT.get() - before) * LANES as u64
    }

    #[inline(always)]
    fn operations(self, vectors: usize) -> Nothing {
        COUNT.set(COUNT.get() + vectors as u64);
        Nothing
    }
}

impl Lanes for Counting {
    type F = Nothing;
    type U = Nothing;
    type H = Nothing;

    #[inline(always)]
    fn splat(self, _: f32) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn load(self, _: &Row<f32>) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn store(self, _: Nothing, _: &mut Row<f32>) {}

    #[inline(always)]
    fn widen(self, _: &Row<u16>) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn add(self, _: Nothing, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn sub(self, _: Nothing, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn mul(self, _: Nothing, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn div(self, _: Nothing, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn mul_add(self, _: Nothing, _: Nothing, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn join(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn between(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn sqrt(self, _: Nothing) -> Nothing {
        self.operations(1)
    }

    #[inline(always)]
    fn min(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn max(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn if_le(self, _: Nothing, _: Nothing, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn splat_u(self, _: u32) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn load_u(self, _: &Row<u32>) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn add_u(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn sub_u(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn and(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn xor(self, _: Nothing, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn shift_left<const N: u32>(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn shift_right<const N: u32>(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn rotate_left<const N: u32>(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn bits(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn as_floats(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn round_i32(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn pick_index(self, _: &Pick) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn close_sum<const W: usize>(
        self,
        _: &Line16,
        _: Starts,
        _: Nothing,
        _: &[Nothing; W],
    ) -> Nothing {
        self.operations(W)
    }

    #[inline(always)]
    fn gather(self, _: &Line16, _: &Pick, _: usize) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn to_f16(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn to_bf16(self, _: Nothing) -> Nothing {
        Nothing
    }

    #[inline(always)]
    fn store_half(self, _: Nothing, _: &mut Row<u16>) {}

    #[inline(always)]
    fn stream(self, _: Nothing, _: &mut Line) {}

    #[inline(always)]
    fn stream_half(self, _: [Nothing; 2], _: &mut Line) {}

    #[inline(always)]
    fn fence(self) {}

    #[inline(always)]
    fn turn_words(self, _: &[u16], _: &mut [u16], _: usize) {}

    #[inline(always)]
    fn turn_floats(self, _: &[f32], _: &mut [f32], _: usize) {}
}
