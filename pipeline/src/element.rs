//! The types that views are rendered into.

use half::{bf16, f16};

mod sealed {
    /// Only this crate knows how to write an element.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for half::f16 {}
    impl Sealed for half::bf16 {}
}

/// A value of a view: `f32`, [`f16`] or [`bf16`].
///
/// Views are computed in `f32` and rounded once, to the nearest value and halves to even, when they
/// are written: a half view has exactly the bits of the `f32` view of the same key, converted.
/// Finite values beyond 65,504 become infinite in `f16`.
pub trait Element:
    sealed::Sealed + bytemuck::Pod + Default + PartialEq + std::fmt::Debug + Send + Sync
{
    /// The type's name: `f32`, `f16` or `bf16`.
    const NAME: &'static str;

    /// Rounds to the nearest value, halves to even.
    fn from_f32(value: f32) -> Self;

    /// The value, exactly.
    fn to_f32(self) -> f32;
}

impl Element for f32 {
    const NAME: &'static str = "f32";

    fn from_f32(value: f32) -> Self {
        value
    }

    fn to_f32(self) -> f32 {
        self
    }
}

impl Element for f16 {
    const NAME: &'static str = "f16";

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
}

impl Element for bf16 {
    const NAME: &'static str = "bf16";

    fn from_f32(value: f32) -> Self {
        Self::from_f32(value)
    }

    fn to_f32(self) -> f32 {
        Self::to_f32(self)
    }
}
