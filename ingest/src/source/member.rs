//! File and member names: which file of which patch a name means, and names that are refused.

use chipmill_schemas::band::Band;

/// Longest path of an archive member that is looked at.
pub(crate) const NAME_CAP: usize = 4096;

/// One of the files of a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileRole {
    /// `<id>_B02.tif`
    Band(Band),
    /// `<id>_labels_metadata.json` (v1)
    Labels,
    /// `<id>_reference_map.tif` (v2)
    ReferenceMap,
}

impl FileRole {
    /// What the file `name` in the folder of patch `id` is.
    pub(crate) fn of(id: &str, name: &str) -> Option<Self> {
        let rest = name.strip_prefix(id)?.strip_prefix('_')?;
        if rest == "labels_metadata.json" {
            return Some(Self::Labels);
        }
        if rest == "reference_map.tif" {
            return Some(Self::ReferenceMap);
        }
        Band::from_name(rest.strip_suffix(".tif")?).map(Self::Band)
    }

    /// The file's name in the folder of patch `id`.
    pub(crate) fn file_name(self, id: &str) -> String {
        match self {
            Self::Band(band) => format!("{id}_{band}.tif"),
            Self::Labels => format!("{id}_labels_metadata.json"),
            Self::ReferenceMap => format!("{id}_reference_map.tif"),
        }
    }

    /// Position among a patch's files: the bands in canonical order, the labels, the reference map.
    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Band(band) => band.index(),
            Self::Labels => Band::ALL.len(),
            Self::ReferenceMap => Band::ALL.len() + 1,
        }
    }
}

/// Why a member's name is refused. Nothing is ever written under a member's name; the refusal keeps
/// a crafted archive from passing for a good one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLong,
    NotText,
    Absolute,
    LeavesTheArchive,
}

impl Refusal {
    pub(crate) const fn note(self) -> &'static str {
        match self {
            Self::TooLong => "members refused, name longer than 4096 bytes",
            Self::NotText => "members refused, name is not UTF-8 text",
            Self::Absolute => "members refused, absolute name",
            Self::LeavesTheArchive => "members refused, name with `..`",
        }
    }
}

/// The last two parts of a member's name, folder and file (the folder may be empty).
pub(crate) fn folder_and_file(name: &[u8]) -> Result<(&str, &str), Refusal> {
    if name.len() > NAME_CAP {
        return Err(Refusal::TooLong);
    }
    let text = std::str::from_utf8(name).map_err(|_| Refusal::NotText)?;
    if text.contains('\0') {
        return Err(Refusal::NotText);
    }
    if text.starts_with('/') {
        return Err(Refusal::Absolute);
    }
    let mut last = ("", "");
    for part in text.split('/').filter(|p| !p.is_empty() && *p != ".") {
        if part == ".." {
            return Err(Refusal::LeavesTheArchive);
        }
        last = (last.1, part);
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "S2A_MSIL2A_20170617T113321_4_55";

    #[test]
    fn every_official_file_name_is_understood_and_others_are_not() {
        for band in Band::ALL {
            let name = FileRole::Band(band).file_name(ID);
            assert_eq!(FileRole::of(ID, &name), Some(FileRole::Band(band)));
        }
        for role in [FileRole::Labels, FileRole::ReferenceMap] {
            assert_eq!(FileRole::of(ID, &role.file_name(ID)), Some(role));
        }
        for other in [
            "B02.tif",
            "_B10.tif",
            "_B02.TIF",
            "_B02.tif.aux.xml",
            "5_B02.tif",
        ] {
            assert_eq!(FileRole::of(ID, &format!("{ID}{other}")), None, "{other}");
        }
    }

    #[test]
    fn hostile_names_are_refused() {
        assert_eq!(folder_and_file(b"/etc/passwd"), Err(Refusal::Absolute));
        assert_eq!(
            folder_and_file(b"a/../../b"),
            Err(Refusal::LeavesTheArchive)
        );
        assert_eq!(folder_and_file(b"a/b\0c"), Err(Refusal::NotText));
        assert_eq!(folder_and_file(b"a/\xff"), Err(Refusal::NotText));
        assert_eq!(
            folder_and_file(&[b'a'; NAME_CAP + 1]),
            Err(Refusal::TooLong)
        );
        assert_eq!(folder_and_file(b"./x//y/z"), Ok(("y", "z")));
    }

    proptest! {
        #[test]
        fn no_name_makes_the_splitter_panic_or_pass_a_parent(name in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok((folder, file)) = folder_and_file(&name) {
                prop_assert!(folder != ".." && file != ".." && !file.contains('/'));
            }
        }
    }
}
