//! The system's file cache: how large the shards are, forgetting them, and what came from the disk.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chipmill_schemas::band::Resolution;

/// The shards of a store, as files; none where it lies in an object store.
#[derive(Debug)]
pub(crate) struct ShardFiles {
    paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
}

impl ShardFiles {
    pub(crate) fn of(store: &Path) -> anyhow::Result<Self> {
        let (mut paths, mut bytes) = (Vec::new(), 0);
        if chipmill_store::is_address(store) {
            return Ok(Self { paths, bytes });
        }
        for resolution in Resolution::ALL {
            let folder = store.join(resolution.name());
            let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
            for entry in entries {
                let entry = entry?;
                if entry.file_name().as_encoded_bytes().starts_with(b"c.") {
                    bytes += entry.metadata()?.len();
                    paths.push(entry.path());
                }
            }
        }
        Ok(Self { paths, bytes })
    }

    /// Asks the system to forget what it has cached of the shards.
    pub(crate) fn forget(&self) -> anyhow::Result<()> {
        for path in &self.paths {
            let file = File::open(path).with_context(|| path.display().to_string())?;
            forget(&file).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn forget(file: &File) -> anyhow::Result<()> {
    // Pages that are not on disk yet would stay.
    file.sync_data()?;
    Ok(rustix::fs::fadvise(
        file,
        0,
        None,
        rustix::fs::Advice::DontNeed,
    )?)
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &File) -> anyhow::Result<()> {
    anyhow::bail!("--drop-cache works on Linux alone: elsewhere read a store larger than memory")
}

/// Bytes that this process has had fetched from storage, where Linux tells it.
pub(crate) fn from_disk() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/io").ok()?;
    let line = text.lines().find(|l| l.starts_with("read_bytes:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
