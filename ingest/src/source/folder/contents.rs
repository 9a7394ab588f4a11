//! What the folders hold that are named like patches: which files, not what is in them.
//!
//! Every patch folder is listed before any is read, so that a half-extracted data set is known as one before
//! work begins. Half a million times that matters: folders are opened from the one above them, and their names
//! are looked at where the system wrote them.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use chipmill_schemas::band::Band;
use chipmill_schemas::packed_id::PackedId;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::super::raw::FILES;
use super::super::{FileRole, Notes};
use super::{FolderPatch, bit};
use crate::IngestError;

/// Lists patch folders, one after the other.
#[derive(Default)]
pub(super) struct PatchFolders {
    /// The folder above that was needed last, open, and its index.
    above: Option<(u32, OwnedFd)>,
}

/// What a folder named like a patch holds.
pub(super) struct Found {
    pub(super) patch: Option<FolderPatch>,
    pub(super) map: Option<(PackedId, u32)>,
    pub(super) notes: Notes,
}

impl PatchFolders {
    /// Lists one patch folder. One that holds files, but no band or label file, belongs to something else
    /// (such as the reference maps): it holds no patch.
    ///
    /// # Errors
    /// [`IngestError::Io`] when it cannot be listed.
    pub(super) fn list(
        &mut self,
        parents: &[PathBuf],
        packed: PackedId,
        parent: u32,
    ) -> Result<Found, IngestError> {
        let id = packed.unpack();
        let path = || parents[parent as usize].join(id.as_str());
        let mut notes = Notes::default();
        let mut found = [false; FILES];
        let mut see = |name: &[u8]| {
            let text = std::str::from_utf8(name).ok();
            match text.and_then(|name| FileRole::of(id.as_str(), name)) {
                Some(role) => found[role.index()] = true,
                None => {
                    let path = path().join(OsStr::from_bytes(name));
                    notes.add("files not understood", &path.display().to_string());
                }
            }
        };
        let listed = self.open(parents, parent, id.as_str());
        let listed = listed.and_then(|folder| each_name(folder, &mut see));
        listed.map_err(|e| IngestError::reading(&path())(e.into()))?;
        let has_map = std::mem::take(&mut found[FileRole::ReferenceMap.index()]);
        let map = has_map.then_some((packed, parent));
        let empty = !has_map && notes == Notes::default();
        let patch = (empty || found.contains(&true)).then(|| FolderPatch {
            id: packed,
            parent,
            missing: Band::ALL
                .into_iter()
                .filter(|b| !found[b.index()])
                .fold(0, |missing, band| missing | bit(band)),
        });
        Ok(Found { patch, map, notes })
    }

    /// Opens a folder of the one above, which stays open for the next.
    fn open(&mut self, parents: &[PathBuf], parent: u32, name: &str) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let above = match self.above.take() {
            Some((index, above)) if index == parent => above,
            _ => openat(CWD, &parents[parent as usize], flags, Mode::empty())?,
        };
        let opened = openat(&above, name, flags, Mode::empty());
        self.above = Some((parent, above));
        opened
    }
}

/// Shows the name of everything in a folder but of itself and the one above.
fn each_name(folder: OwnedFd, see: &mut impl FnMut(&[u8])) -> Result<(), Errno> {
    let mut see = |name: &[u8]| {
        if !matches!(name, b"." | b"..") {
            see(name);
        }
    };
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        // The names of a patch's files take a quarter of it.
        let mut names = [std::mem::MaybeUninit::uninit(); 1 << 12];
        let mut entries = rustix::fs::RawDir::new(folder, &mut names);
        while let Some(entry) = entries.next() {
            see(entry?.file_name().to_bytes());
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    for entry in rustix::fs::Dir::new(folder)? {
        see(entry?.file_name().to_bytes());
    }
    Ok(())
}
