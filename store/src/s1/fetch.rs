//! From a patch index to its Sentinel-1 pixels, if it has any.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use chipmill_schemas::s1::S1_LEN;

use super::S1Pixels;
use crate::codec;
use crate::error::FetchError;
use crate::fetch::{Fetched, S1_GROUP, whole_index, with_buffer, with_copy};
use crate::layout::{self, StoreShape};
use crate::object::is_address;
use crate::shard::{self, Span};
use crate::storage::{self, Content, Object, Part};

/// Shards kept open, beside those of Sentinel-2: together they stay below the 1,024 files that
/// processes are commonly allowed.
const OPEN_FILES: usize = 256;

/// The Sentinel-1 shards of a store. Offset tables are loaded when a shard is first read and then kept:
/// 24 bytes a patch.
#[derive(Debug)]
pub(crate) struct S1Shards {
    root: PathBuf,
    shape: StoreShape,
    /// Of the store, where a cache may be read instead.
    digest: Option<String>,
    shards: Vec<Shard>,
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    object: OnceLock<Box<dyn Object>>,
    spans: OnceLock<Box<[Option<Span>]>>,
}

impl S1Shards {
    pub(crate) fn new(root: &Path, shape: StoreShape, digest: Option<&str>) -> Self {
        Self {
            root: root.to_owned(),
            shape,
            digest: digest.map(str::to_owned),
            shards: (0..shape.shards()).map(|_| Shard::default()).collect(),
            open: AtomicUsize::new(0),
        }
    }

    /// Whether a patch has a chunk.
    pub(crate) fn has(&self, index: u32) -> Result<bool, FetchError> {
        let (shard, place) = self.shape.locate(index);
        let spans = self.spans(shard)?;
        Ok(spans[place as usize].is_some())
    }

    /// Decodes the chunk of a patch, its crc32c checked; false, and all NaN, where there is none.
    pub(crate) fn read(
        &self,
        index: u32,
        fetched: Option<&Fetched>,
        into: &mut S1Pixels,
    ) -> Result<bool, FetchError> {
        let codec = self.shape.codec;
        if let Some(chunk) = fetched.and_then(|f| f.chunk(S1_GROUP, index)) {
            let decode = |chunk: &mut [u8]| codec::decode_s1(codec, chunk, into.values_mut());
            with_copy(chunk?, decode)?;
            return Ok(true);
        }
        let (shard, place) = self.shape.locate(index);
        let Some(span) = self.spans(shard)?[place as usize] else {
            into.values_mut().fill(f32::NAN);
            return Ok(false);
        };
        self.with_file(shard, |file| {
            with_buffer(span, |buffer| {
                file.read_exact_at(buffer, span.offset)?;
                Ok(codec::decode_s1(codec, buffer, into.values_mut())?)
            })
        })?;
        Ok(true)
    }

    /// The object that holds a patch's chunk.
    pub(crate) fn object_of(&self, index: u32) -> String {
        let (shard, _) = self.shape.locate(index);
        layout::s1_shard_object(u64::from(shard))
    }

    /// Loads the offset table of a shard.
    pub(crate) fn load(&self, shard: u32) -> Result<(), FetchError> {
        self.spans(shard).map(|_| ())
    }

    /// Fetches the chunks of some patches together, from afar; `None` where the store is on this machine. The
    /// offset tables are loaded one after the other: this is for patches of few shards.
    pub(crate) fn fetch(&self, rows: &[u32]) -> Option<Fetched> {
        if !is_address(&self.root) {
            return None;
        }
        let mut chunks = Vec::new();
        for &row in rows {
            let (shard, place) = self.shape.locate(row);
            // What is wrong with a table is told when the patch is read.
            let span = self.spans(shard).ok().and_then(|s| s[place as usize]);
            chunks.extend(span.map(|span| (S1_GROUP, row, self.object_of(row), span)));
        }
        let mut fetched = Fetched::default();
        fetched.add(&self.root, self.digest.as_deref(), &chunks);
        Some(fetched)
    }

    fn spans(&self, shard: u32) -> Result<&[Option<Span>], FetchError> {
        let slot = &self.shards[shard as usize].spans;
        if let Some(spans) = slot.get() {
            return Ok(spans);
        }
        let spans = self.with_file(shard, |file| self.read_index(shard, file))?;
        Ok(slot.get_or_init(|| spans))
    }

    fn with_file<T>(
        &self,
        shard: u32,
        action: impl FnOnce(&dyn Object) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let slot = &self.shards[shard as usize].object;
        if let Some(file) = slot.get() {
            return action(&**file);
        }
        let object = layout::s1_shard_object(u64::from(shard));
        let path = layout::object_path(&self.root, &object);
        let content = self.digest.as_deref().map(|digest| Content {
            digest,
            object: &object,
        });
        let file = storage::of(&path)?.open(&path, content)?;
        let result = action(&*file);
        if self.open.load(Ordering::Relaxed) < OPEN_FILES && slot.set(file).is_ok() {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn read_index(&self, shard: u32, file: &dyn Object) -> Result<Box<[Option<Span>]>, FetchError> {
        let index = file.tail(shard::index_bytes(self.shape.shard_patches as usize))?;
        self.parse_index(shard, &index)
    }

    fn parse_index(&self, shard: u32, index: &Part) -> Result<Box<[Option<Span>]>, FetchError> {
        let object = whole_index(index, &self.shape)?;
        let chunks = self.shape.patches_in_shard(u64::from(shard));
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        let longest = shard::longest_chunk(S1_LEN * size_of::<f32>());
        Ok(shard::parse_sparse(&index.bytes, longest, chunks, object)?)
    }
}
