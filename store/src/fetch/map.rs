//! A shard in the address space, for readers who were promised that nobody changes it.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use memmap2::Mmap;

use crate::shard::Span;

/// All bytes of a file, whether they are in memory or not.
#[derive(Debug)]
pub(super) struct Map {
    bytes: Mmap,
    /// Of each chunk, whether its pages were asked for.
    asked: Box<[AtomicBool]>,
}

impl Map {
    /// Only [`Shards::allow_maps`] leads here.
    ///
    /// [`Shards::allow_maps`]: super::Shards::allow_maps
    pub(super) fn of(path: &Path, chunks: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a map is only as good as its file (ADR 0027)")]
        // SAFETY: nobody changes or shortens the file: the promise made to `Shards::allow_maps`.
        let bytes = unsafe { Mmap::map(&file)? };
        let asked = (0..chunks).map(|_| AtomicBool::new(false)).collect();
        Ok(Self { bytes, asked })
    }

    /// A chunk. When it is first read the system is asked for its pages, all in one: what the disk does not
    /// give, and a file that has become shorter, is then an error, where touching would be a signal. Every
    /// time would take a quarter of all time.
    pub(super) fn chunk(&self, place: usize, span: Span) -> io::Result<&[u8]> {
        let start = usize::try_from(span.offset).unwrap_or(usize::MAX);
        let bytes = self.bytes.get(start..start.saturating_add(span.bytes));
        let bytes = bytes.ok_or_else(|| {
            let end = span.offset.saturating_add(span.bytes as u64);
            let text = format!("it has {} bytes, expected {end} or more", self.bytes.len());
            io::Error::new(io::ErrorKind::UnexpectedEof, text)
        })?;
        let asked = &self.asked[place];
        if !asked.load(Ordering::Relaxed) {
            self.populate(start, span.bytes)?;
            asked.store(true, Ordering::Relaxed);
        }
        Ok(bytes)
    }

    /// Linux has it from 5.14 on; elsewhere pages come one by one as they are touched.
    fn populate(&self, start: usize, bytes: usize) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Err(e) = self
            .bytes
            .advise_range(memmap2::Advice::PopulateRead, start, bytes)
            && e.kind() != io::ErrorKind::InvalidInput
        {
            let text = format!("it was changed while it was mapped, or cannot be read: {e}");
            return Err(io::Error::new(e.kind(), text));
        }
        #[cfg(not(target_os = "linux"))]
        let _ = (start, bytes);
        Ok(())
    }
}
