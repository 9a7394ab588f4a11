//! From a patch index to its Sentinel-1 pixels, if it has any.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use chipmill_schemas::s1::S1_LEN;

use super::S1Pixels;
use crate::codec;
use crate::error::FetchError;
use crate::fetch::with_buffer;
use crate::layout::{self, StoreShape};
use crate::shard::{self, IndexError, Span};

/// Shards kept open, beside those of Sentinel-2: together they stay below the 1,024 files that
/// processes are commonly allowed.
const OPEN_FILES: usize = 256;

/// The Sentinel-1 shards of a store. Offset tables are loaded when a shard is first read and then kept:
/// 24 bytes a patch.
#[derive(Debug)]
pub(crate) struct S1Shards {
    root: PathBuf,
    shape: StoreShape,
    shards: Vec<Shard>,
    open: AtomicUsize,
}

#[derive(Debug, Default)]
struct Shard {
    file: OnceLock<File>,
    spans: OnceLock<Box<[Option<Span>]>>,
}

impl S1Shards {
    pub(crate) fn new(root: &Path, shape: StoreShape) -> Self {
        Self {
            root: root.to_owned(),
            shape,
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
    pub(crate) fn read(&self, index: u32, into: &mut S1Pixels) -> Result<bool, FetchError> {
        let (shard, place) = self.shape.locate(index);
        let Some(span) = self.spans(shard)?[place as usize] else {
            into.values_mut().fill(f32::NAN);
            return Ok(false);
        };
        self.with_file(shard, |file| {
            with_buffer(span, |buffer| {
                file.read_exact_at(buffer, span.offset)?;
                Ok(codec::decode_s1(
                    self.shape.codec,
                    buffer,
                    into.values_mut(),
                )?)
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
        action: impl FnOnce(&File) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let slot = &self.shards[shard as usize].file;
        if let Some(file) = slot.get() {
            return action(file);
        }
        let object = layout::s1_shard_object(u64::from(shard));
        let file = File::open(layout::object_path(&self.root, &object))?;
        let result = action(&file);
        if self.open.load(Ordering::Relaxed) < OPEN_FILES && slot.set(file).is_ok() {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn read_index(&self, shard: u32, file: &File) -> Result<Box<[Option<Span>]>, FetchError> {
        let object = file.metadata()?.len();
        let length = shard::index_bytes(self.shape.shard_patches as usize);
        let Some(start) = object.checked_sub(length as u64) else {
            let expected = length as u64;
            return Err(IndexError::TooShort {
                found: object,
                expected,
            }
            .into());
        };
        let mut index = vec![0; length];
        file.read_exact_at(&mut index, start)?;
        let chunks = self.shape.patches_in_shard(u64::from(shard));
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        let longest = shard::longest_chunk(S1_LEN * size_of::<f32>());
        Ok(shard::parse_sparse(&index, longest, chunks, object)?)
    }
}
