//! A folder as a source: v1 (patch folders directly below), v2 (tile folders), or a folder above
//! either; of Sentinel-2, reference maps, Sentinel-1, or all of them.

mod contents;

use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::Defect;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::s1::S1Id;
use rayon::prelude::*;

use super::{Notes, RawFiles, RawPatch, missing_bands};
use crate::IngestError;
use contents::PatchFolders;

/// How many folders deep a patch folder may lie: `source/BigEarthNet-S2/<tile>/<patch>`.
const DEPTH: usize = 3;

/// A patch folder, listed but not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FolderPatch {
    pub(crate) id: PackedId,
    /// Index of the folder above in [`Listing::parents`].
    pub(crate) parent: u32,
    /// Bands whose file is absent: bit `i` for the `i`-th.
    missing: u16,
}

impl FolderPatch {
    /// The defect that the listing shows, if any.
    pub(crate) fn defect(&self) -> Option<Defect> {
        if self.missing == 0 {
            return None;
        }
        let missing: Vec<Band> = Band::ALL
            .into_iter()
            .filter(|b| self.missing & bit(*b) != 0)
            .collect();
        missing_bands(&self.id.unpack(), &missing)
    }
}

const fn bit(band: Band) -> u16 {
    1 << band.index()
}

/// All patches of some folders, in id order, each once.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) parents: Vec<PathBuf>,
    pub(crate) patches: Vec<FolderPatch>,
    /// Reference maps, each with the index of the folder above its patch folder.
    pub(crate) maps: Vec<(PackedId, u32)>,
    /// Sentinel-1 patches in order, each once, with the index of the folder above; nothing is known of
    /// what is in theirs.
    pub(crate) s1: Vec<(S1Id, u32)>,
    pub(crate) notes: Notes,
}

impl Listing {
    /// Lists the patches of a folder and the names of their files; opens no file.
    ///
    /// Uses the current rayon pool.
    ///
    /// # Errors
    /// [`IngestError::Io`] when a folder cannot be listed.
    pub(crate) fn of(root: &Path) -> Result<Self, IngestError> {
        let mut walk = Walk::default();
        walk.folder(root, 0)?;
        let gather = |(mut folders, mut listing): (PatchFolders, Self), &(id, parent): &_| {
            let found = folders.list(&walk.parents, id, parent)?;
            listing.notes.merge(&found.notes);
            listing.patches.extend(found.patch);
            listing.maps.extend(found.map);
            Ok((folders, listing))
        };
        // Pieces in order: rayon keeps it when it joins them.
        let listed: Result<Self, IngestError> = walk
            .patches
            .par_iter()
            .try_fold(Default::default, gather)
            .map(|listed| listed.map(|(_, listing)| listing))
            .try_reduce(Self::default, |listing, after| Ok(listing.join(after)));
        let mut listing = listed?;
        listing.notes.merge(&walk.notes);
        (listing.parents, listing.s1) = (walk.parents, walk.s1);
        listing.sort();
        Ok(listing)
    }

    fn join(mut self, mut after: Self) -> Self {
        self.notes.merge(&after.notes);
        self.patches.append(&mut after.patches);
        self.maps.append(&mut after.maps);
        self
    }

    /// Adds the patches of a further folder; those known already stay as they are.
    pub(crate) fn merge(&mut self, other: Self) {
        let shift = place(self.parents.len());
        self.parents.extend(other.parents);
        self.notes.merge(&other.notes);
        let shifted = |p: FolderPatch| FolderPatch {
            parent: p.parent + shift,
            ..p
        };
        self.patches.extend(other.patches.into_iter().map(shifted));
        let shifted = |(id, parent)| (id, parent + shift);
        self.maps.extend(other.maps.into_iter().map(shifted));
        let s1 = other.s1.into_iter();
        self.s1.extend(s1.map(|(id, parent)| (id, parent + shift)));
        self.sort();
    }

    /// The raw patch of a listed one.
    pub(crate) fn raw(&self, patch: &FolderPatch) -> RawPatch {
        raw(&self.parents, patch.id.unpack(), patch.parent)
    }

    fn sort(&mut self) {
        self.patches.par_sort_by_key(|p| p.id);
        self.maps.par_sort_by_key(|m| m.0);
        self.maps.dedup_by(|later, first| later.0 == first.0);
        self.s1.par_sort();
        let notes = &mut self.notes;
        self.s1.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same {
                notes.add(S1_REPEATED, &first.0.text());
            }
            same
        });
        self.drop_repeated();
    }

    /// The sort is stable, so of equal ids the first source's comes first and stays.
    fn drop_repeated(&mut self) {
        let notes = &mut self.notes;
        self.patches.dedup_by(|later, first| {
            let same = later.id == first.id;
            if same {
                notes.add(
                    "patches found more than once, taken from the first place",
                    &first.id.to_string(),
                );
            }
            same
        });
    }
}

/// The raw patch in folder `parents[parent]`.
pub(crate) fn raw(parents: &[PathBuf], id: PatchId, parent: u32) -> RawPatch {
    let folder = parents[parent as usize].join(id.as_str());
    RawPatch {
        id,
        files: RawFiles::Folder(folder),
    }
}

/// Sentinel-1 patches that are met again.
pub(crate) const S1_REPEATED: &str =
    "Sentinel-1 patches found more than once, taken from the first place";

/// The index of a folder, in the four bytes that lists keep of it.
fn place(parent: usize) -> u32 {
    u32::try_from(parent).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Walk {
    parents: Vec<PathBuf>,
    patches: Vec<(PackedId, u32)>,
    s1: Vec<(S1Id, u32)>,
    notes: Notes,
}

impl Walk {
    fn folder(&mut self, path: &Path, depth: usize) -> Result<(), IngestError> {
        let parent = self.parents.len();
        self.parents.push(path.to_owned());
        let mut below = Vec::new();
        for entry in fs::read_dir(path).map_err(IngestError::reading(path))? {
            let entry = entry.map_err(IngestError::reading(path))?;
            let name = entry.file_name();
            if !is_folder(&entry)? {
                self.note("files not understood", &entry.path());
            } else if let Some(id) = name.to_str().and_then(|n| n.parse::<PatchId>().ok()) {
                self.patches.push((PackedId::from(&id), place(parent)));
            } else if let Some(id) = name.to_str().and_then(|n| n.parse().ok()) {
                self.s1.push((id, place(parent)));
            } else {
                below.push(name);
            }
        }
        below.sort();
        below
            .into_iter()
            .try_for_each(|name| self.below(path, &name, depth))
    }

    fn below(&mut self, path: &Path, name: &OsString, depth: usize) -> Result<(), IngestError> {
        let folder = path.join(name);
        if depth < DEPTH {
            return self.folder(&folder, depth + 1);
        }
        self.note("folders not entered, too deep for patches", &folder);
        Ok(())
    }

    fn note(&mut self, kind: &str, path: &Path) {
        self.notes.add(kind, &path.display().to_string());
    }
}

/// Follows links: subsets of a data set are often folders of links.
fn is_folder(entry: &DirEntry) -> Result<bool, IngestError> {
    let path = entry.path();
    let kind = entry.file_type().map_err(IngestError::reading(&path))?;
    if kind.is_symlink() {
        return Ok(fs::metadata(&path).is_ok_and(|m| m.is_dir()));
    }
    Ok(kind.is_dir())
}
