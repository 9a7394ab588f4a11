//! `u16` to `f32`, past the processor's caches.
//!
//! A batch of 128 patches is 41 MB. Ordinary stores first fetch every line that they overwrite and push
//! out what was cached; stores that stream do neither, and took half the time
//! (`docs/adr/0011-reading-in-place.md`).

pub(crate) mod checked;

/// Writes as many values as both slices hold.
pub(crate) fn stream(values: &[u16], into: &mut [f32]) {
    let len = values.len().min(into.len());
    let (values, into) = (&values[..len], &mut into[..len]);
    let start = len.min(into.as_ptr().align_offset(ALIGNMENT));
    let end = start + (len - start) / STEP * STEP;
    plain(&values[..start], &mut into[..start]);
    aligned(&values[start..end], &mut into[start..end]);
    plain(&values[end..], &mut into[end..]);
}

fn plain(values: &[u16], into: &mut [f32]) {
    let pairs = into.iter_mut().zip(values);
    pairs.for_each(|(into, &value)| *into = f32::from(value));
}

/// Of the address of what is written, in bytes: a line of the caches, so that none is written in two parts.
const ALIGNMENT: usize = 64;

/// Values that are converted at once.
const STEP: usize = 16;

/// `into` begins at a multiple of [`ALIGNMENT`].
#[cfg(target_arch = "x86_64")]
#[expect(
    unsafe_code,
    reason = "instructions that not every processor has (ADR 0011)"
)]
fn aligned(values: &[u16], into: &mut [f32]) {
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2; the alignment is the caller's promise, kept above.
        unsafe { avx2(values, into) }
    } else {
        // SAFETY: every x86-64 processor has SSE2; the alignment is as above.
        unsafe { sse2(values, into) }
    }
}

/// Stores of 32 bytes take a tenth less time than those of 16.
///
/// # Safety
/// `into` must begin at a multiple of [`ALIGNMENT`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "there is no safe streaming store (ADR 0011)")]
unsafe fn avx2(values: &[u16], into: &mut [f32]) {
    let steps = values.as_chunks::<STEP>().0.iter();
    for (values, into) in steps.zip(into.as_chunks_mut::<STEP>().0) {
        // SAFETY: the slice is aligned (the caller's promise), and steps are 64 bytes long.
        unsafe { step(bytemuck::cast(*values), into) }
    }
    // Streaming stores are not ordered with those that tell another thread that the batch is ready.
    std::arch::x86_64::_mm_sfence();
}

/// # Safety
/// `into` must begin at a multiple of [`ALIGNMENT`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
#[inline]
#[expect(unsafe_code, reason = "there is no safe streaming store (ADR 0011)")]
unsafe fn step(values: [std::arch::x86_64::__m128i; 2], into: &mut [f32; STEP]) {
    use std::arch::x86_64::{_mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_stream_ps};
    let [low, high] = values.map(|v| _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(v)));
    let (first, second) = into.split_at_mut(STEP / 2);
    // SAFETY: each half is eight `f32`, borrowed mutably, aligned (the caller's promise).
    unsafe {
        _mm256_stream_ps(first.as_mut_ptr(), low);
        _mm256_stream_ps(second.as_mut_ptr(), high);
    }
}

/// # Safety
/// `into` must begin at a multiple of 16 bytes.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "there is no safe streaming store (ADR 0011)")]
unsafe fn sse2(values: &[u16], into: &mut [f32]) {
    use std::arch::x86_64::{
        __m128i, _mm_cvtepi32_ps, _mm_setzero_si128, _mm_sfence, _mm_stream_ps, _mm_unpackhi_epi16,
        _mm_unpacklo_epi16,
    };
    let zero = _mm_setzero_si128();
    let steps = values.as_chunks::<8>().0.iter();
    for (values, into) in steps.zip(into.as_chunks_mut::<8>().0) {
        let values: __m128i = bytemuck::cast(*values);
        let low = _mm_cvtepi32_ps(_mm_unpacklo_epi16(values, zero));
        let high = _mm_cvtepi32_ps(_mm_unpackhi_epi16(values, zero));
        let (first, second) = into.split_at_mut(4);
        // SAFETY: each half is four `f32`, borrowed mutably; it begins at a multiple of 16 bytes as the
        // slice does (the caller's promise) and steps are 32 bytes long.
        unsafe {
            _mm_stream_ps(first.as_mut_ptr(), low);
            _mm_stream_ps(second.as_mut_ptr(), high);
        }
    }
    _mm_sfence();
}

#[cfg(not(target_arch = "x86_64"))]
fn aligned(values: &[u16], into: &mut [f32]) {
    plain(values, into);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths around both steps, at every alignment: what is before and behind stays as it was.
    fn check(convert: impl Fn(&[u16], &mut [f32])) {
        let values: Vec<u16> = (0..=u16::MAX).collect();
        for offset in 0..17 {
            for len in [0, 1, 7, 15, 16, 17, 33, 65_536] {
                let mut into = vec![-1.0; offset + len + 16];
                convert(&values[..len], &mut into[offset..offset + len]);
                let (before, rest) = into.split_at(offset);
                let (own, after) = rest.split_at(len);
                assert!(own.iter().zip(&values).all(|(f, &v)| *f == f32::from(v)));
                assert!(before.iter().chain(after).all(|&f| f == -1.0));
            }
        }
    }

    #[test]
    fn every_value_is_converted_at_every_alignment_and_nothing_beyond() {
        check(stream);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    #[expect(unsafe_code, reason = "to take the path of older processors")]
    fn so_it_is_without_avx2() {
        check(|values, into| {
            let start = into.len().min(into.as_ptr().align_offset(ALIGNMENT));
            let end = start + (into.len() - start) / STEP * STEP;
            plain(values, into);
            into[start..end].fill(-1.0);
            // SAFETY: every x86-64 processor has SSE2; the slice is aligned.
            unsafe { sse2(&values[start..end], &mut into[start..end]) }
        });
    }
}
