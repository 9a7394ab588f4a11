//! One body, compiled once for each kind of register.

/// Defines `fn name(simd: Simd, ...)`, which runs the body on the lanes of `simd`.
///
/// The first parameter of the declaration names the lanes, of type `L: Lanes`, inside the body; further
/// generic parameters stand in brackets after the name. The body is one region of straight code for the
/// compiler: functions that it calls with lanes must be `#[inline(always)]`, and it must not hand lanes
/// to closures that it does not call itself.
macro_rules! kernel {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $([$($generic:tt)*])? (
            $lanes:ident $(, $arg:ident: $type:ty)* $(,)?
        ) $(-> $output:ty)? $body:block
    ) => {
        $(#[$meta])*
        #[expect(unsafe_code, reason = "vector instructions the processor has been asked for")]
        #[expect(clippy::allow_attributes, reason = "not every kernel has many arguments")]
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($generic)*>)? (
            simd: $crate::simd::Simd $(, $arg: $type)*
        ) $(-> $output)? {
            #[inline(always)]
            fn body<L: $crate::simd::Lanes $(, $($generic)*)?>(
                $lanes: L $(, $arg: $type)*
            ) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,f16c")]
            fn avx2 $(<$($generic)*>)? (
                lanes: $crate::simd::Avx2 $(, $arg: $type)*
            ) $(-> $output)? {
                $crate::simd::align_frame();
                body(lanes $(, $arg)*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
            fn avx512 $(<$($generic)*>)? (
                lanes: $crate::simd::Avx512 $(, $arg: $type)*
            ) $(-> $output)? {
                $crate::simd::align_frame();
                body(lanes $(, $arg)*)
            }

            match simd {
                $crate::simd::Simd::Scalar(lanes) => body(lanes $(, $arg)*),
                $crate::simd::Simd::Counting(lanes) => body(lanes $(, $arg)*),
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Avx2` exists only where the processor has AVX2, FMA and F16C.
                $crate::simd::Simd::Avx2(lanes) => unsafe { avx2(lanes $(, $arg)*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: an `Avx512` exists only where the processor has these parts of AVX-512.
                $crate::simd::Simd::Avx512(lanes) => unsafe { avx512(lanes $(, $arg)*) },
            }
        }
    };
}

pub(crate) use kernel;
