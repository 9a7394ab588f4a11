//! The `zarr.json` documents of a store: arrays, groups, and the root with its digests.
//!
//! Objects are rendered with sorted keys and a final line feed, so that equal content is equal bytes.

use std::collections::BTreeMap;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Manifest;
use chipmill_schemas::s1::{Polarisation, S1_SIDE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::codec;
use crate::digest::{ObjectRecord, digest};
use crate::layout::{self, StoreShape};

/// What stands in the place of the root's own digest while it is computed.
const NO_DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// `attributes.chipmill_integrity` of the root group: with `units.parquet`, which it names, it covers
/// every byte of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Integrity {
    /// BLAKE3 of the root `zarr.json` with 64 zeros in this place.
    pub(crate) digest: String,
    /// All objects but the shards and the root `zarr.json`, by path.
    pub(crate) objects: Vec<ObjectRecord>,
}

/// One array, as its `zarr.json` describes it.
#[derive(Debug, Clone)]
pub(crate) struct ArrayDocument {
    pub(crate) path: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) chunk_shape: Vec<u64>,
    pub(crate) data_type: &'static str,
    pub(crate) fill: Value,
    pub(crate) codecs: Value,
    pub(crate) dims: Vec<String>,
    pub(crate) attributes: Value,
}

impl ArrayDocument {
    /// The array of one resolution's pixels.
    pub(crate) fn pixels(resolution: Resolution, shape: &StoreShape) -> Self {
        let bands = resolution.bands();
        let side = resolution.side() as u64;
        let of = |patches: u64| vec![patches, bands.len() as u64, side, side];
        let names: Vec<_> = bands.iter().map(|b| b.name()).collect();
        Self {
            path: resolution.name().to_owned(),
            shape: of(shape.patches),
            chunk_shape: of(u64::from(shape.shard_patches)),
            data_type: "uint16",
            fill: json!(0),
            codecs: sharded(&of(1), &codec::pixel_codecs(shape.codec, size_of::<u16>())),
            dims: layout::pixel_dims(resolution).to_vec(),
            attributes: json!({
                "bands": names,
                "ground_sampling_distance_m": resolution.metres(),
                "long_name": "Sentinel-2 L2A surface reflectance x 10000, as read",
            }),
        }
    }

    /// The array of Sentinel-1.
    pub(crate) fn s1(shape: &StoreShape) -> Self {
        let side = S1_SIDE as u64;
        let of = |patches: u64| vec![patches, Polarisation::ALL.len() as u64, side, side];
        Self {
            path: layout::S1.to_owned(),
            shape: of(shape.patches),
            chunk_shape: of(u64::from(shape.shard_patches)),
            data_type: "float32",
            fill: json!("NaN"),
            codecs: sharded(&of(1), &codec::pixel_codecs(shape.codec, size_of::<f32>())),
            dims: layout::S1_DIMS.map(str::to_owned).to_vec(),
            attributes: json!({
                "polarisations": Polarisation::ALL.map(Polarisation::name),
                "ground_sampling_distance_m": 10,
                "long_name": "Sentinel-1 GRD backscatter in dB, as read; NaN where a patch has none",
            }),
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "zarr_format": 3,
            "node_type": "array",
            "shape": self.shape,
            "data_type": self.data_type,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.chunk_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": self.fill,
            "codecs": self.codecs,
            "dimension_names": self.dims,
            "attributes": self.attributes,
        })
    }
}

/// The one codec of a sharded array: chunks of that shape, with these codecs.
fn sharded(chunk_shape: &[u64], codecs: &Value) -> Value {
    json!([{"name": "sharding_indexed", "configuration": {
        "chunk_shape": chunk_shape,
        "codecs": codecs,
        "index_codecs": [
            {"name": "bytes", "configuration": {"endian": "little"}},
            codec::crc32c_codec(),
        ],
        "index_location": "end",
    }}])
}

/// The nodes below the root, by path.
pub(crate) type Nodes = BTreeMap<String, Value>;

/// The document of the label group; it consolidates its own arrays, as it may be opened on its own.
pub(crate) fn label_group(nodes: &Nodes) -> Value {
    let prefix = format!("{}/", layout::LABELS);
    let own = nodes
        .iter()
        .filter_map(|(path, node)| Some((path.strip_prefix(&prefix)?.to_owned(), node.clone())));
    let mut group = plain_group();
    group["consolidated_metadata"] = consolidated(&own.collect());
    group
}

