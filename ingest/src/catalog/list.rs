//! v1's lists of patch names: official splits, and patches with snow or cloud. The names are the
//! content; what the list means is told by the file's name alone.

use std::path::Path;

use chipmill_schemas::patch::Split;
use chipmill_schemas::patch_id::PatchId;

use super::Listed;
use crate::IngestError;

/// What it means to stand on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListRole {
    Split(Split),
    Snow,
    Cloud,
}

const NAMES: &str = "train.csv, val.csv (or validation.csv), test.csv, \
                     patches_with_seasonal_snow.csv, patches_with_cloud_and_shadow.csv";

impl ListRole {
    fn of(path: &Path) -> Result<Self, IngestError> {
        let stem = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        match stem {
            "patches_with_seasonal_snow" => Ok(Self::Snow),
            "patches_with_cloud_and_shadow" => Ok(Self::Cloud),
            _ => Split::from_name(stem).map(Self::Split).ok_or_else(|| {
                let reason =
                    format!("is a list of patch names; its file name must say of what: {NAMES}");
                IngestError::metadata(path, reason)
            }),
        }
    }

    /// What the list says of each patch on it.
    pub(super) fn listed(self) -> Listed {
        match self {
            Self::Split(split) => Listed {
                split: Some(split),
                ..Listed::default()
            },
            Self::Snow => Listed {
                snow: Some(true),
                ..Listed::default()
            },
            Self::Cloud => Listed {
                cloud: Some(true),
                ..Listed::default()
            },
        }
    }
}

/// Whether a file that begins so is a list of names; one of no names is a list as well.
pub(super) fn is_list(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    text.lines()
        .map(name)
        .find(|n| !n.is_empty())
        .is_none_or(|n| n.parse::<PatchId>().is_ok())
}

/// Reads a list: one name a line, no header; further columns (such as the S1 name) are ignored.
pub(super) fn read(path: &Path, bytes: &[u8]) -> Result<(ListRole, Vec<PatchId>), IngestError> {
    Ok((ListRole::of(path)?, names(path, bytes)?))
}

/// The patches that a file names, one a line.
pub(super) fn names(path: &Path, bytes: &[u8]) -> Result<Vec<PatchId>, IngestError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|e| IngestError::metadata(path, format!("is not UTF-8 text: {e}")))?;
    let mut ids = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if !name(line).is_empty() {
            let id = name(line).parse::<PatchId>();
            ids.push(
                id.map_err(|e| IngestError::metadata(path, format!("line {}: {e}", number + 1)))?,
            );
        }
    }
    Ok(ids)
}

fn name(line: &str) -> &str {
    let first = line
        .trim_start_matches('\u{feff}')
        .split(',')
        .next()
        .unwrap_or_default();
    first.trim().trim_matches('"')
}
