//! The store's manifest: `attributes.chipmill` of its root group.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::band::Band;
use crate::patch_id::DatasetVersion;
use crate::s1::S1Manifest;
use crate::statistics::SetStatistics;

/// Version of the store format, `major.minor`.
///
/// Same major: readable; a newer minor only adds things. Another major is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FormatVersion {
    /// Changes when old readers would go wrong.
    pub major: u32,
    /// Changes when something is added.
    pub minor: u32,
}

impl FormatVersion {
    /// The newest version that this build knows.
    pub const CURRENT: Self = Self { major: 1, minor: 1 };

    /// The version that a store gets: the oldest that describes it, so that what was ingested with an
    /// earlier release gives the same bytes again. 1.1 added Sentinel-1.
    #[must_use]
    pub const fn describing(has_s1: bool) -> Self {
        Self {
            major: Self::CURRENT.major,
            minor: if has_s1 { 1 } else { 0 },
        }
    }

    /// Whether this build can read such a store.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.major == Self::CURRENT.major
    }
}

impl std::fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl std::str::FromStr for FormatVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text
            .split_once('.')
            .and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (major, minor) = parts
            .ok_or_else(|| format!("`{text}` is no format version, expected `major.minor`"))?;
        Ok(Self { major, minor })
    }
}

impl Serialize for FormatVersion {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for FormatVersion {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for FormatVersion {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FormatVersion".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^\\d+\\.\\d+$"})
    }
}

/// How chunks are compressed. All codecs are lossless, and every chunk ends in a crc32c of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// Blosc: LZ4 level 5 after a bit shuffle.
    #[default]
    Lz4,
    /// Zstandard level 3.
    Zstd,
    /// No compression.
    None,
}

impl Codec {
    /// `lz4`, `zstd` or `none`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::None => "none",
        }
    }
}

/// What the root group says of the store. Holds no time, path, host, or form of the source, so that
/// the same patches give the same bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// Format of the store.
    pub format_version: FormatVersion,
    /// Program that wrote it, such as `chipmill 0.1.0`.
    pub writer: String,
    /// Releases that the patches come from, ascending.
    pub dataset_versions: Vec<DatasetVersion>,
    /// Number of patches: the length of every array's first axis.
    pub patches: u64,
    /// Patches in a shard; the last shard may hold fewer.
    pub shard_patches: u32,
    /// Compression of the pixel chunks.
    pub codec: Codec,
    /// Band names in canonical order.
    pub bands: Vec<Band>,
    /// BLAKE3 over the patch ids, each followed by a line feed, in store order (hex).
    pub patch_ids_digest: String,
    /// Statistics: all patches first, then each split that occurs.
    pub statistics: Vec<SetStatistics>,
    /// Sentinel-1, where the store has it (since 1.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s1: Option<S1Manifest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_major_is_readable() {
        let version = |t: &str| t.parse::<FormatVersion>().unwrap();
        assert!(version("1.7").is_readable());
        assert!(!version("2.0").is_readable());
        assert!("one".parse::<FormatVersion>().is_err());
        assert_eq!(
            FormatVersion::CURRENT.to_string().parse(),
            Ok(FormatVersion::CURRENT)
        );
    }
}
