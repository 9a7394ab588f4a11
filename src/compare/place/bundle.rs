//! A folder as one object: a tar of its files, the same bytes for the same files.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// A tar is a number of blocks, the last two of them zeros.
const BLOCK: usize = 512;

/// All files of a folder and the folders in it, but for the folder `without`. What is hidden or temporary belongs
/// to processes at work and is left out.
pub(super) fn pack(folder: &Path, without: &str) -> io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    tar.mode(tar::HeaderMode::Deterministic);
    let mut waiting = vec![PathBuf::new()];
    while let Some(below) = waiting.pop() {
        for name in entries(&folder.join(&below))? {
            let name = below.join(name);
            let path = folder.join(&name);
            if !path.is_dir() {
                tar.append_path_with_name(&path, &name)?;
            } else if name != Path::new(without) {
                waiting.push(name);
            }
        }
    }
    tar.into_inner()
}

/// The files directly in a folder, sorted; none where there is no folder.
pub(super) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = entries(folder)?;
    names.retain(|name| folder.join(name).is_file());
    Ok(names)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = PathBuf::from(entry?.file_name());
        let is_hidden = name.as_os_str().as_encoded_bytes().starts_with(b".");
        if !is_hidden && name.extension() != Some(OsStr::new("tmp")) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Puts a packed folder in the place of `into`, whole or not at all.
pub(super) fn unpack(bytes: &[u8], into: &Path) -> io::Result<()> {
    let is_whole = bytes.len().is_multiple_of(BLOCK)
        && bytes
            .iter()
            .rev()
            .take(2 * BLOCK)
            .filter(|&&b| b == 0)
            .count()
            == 2 * BLOCK;
    if !is_whole {
        return Err(wrong("it is cut short, or no tar".to_owned()));
    }
    let mut part = into.as_os_str().to_owned();
    part.push(format!(".{}.tmp", std::process::id()));
    let part = PathBuf::from(part);
    clear(&part)?;
    let done = fill(bytes, &part).and_then(|()| {
        clear(into)?;
        std::fs::rename(&part, into)
    });
    if done.is_err() {
        // Made here a moment ago; what went wrong counts.
        let _ = clear(&part);
    }
    done
}

fn fill(bytes: &[u8], folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    for entry in tar::Archive::new(bytes).entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        let is_plain = entry.header().entry_type().is_file()
            && name.components().all(|c| matches!(c, Component::Normal(_)));
        if !is_plain {
            return Err(wrong(format!("{} in it is no plain file", name.display())));
        }
        let path = folder.join(&name);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        std::fs::write(&path, content)?;
    }
    Ok(())
}

fn clear(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn wrong(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let files = [
            ("status.json", "{}"),
            ("checkpoints/step-8/meta.json", "m"),
            (".lock", ""),
            ("checkpoints/.part/model", "half"),
            ("status.json.7.tmp", "half"),
        ];
        for (name, text) in files {
            let path = folder.path().join("run").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn a_folder_comes_back_without_what_is_hidden_or_temporary() {
        let (one, two) = (made(), made());
        let bytes = pack(&one.path().join("run"), "").unwrap();
        assert!(bytes == pack(&two.path().join("run"), "").unwrap());
        let into = one.path().join("other");
        std::fs::create_dir_all(into.join("old")).unwrap();
        unpack(&bytes, &into).unwrap();
        assert_eq!(files(&into).unwrap(), [Path::new("status.json")]);
        assert!(into.join("checkpoints/step-8/meta.json").is_file());
        assert!(!into.join("old").exists() && !into.join(".lock").exists());
        assert!(pack(&into, "").unwrap() == bytes);
        let light = pack(&into, "checkpoints").unwrap();
        unpack(&light, &into).unwrap();
        assert!(into.join("status.json").is_file() && !into.join("checkpoints").exists());
    }

    #[test]
    fn an_object_that_is_cut_short_or_reaches_outside_changes_nothing() {
        let folder = made();
        let into = folder.path().join("run");
        let before = pack(&into, "").unwrap();
        for end in (0..before.len()).step_by(256) {
            assert!(unpack(&before[..end], &into).is_err(), "{end}");
        }
        let mut hostile = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..9].copy_from_slice(b"../escape");
        header.set_size(1);
        header.set_cksum();
        hostile.append(&header, &b"x"[..]).unwrap();
        let hostile = hostile.into_inner().unwrap();
        let refused = unpack(&hostile, &into).unwrap_err().to_string();
        assert!(refused.contains("no plain file"), "{refused}");
        assert!(pack(&into, "").unwrap() == before);
        assert!(!folder.path().join("escape").exists());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
