//! The chipmill store on disk: Zarr v3 layout, manifest, patch table, writer, reader and verification.

mod arrays;
mod codec;
mod columns;
mod digest;
mod encode;
mod error;
mod fetch;
pub mod layout;
mod metadata;
mod object;
mod pixels;
mod reader;
mod root;
mod shard;
mod table;
mod units;
mod verify;
mod writer;

pub use codec::ChunkError;
pub use columns::TableError;
pub use digest::{ObjectRecord, digest, patch_ids_digest};
pub use encode::{EncodedPatch, PatchEncoder};
pub use error::{FetchError, OpenError, ReadError, WriteError};
pub use layout::StoreShape;
pub use object::{Creation, create_object, remove_stale_temporaries, write_object};
pub use pixels::PatchPixels;
pub use reader::StoreReader;
pub use shard::IndexError;
pub use units::UnitRow;
pub use verify::verify;
pub use writer::StoreWriter;
