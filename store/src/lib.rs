//! The chipmill store on disk: Zarr v3 layout, manifest, patch table, writer, reader and verification.
//!
//! A store holds Sentinel-2 patches at native resolution in three sharded arrays, `10m`, `20m` and
//! `60m`, one chunk a patch, beside their labels and a table with one row a patch; and Sentinel-1 in a
//! fourth, `s1`, where it was ingested. `docs/format.md`
//! describes every byte. A store is written once: [`StoreWriter::write_shard`] for whole shards, in any
//! order and by any number of threads or processes, then [`StoreWriter::finalize`], which writes the
//! root's metadata last. Before that nothing opens as a store; afterwards [`StoreReader`] reads it and
//! [`verify()`] checks every byte of it. zarrs and Parquet stay inside this crate.
//!
//! Wherever a path of a store is asked for, an address in an object store will do: `s3://bucket/ben.zarr`,
//! `gs://`, `az://`, or `https://` for reading. Credentials come from the environment (`docs/object-stores.md`);
//! [`use_cache`] keeps on this machine what was read from afar.
//!
//! ```
//! use chipmill_schemas::band::{Band, Resolution};
//! use chipmill_schemas::manifest::Codec;
//! use chipmill_schemas::patch::PatchRow;
//! use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
//! use chipmill_schemas::statistics::{BandStatistics, SetStatistics};
//! use chipmill_store::{
//!     PatchEncoder, PatchPixels, StoreReader, StoreShape, StoreWriter, UnitRow, patch_ids_digest, verify,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let root = folder.path().join("store");
//! // One patch, every pixel 1000.
//! let id: PatchId = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57".parse()?;
//! let mut pixels = PatchPixels::zeroed();
//! Resolution::ALL.iter().for_each(|&r| pixels.group_slice_mut(r).fill(1000));
//!
//! let shape = StoreShape { patches: 1, shard_patches: 1024, codec: Codec::Lz4 };
//! let writer = StoreWriter::new(&root, shape)?;
//! let encoded = PatchEncoder::new(shape.codec).encode(&pixels)?;
//! let unit = UnitRow {
//!     unit: 0,
//!     patch_ids_digest: patch_ids_digest([&id]),
//!     patches: 1,
//!     objects: writer.write_shard(0, &[encoded])?,
//! };
//! let band = |band: Band| BandStatistics {
//!     band,
//!     count: band.resolution().side().pow(2) as u64,
//!     mean: 1000.0, std: 0.0, min: 1000, p1: 1000.0, p2: 1000.0, p50: 1000.0, p98: 1000.0,
//!     p99: 1000.0, max: 1000, zeros: 0,
//! };
//! let statistics = SetStatistics { split: None, patches: 1, bands: Band::ALL.map(band).to_vec() };
//! writer.finalize(&[PatchRow::from_id(id)], &[unit], vec![statistics], &[DatasetVersion::V2])?;
//!
//! let store = StoreReader::open(&root)?;
//! let mut read = PatchPixels::zeroed();
//! store.read(0, &[Resolution::M10], &mut read)?;
//! assert_eq!(read.band(Band::B08)[[119, 0]], 1000);
//! assert!(verify(&root, 0)?.ok);
//! # Ok(())
//! # }
//! ```

mod arrays;
mod bitshuffle;
mod blosc;
mod codec;
mod columns;
mod digest;
mod elements;
mod encode;
mod error;
#[doc(hidden)]
pub mod fault;
mod fetch;
#[doc(hidden)]
pub mod fuzzing;
mod large_pages;
pub mod layout;
mod metadata;
mod object;
mod patch_arrays;
mod piecewise;
mod pixels;
mod reader;
mod root;
mod row_source;
mod rows;
mod s1;
mod shard;
mod shard_writer;
mod storage;
mod table;
mod units;
mod verify;
mod widen;
mod writer;
mod written;

pub use codec::ChunkError;
pub use columns::TableError;
pub use digest::{ObjectRecord, digest, packed_ids_digest, patch_ids_digest};
pub use encode::{EncodedPatch, PatchEncoder};
pub use error::{FetchError, OpenError, ReadError, WriteError};
pub use fetch::Fetched;
pub use large_pages::prefer_large_pages;
pub use layout::StoreShape;
pub use object::{
    Creation, ObjectWriter, check_creation, create_object, is_address, object_exists, object_names,
    read_object, remove_object, remove_stale_temporaries, write_object,
};
pub use pixels::PatchPixels;
pub use reader::StoreReader;
pub use row_source::RowSource;
pub use rows::{PatchTable, Rows};
pub use s1::{S1Encoder, S1Pixels, S1ShardWriter};
pub use shard::IndexError;
pub use shard_writer::ShardWriter;
pub use storage::remote::{Traffic, use_cache};
pub use units::UnitRow;
pub use verify::verify;
pub use writer::{Contents, S1Contents, StoreWriter};
