//! Split archives, `BigEarthNet-S2.tar.gzaa` `BigEarthNet-S2.tar.gzab`: which files on the command
//! line are the parts of one, and whether they are all there and in order.

use std::path::{Path, PathBuf};

use crate::IngestError;

/// A name that `split` may have given: everything before the suffix, and the suffix.
#[derive(Debug, PartialEq, Eq)]
struct PartName<'a> {
    stem: &'a str,
    suffix: &'a str,
}

const ENDINGS: [&str; 6] = [".gz", ".tgz", ".zst", ".tzst", ".tar", ".part"];

impl<'a> PartName<'a> {
    /// `split` appends two or more letters (`aa`) or digits (`00`) to the name, with or without a dot.
    fn of(path: &'a Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let at = ENDINGS
            .iter()
            .filter_map(|e| Some(name.rfind(e)? + e.len()))
            .max()?;
        let (stem, rest) = name.split_at(at);
        let suffix = rest.strip_prefix('.').unwrap_or(rest);
        let of_kind = |is: fn(&u8) -> bool| suffix.bytes().all(|b| is(&b));
        let is_suffix = (2..=4).contains(&suffix.len())
            && (of_kind(u8::is_ascii_lowercase) || of_kind(u8::is_ascii_digit));
        is_suffix.then_some(Self { stem, suffix })
    }

    /// Place of this part among all.
    fn number(&self) -> u32 {
        let base = if self.suffix.as_bytes()[0].is_ascii_digit() {
            (10, b'0')
        } else {
            (26, b'a')
        };
        let digit = |n: u32, b: u8| n * base.0 + u32::from(b - base.1);
        self.suffix.bytes().fold(0, digit)
    }

    /// Letters count from `aa`; digits from 0 or from 1, whichever tool split the archive.
    fn may_be_first(&self) -> bool {
        self.number() == 0 || (self.suffix.ends_with('1') && self.number() == 1)
    }

    fn follows(&self, before: &Self) -> bool {
        self.stem == before.stem && self.number() == before.number() + 1
    }
}

/// Whether a file has the name of a part of a split archive.
pub(super) fn is_part(path: &Path) -> bool {
    PartName::of(path).is_some()
}

/// Puts the parts of split archives together; every other path stands alone.
///
/// # Errors
/// [`IngestError::Options`] when a part is given without the one before it.
pub(super) fn group(paths: &[PathBuf]) -> Result<Vec<Vec<PathBuf>>, IngestError> {
    let mut groups: Vec<Vec<PathBuf>> = Vec::new();
    for path in paths {
        // A folder or a device that merely has such a name stands alone.
        let name = PartName::of(path).filter(|_| path.is_file());
        let follows = |group: &&mut Vec<PathBuf>| {
            let before = group.last().and_then(|p| PartName::of(p));
            matches!((&name, before), (Some(name), Some(before)) if name.follows(&before))
        };
        match (groups.last_mut().filter(follows), &name) {
            (Some(group), _) => group.push(path.clone()),
            (None, Some(name)) if !name.may_be_first() => return Err(out_of_order(path, name)),
            (None, _) => groups.push(vec![path.clone()]),
        }
    }
    Ok(groups)
}

fn out_of_order(path: &Path, name: &PartName<'_>) -> IngestError {
    IngestError::Options(format!(
        "{} is a part of a split archive, and the part before it does not stand before it; give all \
         parts of {}* in their order",
        path.display(),
        name.stem
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn files(names: &[&str]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let dir = tempfile::tempdir().unwrap();
        let paths: Vec<_> = names.iter().map(|n| dir.path().join(n)).collect();
        paths.iter().for_each(|p| std::fs::write(p, b"x").unwrap());
        (dir, paths)
    }

    fn sizes(names: &[&str]) -> Result<Vec<usize>, String> {
        let (_dir, paths) = files(names);
        let groups = group(&paths).map_err(|e| e.to_string())?;
        Ok(groups.iter().map(Vec::len).collect())
    }

    #[test]
    fn parts_in_order_become_one_archive() {
        assert_eq!(
            sizes(&["S2.tar.gzaa", "S2.tar.gzab", "S1.tar.gzaa", "b.tar"]),
            Ok(vec![2, 1, 1])
        );
        assert_eq!(
            sizes(&["S2.tar.zst.00", "S2.tar.zst.01", "S2.tar.zst.02"]),
            Ok(vec![3])
        );
        assert_eq!(
            sizes(&["x.tar.001", "x.tar.002", "y.tar.00"]),
            Ok(vec![2, 1])
        );
        assert_eq!(sizes(&["a.tar.gz", "b.tar.zst", "c.tgz"]), Ok(vec![1; 3]));
    }

    #[test]
    fn a_part_without_the_one_before_is_refused_by_name() {
        for names in [
            &["S2.tar.gzab"][..],
            &["S2.tar.gzab", "S2.tar.gzaa"],
            &["S2.tar.gzaa", "S2.tar.gzac"],
            &["S2.tar.gzaa", "other.tar.gzab"],
        ] {
            let error = sizes(names).unwrap_err();
            assert!(error.contains("in their order"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_name_makes_grouping_panic(name in "[a-z0-9.]{0,12}(\\.tar|\\.gz|\\.zst)?[a-z0-9.]{0,6}") {
            let _ = group(&[PathBuf::from(name)]);
        }
    }
}
