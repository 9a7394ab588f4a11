//! Objects that are files of this machine.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Content, Growing, Object, Part, Storage, Wanted};
use crate::object::{self, Creation, Temporary};

/// The file system.
#[derive(Debug)]
pub(super) struct Files;

impl Storage for Files {
    fn open(&self, path: &Path, _: Option<Content<'_>>) -> io::Result<Box<dyn Object>> {
        Ok(Box::new(File::open(path)?))
    }

    fn read_parts(&self, _: &[Wanted<'_>]) -> Option<Vec<io::Result<Part>>> {
        None
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn length(&self, path: &Path) -> io::Result<u64> {
        let metadata = fs::metadata(path)?;
        match metadata.is_file() {
            true => Ok(metadata.len()),
            false => Err(io::Error::new(io::ErrorKind::NotFound, "it is no file")),
        }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let name = |e: io::Result<fs::DirEntry>| e.map(|e| e.file_name().to_string_lossy().into());
        entries.map(name).collect()
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        object::write_file(path, bytes)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Creation> {
        object::create_file(path, bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        object::remove_file(path)
    }

    fn begin(&self, path: &Path) -> io::Result<Box<dyn Growing>> {
        object::prepare(path)?;
        Ok(Box::new(GrowingFile {
            target: path.to_owned(),
            temporary: Temporary::create(path)?,
        }))
    }

    fn clear(&self, folder: &Path) -> io::Result<usize> {
        object::remove_stale_files(folder)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        object::create_folder(folder)
    }
}

#[derive(Debug)]
struct GrowingFile {
    target: PathBuf,
    temporary: Temporary,
}

impl Growing for GrowingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.temporary.write(&self.target, bytes)
    }

    fn publish(self: Box<Self>) -> io::Result<()> {
        object::publish(&self.target, self.temporary)
    }
}

impl Object for File {
    fn read_exact_at(&self, into: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, into, offset)
    }

    fn tail(&self, bytes: usize) -> io::Result<Part> {
        let length = self.metadata()?.len();
        let start = length.saturating_sub(bytes as u64);
        let mut tail = vec![0; usize::try_from(length - start).unwrap_or(bytes)];
        FileExt::read_exact_at(self, &mut tail, start)?;
        Ok(Part {
            bytes: tail.into(),
            length: Some(length),
        })
    }

    /// Tells the system, where there is a way to tell.
    fn will_need(&self, range: Range<u64>) {
        #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
        if let Some(length) = std::num::NonZeroU64::new(range.end.saturating_sub(range.start)) {
            let advice = rustix::fs::Advice::WillNeed;
            let _ = rustix::fs::fadvise(self, range.start, Some(length), advice);
        }
        #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
        let _ = range;
    }
}
