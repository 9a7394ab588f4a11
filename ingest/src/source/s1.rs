//! A raw Sentinel-1 patch: a name and up to three files, on disk or in memory.

use std::path::PathBuf;

use chipmill_schemas::s1::{Polarisation, S1Id};

use super::raw::read_path;
use super::{Flaw, ReadFailure};

/// One of the files of a Sentinel-1 patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum S1Role {
    /// `<name>_VV.tif`, `<name>_VH.tif`
    Band(Polarisation),
    /// `<name>_labels_metadata.json` (v1)
    Labels,
}

impl S1Role {
    const FILES: usize = Polarisation::ALL.len() + 1;

    /// What the file `name` in the folder of patch `id` is.
    pub(crate) fn of(id: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(id)?.strip_prefix('_')?;
        match rest {
            "VV.tif" => Some(Self::Band(Polarisation::VV)),
            "VH.tif" => Some(Self::Band(Polarisation::VH)),
            "labels_metadata.json" => Some(Self::Labels),
            _ => None,
        }
    }

    /// The file's name in the folder of patch `id`.
    pub(crate) fn file_name(self, id: S1Id) -> String {
        match self {
            Self::Band(polarisation) => format!("{id}_{polarisation}.tif"),
            Self::Labels => format!("{id}_labels_metadata.json"),
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Band(polarisation) => polarisation.index(),
            Self::Labels => Polarisation::ALL.len(),
        }
    }
}

/// A Sentinel-1 patch as a source gives it.
#[derive(Debug)]
pub(crate) struct RawS1 {
    pub(crate) id: S1Id,
    pub(crate) files: S1Files,
}

#[derive(Debug)]
pub(crate) enum S1Files {
    /// The patch's folder.
    Folder(PathBuf),
    /// The contents of each file, or why there are none.
    Memory([Result<Vec<u8>, Flaw>; S1Role::FILES]),
}

impl S1Files {
    /// No file yet.
    pub(crate) fn none() -> Self {
        Self::Memory([Err(Flaw::Missing), Err(Flaw::Missing), Err(Flaw::Missing)])
    }

    /// Takes in the contents of a file, or why there are none; a second one is a flaw.
    pub(crate) fn put(&mut self, role: S1Role, contents: Result<Vec<u8>, Flaw>) {
        if let Self::Memory(files) = self {
            let file = &mut files[role.index()];
            let is_first = *file == Err(Flaw::Missing);
            *file = if is_first { contents } else { Err(Flaw::Twice) };
        }
    }
}

impl RawS1 {
    /// The bytes of one file; `scratch` is where those of a file on disk go. It only ever grows.
    pub(crate) fn read<'a>(
        &'a self,
        role: S1Role,
        scratch: &'a mut Vec<u8>,
    ) -> Result<&'a [u8], ReadFailure> {
        match &self.files {
            S1Files::Memory(files) => match &files[role.index()] {
                Ok(bytes) => Ok(bytes),
                Err(flaw) => Err(ReadFailure::Flaw(flaw.clone())),
            },
            S1Files::Folder(folder) => read_path(&folder.join(role.file_name(self.id)), scratch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48";

    #[test]
    fn every_official_file_name_is_understood_and_others_are_not() {
        let id: S1Id = ID.parse().unwrap();
        let bands = Polarisation::ALL.map(S1Role::Band);
        for role in bands.into_iter().chain([S1Role::Labels]) {
            assert_eq!(S1Role::of(ID, &role.file_name(id)), Some(role));
        }
        for other in [
            "VV.tif",
            "_HH.tif",
            "_VV.TIF",
            "_B02.tif",
            "_VV.tif.aux.xml",
        ] {
            assert_eq!(S1Role::of(ID, &format!("{ID}{other}")), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_comes_twice_is_flawed() {
        let id: S1Id = ID.parse().unwrap();
        let mut raw = RawS1 {
            id,
            files: S1Files::none(),
        };
        let role = S1Role::Band(Polarisation::VH);
        raw.files.put(role, Ok(vec![1]));
        let mut scratch = Vec::new();
        assert_eq!(raw.read(role, &mut scratch).unwrap(), [1]);
        raw.files.put(role, Ok(vec![2]));
        let twice = raw.read(role, &mut scratch);
        assert!(matches!(twice, Err(ReadFailure::Flaw(Flaw::Twice))));
    }
}
