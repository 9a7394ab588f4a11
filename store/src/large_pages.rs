//! Memory of batches in large pages (`docs/adr/0028-batches-in-large-pages.md`).

/// Bytes of a large page. Where they are larger, more of the memory stays in small ones.
const LARGE: usize = 2 << 20;

/// Asks the system to keep this memory in pages of 2 MB, as far as it spans whole ones; to be called before it
/// is first written to. A batch has thousands of small pages, more than a processor keeps the addresses of:
/// writing views took an eighth longer.
///
/// Nothing depends on it but time: Linux alone is asked, and may be told never to do it
/// (`/sys/kernel/mm/transparent_hugepage/enabled`).
pub fn prefer_large_pages<T>(memory: &mut [T]) {
    let bytes = size_of_val(memory);
    let start = memory.as_mut_ptr().cast::<u8>();
    let skipped = start.align_offset(LARGE).min(bytes);
    let whole = (bytes - skipped) / LARGE * LARGE;
    if whole > 0 {
        advise(start, skipped, whole);
    }
}

#[cfg(target_os = "linux")]
fn advise(start: *mut u8, skipped: usize, len: usize) {
    use rustix::mm::{Advice, madvise};

    #[expect(unsafe_code, reason = "a system call on memory (ADR 0028)")]
    // SAFETY: the range is inside a borrowed slice, and the advice changes no byte of it.
    let advised = unsafe { madvise(start.add(skipped).cast(), len, Advice::LinuxHugepage) };
    // A kernel without large pages refuses: then there are none.
    let _ = advised;
}

#[cfg(not(target_os = "linux"))]
fn advise(_: *mut u8, _: usize, _: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the system notes of the mapping that holds an address.
    #[cfg(target_os = "linux")]
    fn flags_at(address: usize) -> Option<String> {
        let maps = std::fs::read_to_string("/proc/self/smaps").ok()?;
        let holds = |line: &str| {
            let (start, end) = line.split_once(' ')?.0.split_once('-')?;
            let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16));
            Some((start.ok()?..end.ok()?).contains(&address))
        };
        let mut lines = maps.lines().skip_while(|line| holds(line) != Some(true));
        let flags = lines.find_map(|line| line.strip_prefix("VmFlags:"))?;
        Some(flags.to_owned())
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_is_asked_for_large_pages() {
        let mut memory = vec![0_u8; 3 * LARGE];
        prefer_large_pages(&mut memory);
        let has_them = std::path::Path::new("/sys/kernel/mm/transparent_hugepage").is_dir();
        match flags_at(memory.as_ptr().addr() + LARGE).filter(|_| has_them) {
            Some(flags) => assert!(flags.split_whitespace().any(|f| f == "hg"), "{flags}"),
            None => println!("skipped: needs a kernel with large pages, and its notes of mappings"),
        }
    }

    #[test]
    fn memory_of_any_size_keeps_its_bytes() {
        for len in [0, 1, LARGE - 1, LARGE, 3 * LARGE + 5] {
            let mut memory: Vec<u8> = (0..251).cycle().take(len).collect();
            prefer_large_pages(&mut memory);
            let (_, inside) = memory.split_at_mut(len.min(7));
            prefer_large_pages(inside);
            assert!(
                memory
                    .iter()
                    .enumerate()
                    .all(|(i, byte)| usize::from(*byte) == i % 251)
            );
        }
    }
}
