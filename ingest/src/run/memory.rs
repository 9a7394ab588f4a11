//! When freed memory stays with the process, and when it goes back to the system (glibc; elsewhere nothing
//! happens).

/// Keeps glibc's allocator from giving memory back to the system whenever 128 KiB lie free, only to have
/// it mapped and cleared again, page by page, for the next patch: once a large block was freed, the
/// allocator takes twice its size for worth keeping. Nothing is touched.
pub(super) fn hold_on() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(16 << 20)));
}

/// Gives back what is free now. The memory of patches lies with the threads that worked on them, where the
/// tables that are made next would not find it: the most that an ingest needs would be the sum of both.
pub(super) fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "a function of glibc that nothing else offers")]
        // SAFETY: the declaration is that of malloc.h; the function may be called at any time, by any
        // thread, with any number: it returns free pages of the heaps and touches nothing in use.
        unsafe extern "C" {
            safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        malloc_trim(0);
    }
}

/// See [`crate::share_heap`].
pub(crate) fn share_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        #[expect(unsafe_code, reason = "a function of glibc that nothing else offers")]
        // SAFETY: the declaration is that of malloc.h; the function may be called at any time, with any
        // numbers, and changes nothing but how many heaps later threads may begin.
        unsafe extern "C" {
            safe fn mallopt(parameter: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
        }
        // As malloc.h has it.
        const M_ARENA_MAX: std::ffi::c_int = -8;
        mallopt(M_ARENA_MAX, 1);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_in_use_stays_when_free_memory_is_given_back() {
        let blocks: Vec<Vec<u8>> = (0..64).map(|i| vec![i; 1 << 16]).collect();
        let kept: Vec<_> = blocks.into_iter().step_by(3).collect();
        super::give_back();
        for (block, i) in kept.iter().zip((0..64).step_by(3)) {
            assert!(block.iter().all(|b| *b == i));
        }
    }
}
