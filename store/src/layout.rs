//! The names of all objects of a store, and where a patch lies in it.

use std::path::{Path, PathBuf};

use chipmill_schemas::band::Resolution;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::manifest::Codec;

/// Metadata object of every Zarr v3 node. The root's is written last: without it there is no store.
pub const NODE: &str = "zarr.json";
/// The patch table.
pub const PATCHES: &str = "patches.parquet";
/// The units of work: digests and sizes of the shards.
pub const UNITS: &str = "units.parquet";
/// Array of Sentinel-1, in stores that have it (since format 1.1).
pub const S1: &str = "s1";
/// Dimensions of [`S1`].
pub const S1_DIMS: [&str; 4] = [DIM_PATCH, POLARISATION, "y_s1", "x_s1"];
/// 1-D array of the names along the axis of polarisations, and that axis.
pub const POLARISATION: &str = "polarisation";
/// The shards of Sentinel-1, as [`UNITS`] has those of Sentinel-2. A table of its own, so that readers
/// of 1.0 find in the other what they know.
pub const S1_UNITS: &str = "s1_units.parquet";
/// Working folder of ingest. The only place that may hold times, paths or hosts; may be deleted.
pub const INGEST: &str = ".ingest";
/// Group of the label arrays.
pub const LABELS: &str = "labels";
/// 1-D array of patch ids.
pub const PATCH_ID: &str = "patch_id";
/// 1-D array of coordinate systems, such as `EPSG:32633`.
pub const PROJ_CODE: &str = "proj:code";
/// Array `[patch, 6]` of affine transforms of the 10 m grid.
pub const TRANSFORM: &str = "spatial:transform";
/// Key of the manifest among the root group's attributes.
pub const MANIFEST: &str = "chipmill";
/// Key of the digests among the root group's attributes.
pub const INTEGRITY: &str = "chipmill_integrity";

/// Name of the first dimension of every array with a row a patch.
pub const DIM_PATCH: &str = "patch";
/// Name of the dimension of the transform's six coefficients.
pub const DIM_COEFFICIENT: &str = "coefficient";

/// Dimension names of one pixel array; xarray needs them distinct for each resolution.
#[must_use]
pub fn pixel_dims(resolution: Resolution) -> [String; 4] {
    let name = resolution.name();
    [
        DIM_PATCH.to_owned(),
        band_dim(resolution),
        format!("y_{name}"),
        format!("x_{name}"),
    ]
}

/// Name of a resolution's band dimension, and of the coordinate array of its band names.
#[must_use]
pub fn band_dim(resolution: Resolution) -> String {
    format!("band_{}", resolution.name())
}

/// Path of a label array inside the store.
#[must_use]
pub fn labels_array(nomenclature: Nomenclature) -> String {
    format!("{LABELS}/{}", nomenclature.name())
}

/// Name of a nomenclature's class dimension.
#[must_use]
pub fn class_dim(nomenclature: Nomenclature) -> String {
    format!("class_{}", nomenclature.name())
}

/// Path of a nomenclature's class names inside the store.
#[must_use]
pub fn classes_array(nomenclature: Nomenclature) -> String {
    format!("{LABELS}/{}", class_dim(nomenclature))
}

/// Path of the metadata object of the node at `node` (empty for the root) inside the store.
#[must_use]
pub fn metadata_object(node: &str) -> String {
    if node.is_empty() {
        NODE.to_owned()
    } else {
        format!("{node}/{NODE}")
    }
}

/// Path of one chunk of an array inside the store: `<array>/c.I.0.0`, as many parts as dimensions.
///
/// The separator is a full stop, so that an array is one flat folder.
#[must_use]
pub fn chunk_object(array: &str, first: u64, dimensions: usize) -> String {
    let rest = ".0".repeat(dimensions.saturating_sub(1));
    format!("{array}/c.{first}{rest}")
}

/// Path of one shard inside the store, such as `10m/c.3.0.0.0`.
#[must_use]
pub fn shard_object(resolution: Resolution, shard: u64) -> String {
    chunk_object(resolution.name(), shard, 4)
}

/// Path of one shard of Sentinel-1 inside the store, such as `s1/c.3.0.0.0`.
#[must_use]
pub fn s1_shard_object(shard: u64) -> String {
    chunk_object(S1, shard, S1_DIMS.len())
}

/// Folders that a store consists of, besides its root, and besides [`S1`] and [`POLARISATION`] where it
/// has Sentinel-1.
#[must_use]
pub fn folders() -> Vec<String> {
    let pixels = Resolution::ALL.map(|r| r.name().to_owned());
    let bands = Resolution::ALL.map(band_dim);
    let labels = Nomenclature::ALL.map(labels_array);
    let classes = Nomenclature::ALL.map(classes_array);
    let single = [PATCH_ID, PROJ_CODE, TRANSFORM, LABELS].map(str::to_owned);
    let all = pixels.into_iter().chain(bands).chain(single);
    all.chain(labels).chain(classes).collect()
}

/// The file of an object.
#[must_use]
pub fn object_path(root: &Path, object: &str) -> PathBuf {
    root.join(object)
}

/// How many patches a store holds, and how they are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreShape {
    /// Patches.
    pub patches: u64,
    /// Patches in every shard but the last, which may hold fewer.
    pub shard_patches: u32,
    /// Compression of the chunks.
    pub codec: Codec,
}

impl StoreShape {
    /// Shards of each resolution group.
    #[must_use]
    pub const fn shards(&self) -> u64 {
        self.patches.div_ceil(self.shard_patches as u64)
    }

    /// Patches in one shard; 0 beyond the last.
    #[must_use]
    pub const fn patches_in_shard(&self, shard: u64) -> u64 {
        let size = self.shard_patches as u64;
        let rest = self.patches.saturating_sub(shard.saturating_mul(size));
        if rest < size { rest } else { size }
    }

    /// The shard that holds a patch, and the patch's place in it.
    #[must_use]
    pub fn locate(&self, index: u32) -> (u32, u32) {
        (index / self.shard_patches, index % self.shard_patches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_have_the_names_of_the_format() {
        assert_eq!(shard_object(Resolution::M20, 7), "20m/c.7.0.0.0");
        assert_eq!(chunk_object("patch_id", 0, 1), "patch_id/c.0");
        assert_eq!(metadata_object(""), "zarr.json");
        assert_eq!(metadata_object("labels/43"), "labels/43/zarr.json");
    }

    proptest! {
        #[test]
        fn every_patch_is_in_exactly_one_shard(patches in 1u64..5_000, shard_patches in 1u32..1_100) {
            let shape = StoreShape { patches, shard_patches, codec: Codec::None };
            let sum: u64 = (0..shape.shards()).map(|k| shape.patches_in_shard(k)).sum();
            prop_assert_eq!(sum, patches);
            prop_assert!((0..shape.shards()).all(|k| shape.patches_in_shard(k) > 0));
            prop_assert_eq!(shape.patches_in_shard(shape.shards()), 0);
        }
    }
}