/// A group without attributes.
pub(crate) fn plain_group() -> Value {
    json!({"zarr_format": 3, "node_type": "group", "attributes": {}})
}

/// The bytes of the root `zarr.json`.
pub(crate) fn root(
    manifest: &Manifest,
    objects: Vec<ObjectRecord>,
    nodes: &Nodes,
) -> Result<Vec<u8>, serde_json::Error> {
    let integrity = Integrity {
        digest: NO_DIGEST.to_owned(),
        objects,
    };
    let coordinates = [layout::PATCH_ID, layout::PROJ_CODE, layout::TRANSFORM];
    let root = json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": {
            layout::MANIFEST: serde_json::to_value(manifest)?,
            layout::INTEGRITY: serde_json::to_value(&integrity)?,
            "coordinates": coordinates.join(" "),
        },
        "consolidated_metadata": consolidated(nodes),
    });
    let blank = render(root)?;
    let digest = digest(&blank);
    Ok(replace_digest(&blank, NO_DIGEST, &digest))
}

/// Whether the bytes of a root `zarr.json` are those that were written, going by their own digest.
pub(crate) fn root_is_intact(bytes: &[u8], integrity: &Integrity) -> bool {
    let blank = replace_digest(bytes, &integrity.digest, NO_DIGEST);
    integrity.digest.len() == NO_DIGEST.len() && digest(&blank) == integrity.digest
}

/// A document as the bytes of its object.
pub(crate) fn render(mut document: Value) -> Result<Vec<u8>, serde_json::Error> {
    document.sort_all_objects();
    let mut bytes = serde_json::to_vec_pretty(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Made from the children's own documents: zarrs' consolidation writes codecs that have no
/// configuration as bare strings, which zarr-python does not read.
fn consolidated(nodes: &Nodes) -> Value {
    json!({"kind": "inline", "must_understand": false, "metadata": nodes})
}

/// Replaces a digest where it stands as the value of the integrity's `digest`.
fn replace_digest(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let from = format!("\"digest\": \"{from}\"");
    let to = format!("\"digest\": \"{to}\"");
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes());
    let mut bytes = bytes.to_vec();
    if let Some(at) = at {
        bytes.splice(at..at + from.len(), to.bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::manifest::{Codec, FormatVersion};

    fn root_bytes() -> Vec<u8> {
        let manifest = Manifest {
            format_version: FormatVersion::CURRENT,
            writer: "chipmill 0.0.0".to_owned(),
            dataset_versions: vec![],
            patches: 3,
            shard_patches: 2,
            codec: Codec::Lz4,
            bands: vec![],
            patch_ids_digest: digest(b""),
            statistics: vec![],
            s1: None,
        };
        let objects = vec![ObjectRecord::of("patches.parquet", b"x")];
        root(&manifest, objects, &Nodes::new()).unwrap()
    }

    fn integrity(bytes: &[u8]) -> Option<Integrity> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        serde_json::from_value(value["attributes"][layout::INTEGRITY].clone()).ok()
    }

    #[test]
    fn the_root_vouches_for_itself_bit_by_bit() {
        let bytes = root_bytes();
        assert!(root_is_intact(&bytes, &integrity(&bytes).unwrap()));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let holds = integrity(&flipped).is_some_and(|i| root_is_intact(&flipped, &i));
            assert!(!holds, "bit {bit}");
        }
    }

    #[test]
    fn pixel_arrays_are_sharded_with_a_checksum_inside() {
        let shape = StoreShape {
            patches: 3,
            shard_patches: 2,
            codec: Codec::Zstd,
        };
        let document = ArrayDocument::pixels(Resolution::M20, &shape).to_json();
        assert_eq!(document["shape"], json!([3, 6, 60, 60]));
        let sharding = &document["codecs"][0]["configuration"];
        assert_eq!(sharding["chunk_shape"], json!([1, 6, 60, 60]));
        let names: Vec<_> = sharding["codecs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| &c["name"])
            .collect();
        assert_eq!(names, ["bytes", "zstd", "crc32c"]);
    }
}
