//! Object stores of this process, for tests. Nothing outside the process can make one.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use object_store::memory::InMemory;

use super::address::Scheme;
use super::{BUCKETS, Bucket};

/// How a store in memory keeps its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// An object is created once.
    Kept,
    /// Creating an object replaces it and says that it was created, as some stores do.
    Broken,
}

/// Makes an empty store in memory; gives the address of a place in it. An older one of that name is gone.
#[must_use]
pub fn memory_store(name: &str, word: Word) -> PathBuf {
    let place = format!("memory://{name}");
    let client = Arc::new(InMemory::new());
    let bucket = Bucket::new(client, Scheme::Memory, word == Word::Broken);
    let mut buckets = BUCKETS.lock().unwrap_or_else(PoisonError::into_inner);
    buckets.insert(place.clone(), bucket);
    PathBuf::from(format!("{place}/ben.zarr"))
}
