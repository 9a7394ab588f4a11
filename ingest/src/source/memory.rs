//! The files of one patch in memory, one behind the other in a buffer that serves patch after patch.

use super::{FileRole, Flaw, raw::FILES};

/// Files of a patch from an archive.
#[derive(Debug, Default)]
pub(crate) struct MemoryFiles {
    /// Only the first `used` bytes count; the rest is left over from a larger patch.
    bytes: Vec<u8>,
    used: usize,
    files: [MemoryFile; FILES],
}

#[derive(Debug, Clone, Default)]
enum MemoryFile {
    #[default]
    Absent,
    /// First byte, and the one after the last.
    Whole(usize, usize),
    Flawed(Flaw),
}

impl MemoryFiles {
    /// Forgets all files; the memory stays.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
        self.files = <[MemoryFile; FILES]>::default();
    }

    pub(crate) fn is_absent(&self, role: FileRole) -> bool {
        matches!(self.files[role.index()], MemoryFile::Absent)
    }

    /// Whether it has this file and no other.
    pub(crate) fn has_only(&self, role: FileRole) -> bool {
        let files = self.files.iter().enumerate();
        let present = files.filter(|(_, file)| !matches!(file, MemoryFile::Absent));
        present.map(|(i, _)| i).eq([role.index()])
    }

    /// Room for the bytes of a file, to be filled by the caller.
    pub(crate) fn add(&mut self, role: FileRole, length: usize) -> &mut [u8] {
        let (start, end) = (self.used, self.used + length);
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.used = end;
        self.files[role.index()] = MemoryFile::Whole(start, end);
        &mut self.bytes[start..end]
    }

    pub(crate) fn add_flawed(&mut self, role: FileRole, flaw: Flaw) {
        self.files[role.index()] = MemoryFile::Flawed(flaw);
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// Why it cannot be read; [`Flaw::Missing`] when the archive does not have it.
    pub(crate) fn get(&self, role: FileRole) -> Result<&[u8], Flaw> {
        match &self.files[role.index()] {
            MemoryFile::Absent => Err(Flaw::Missing),
            MemoryFile::Whole(start, end) => Ok(&self.bytes[*start..*end]),
            MemoryFile::Flawed(flaw) => Err(flaw.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::band::Band;

    #[test]
    fn nothing_of_a_patch_is_left_when_its_memory_serves_the_next() {
        let (first, second) = (FileRole::Band(Band::B02), FileRole::Band(Band::B03));
        let mut files = MemoryFiles::default();
        files.add(first, 5).copy_from_slice(b"12345");
        files.add(second, 3).copy_from_slice(b"678");
        assert_eq!(
            (files.get(first), files.get(second)),
            (Ok(&b"12345"[..]), Ok(&b"678"[..]))
        );
        files.clear();
        assert!(!files.has_only(second));
        files.add(second, 2).copy_from_slice(b"ab");
        files.add_flawed(FileRole::Labels, Flaw::Twice);
        assert_eq!(
            (files.get(first), files.get(second)),
            (Err(Flaw::Missing), Ok(&b"ab"[..]))
        );
        assert!(files.is_absent(first) && !files.is_absent(second));
        assert!(!files.has_only(second));
        assert_eq!(files.get(FileRole::Labels), Err(Flaw::Twice));
    }
}
