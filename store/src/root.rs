//! The root group's metadata: with it a store exists, and it names what the store consists of.

use std::io;
use std::path::Path;

use chipmill_schemas::manifest::{FormatVersion, Manifest};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::digest::{self, ObjectRecord};
use crate::error::OpenError;
use crate::layout::{self, StoreShape};
use crate::metadata::{self, Integrity};
use crate::object;
use crate::storage::{self, Content};

/// What the root `zarr.json` says.
#[derive(Debug)]
pub(crate) struct Root {
    pub(crate) manifest: Manifest,
    pub(crate) integrity: Integrity,
    /// BLAKE3 of the root `zarr.json`.
    pub(crate) digest: String,
    /// Whether its bytes are those that were written.
    pub(crate) intact: bool,
}

impl Root {
    /// Reads the root of a store of a known format.
    pub(crate) fn read(path: &Path) -> Result<Self, OpenError> {
        Self::parse(path, &read_metadata(path)?)
    }

    /// The root that these bytes, found below `path`, are.
    pub(crate) fn parse(path: &Path, bytes: &[u8]) -> Result<Self, OpenError> {
        let damaged = |reason: String| OpenError::damaged(path, layout::NODE, reason);
        let document: Value =
            serde_json::from_slice(bytes).map_err(|e| damaged(format!("it is not JSON ({e})")))?;
        let attributes = &document["attributes"];
        let manifest = &attributes[layout::MANIFEST];
        if !manifest.is_object() {
            return Err(OpenError::NotAStore {
                path: path.to_owned(),
                reason: "its `zarr.json` has no `attributes.chipmill`; other Zarr data cannot be \
                         read: stores are made by `chipmill ingest`"
                    .to_owned(),
            });
        }
        check_version(path, manifest)?;
        let manifest: Manifest = parse(manifest).map_err(damaged)?;
        let integrity: Integrity = parse(&attributes[layout::INTEGRITY]).map_err(damaged)?;
        if manifest.shard_patches == 0 || u32::try_from(manifest.patches).is_err() {
            let (n, s) = (manifest.patches, manifest.shard_patches);
            return Err(damaged(format!("{n} patches in shards of {s} cannot be")));
        }
        Ok(Self {
            intact: metadata::root_is_intact(bytes, &integrity),
            digest: digest::digest(bytes),
            manifest,
            integrity,
        })
    }

    pub(crate) fn shape(&self) -> StoreShape {
        StoreShape {
            patches: self.manifest.patches,
            shard_patches: self.manifest.shard_patches,
            codec: self.manifest.codec,
        }
    }

    /// The bytes of a small object, which must be those that were written.
    pub(crate) fn read_object(&self, path: &Path, object: &str) -> Result<Vec<u8>, OpenError> {
        let mut named = self.integrity.objects.iter();
        let Some(expected) = named.find(|o| o.path == object) else {
            return Err(OpenError::damaged(
                path,
                object,
                "the root does not name it",
            ));
        };
        let file = layout::object_path(path, object);
        let digest = &*expected.digest;
        let read = storage::read_known(&file, Content { digest, object }, expected.bytes);
        let bytes = read.map_err(|source| OpenError::Io { path: file, source })?;
        let found = ObjectRecord::of(object, &bytes);
        if found == *expected {
            return Ok(bytes);
        }
        Err(OpenError::damaged(
            path,
            object,
            difference(&found, expected),
        ))
    }
}

/// How an object differs from its record.
pub(crate) fn difference(found: &ObjectRecord, expected: &ObjectRecord) -> String {
    if found.bytes == expected.bytes {
        let (found, expected) = (&found.digest, &expected.digest);
        format!("its BLAKE3 is {found}, expected {expected}")
    } else {
        format!("it has {} bytes, expected {}", found.bytes, expected.bytes)
    }
}

fn read_metadata(path: &Path) -> Result<Vec<u8>, OpenError> {
    let file = layout::object_path(path, layout::NODE);
    let not_a_store = |reason: &str| OpenError::NotAStore {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    match object::read_object(&file) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(if is_begun(path) {
            OpenError::Incomplete {
                path: path.to_owned(),
            }
        } else if path.exists() || object::is_address(path) {
            not_a_store("it has no `zarr.json`")
        } else {
            not_a_store("there is no such folder")
        }),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            Err(not_a_store("it is a file, and a store is a folder"))
        }
        read => read.map_err(|source| OpenError::Io { path: file, source }),
    }
}

/// Whether there is an ingest's working folder; an object store has folders by the objects in them.
fn is_begun(path: &Path) -> bool {
    let folder = layout::object_path(path, layout::INGEST);
    let plan = || object::object_exists(&folder.join("plan.json"));
    folder.exists() || (object::is_address(path) && plan().unwrap_or(false))
}

/// The version comes first: another major may have quite another manifest.
fn check_version(path: &Path, manifest: &Value) -> Result<(), OpenError> {
    let found: FormatVersion = parse(&manifest["format_version"])
        .map_err(|reason| OpenError::damaged(path, layout::NODE, reason))?;
    if found.is_readable() {
        return Ok(());
    }
    let writer = manifest["writer"].as_str().unwrap_or("an unknown program");
    Err(OpenError::Version {
        path: path.to_owned(),
        found,
        supported: FormatVersion::CURRENT,
        writer: writer.to_owned(),
    })
}

fn parse<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    serde_json::from_value(value.clone()).map_err(|e| e.to_string())
}
