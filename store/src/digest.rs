//! Digests: BLAKE3, as lower-case hex.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use serde::{Deserialize, Serialize};

use crate::object::is_address;
use crate::storage;

/// One object of a store: where it lies, how long it is, and what its bytes hash to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectRecord {
    /// Path inside the store, with `/` between its parts.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// BLAKE3 of the bytes, hex.
    pub digest: String,
}

impl ObjectRecord {
    /// The record of an object that has these bytes.
    #[must_use]
    pub fn of(path: &str, bytes: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            bytes: bytes.len() as u64,
            digest: digest(bytes),
        }
    }
}

/// BLAKE3 of some bytes, hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// BLAKE3 over patch ids, each followed by a line feed, in the order given (hex).
pub fn patch_ids_digest<'a>(ids: impl IntoIterator<Item = &'a PatchId>) -> String {
    let mut hasher = blake3::Hasher::new();
    for id in ids {
        hasher.update(id.as_str().as_bytes()).update(b"\n");
    }
    hasher.finalize().to_hex().to_string()
}

/// As [`patch_ids_digest`], of packed ids.
pub fn packed_ids_digest(ids: impl IntoIterator<Item = PackedId>) -> String {
    let (mut hasher, mut line) = (blake3::Hasher::new(), String::new());
    for id in ids {
        line.clear();
        // Writing to a text cannot fail.
        let _ = writeln!(line, "{id}");
        hasher.update(line.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Length and BLAKE3 of an object, read in pieces.
pub(crate) fn digest_object(path: &Path) -> io::Result<(u64, String)> {
    if is_address(path) {
        return digest_from_afar(path);
    }
    digest_file(path)
}

/// Pieces of many megabytes: there a request costs more than memory. Nothing comes from the cache, which is
/// not what is to be verified.
fn digest_from_afar(path: &Path) -> io::Result<(u64, String)> {
    const PIECE: u64 = 16 << 20;
    let storage = storage::of(path)?;
    let length = storage.length(path)?;
    let object = storage.open(path, None)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = Vec::new();
    let mut at = 0;
    while at < length {
        let bytes = usize::try_from(PIECE.min(length - at)).unwrap_or(0);
        piece.resize(bytes, 0);
        object.read_exact_at(&mut piece, at)?;
        hasher.update(&piece);
        at += bytes as u64;
    }
    Ok((length, hasher.finalize().to_hex().to_string()))
}

fn digest_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; 1 << 18];
    let mut length = 0;
    loop {
        let n = match file.read(&mut piece) {
            Ok(0) => return Ok((length, hasher.finalize().to_hex().to_string())),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            n => n?,
        };
        hasher.update(&piece[..n]);
        length += n as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_of_ids_is_that_of_their_lines() {
        let ids = [
            "S2A_MSIL2A_20170617T113321_4_55",
            "S2B_MSIL2A_20170924T93020_69_24",
        ];
        let parsed: Vec<PatchId> = ids.iter().map(|i| i.parse().unwrap()).collect();
        let lines = format!("{}\n{}\n", ids[0], ids[1]);
        assert_eq!(patch_ids_digest(&parsed), digest(lines.as_bytes()));
        let packed = packed_ids_digest(parsed.iter().map(PackedId::from));
        assert_eq!(packed, digest(lines.as_bytes()));
    }

    #[test]
    fn a_file_has_the_digest_of_its_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let bytes: Vec<u8> = (0u8..=255).cycle().take(600_000).collect();
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(digest_file(&path).unwrap(), (600_000, digest(&bytes)));
    }
}
