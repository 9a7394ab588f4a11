//! What the allocator gave out, for tests of memory: every allocation of the process is counted.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The system's allocator, with counts.
struct Counting;

/// Bytes that are there.
pub(crate) static BYTES: AtomicUsize = AtomicUsize::new(0);
/// The most that were there at once since it was set.
pub(crate) static MOST: AtomicUsize = AtomicUsize::new(0);
/// Allocations so far.
pub(crate) static CALLS: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    CALLS.fetch_add(1, SeqCst);
    let now = BYTES.fetch_add(bytes, SeqCst) + bytes;
    MOST.fetch_max(now, SeqCst);
}

// SAFETY: every call goes to the system's allocator with the arguments it came with; what is added
// touches two counters and no memory. `realloc` is the trait's own, by way of `alloc` and `dealloc`, so
// that old and new memory are counted while both are there.
#[expect(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), SeqCst);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;
