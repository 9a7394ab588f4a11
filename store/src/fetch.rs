//! From a patch index to a decoded chunk: offset tables, positioned reads, no lock on the way.

mod ahead;
mod float;
mod map;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;

use crate::codec::{self, ChunkError};
use crate::error::FetchError;
use crate::layout::{self, StoreShape};
use crate::object::is_address;
use crate::pixels::{PatchPixels, SPILL};
use crate::shard::{self, IndexError, Span};
use crate::storage::{self, Content, Object, Part};
pub use ahead::Fetched;
pub(crate) use ahead::S1_GROUP;
use map::Map;

/// Shards kept open. BigEarthNet has 3 x 577 shards of 1,024 patches, and processes are commonly
/// allowed 1,024 open files; a shard beyond these is opened for every read (a few microseconds).
const OPEN_FILES: usize = 512;

/// The shards of a store. Offset tables are loaded when a shard is first read and then kept: 48 bytes
/// a patch.
#[derive(Debug)]
pub(crate) struct Shards {
    root: PathBuf,
    shape: StoreShape,
    /// Of the store, where a cache may be read instead.
    digest: Option<String>,
    groups: [Vec<Shard>; 3],
    open: AtomicUsize,
    /// Whether uncompressed shards may be mapped.
    map: bool,
}

#[derive(Debug, Default)]
struct Shard {
    object: OnceLock<Box<dyn Object>>,
    spans: OnceLock<Box<[Span]>>,
    map: OnceLock<Map>,
}

impl Shards {
    /// `digest` is that of the store: what a cache has under it is as good as the store itself. Without
    /// one nothing comes from a cache.
    pub(crate) fn new(root: &Path, shape: StoreShape, digest: Option<&str>) -> Self {
        let group = |_| (0..shape.shards()).map(|_| Shard::default()).collect();
        Self {
            root: root.to_owned(),
            shape,
            digest: digest.map(str::to_owned),
            groups: Resolution::ALL.map(group),
            open: AtomicUsize::new(0),
            map: false,
        }
    }

    /// Maps uncompressed shards that are files of this machine, instead of copying out of them.
    ///
    /// # Safety
    /// As long as this lives nobody may change or shorten them.
    #[expect(unsafe_code, reason = "a map is only as good as its file (ADR 0027)")]
    pub(crate) unsafe fn allow_maps(&mut self) {
        self.map = self.shape.codec == Codec::None && !is_address(&self.root);
    }

    /// Decodes one chunk into its group of `into`, its crc32c checked. What was fetched before is not read
    /// again.
    pub(crate) fn read(
        &self,
        resolution: Resolution,
        index: u32,
        fetched: Option<&Fetched>,
        into: &mut PatchPixels,
    ) -> Result<(), FetchError> {
        if let Some(chunk) = fetched.and_then(|f| f.chunk(resolution.index(), index)) {
            return with_copy(chunk?, |chunk| {
                Ok(codec::decode_pixels(
                    self.shape.codec,
                    chunk,
                    into.group_slice_mut(resolution),
                )?)
            });
        }
        self.with_chunk(resolution, index, |file, span| match self.shape.codec {
            Codec::None => read_raw(file, span, into.group_and_spill_mut(resolution), |chunk| {
                codec::checked(chunk).map(|_| ())
            }),
            codec => with_buffer(span, |buffer| {
                file.read_exact_at(buffer, span.offset)?;
                let group = into.group_slice_mut(resolution);
                Ok(codec::decode_pixels(codec, buffer, group)?)
            }),
        })
    }

    /// Reads one chunk as it is stored: compressed, its crc32c at the end and not compared.
    pub(crate) fn read_stored(
        &self,
        resolution: Resolution,
        index: u32,
        into: &mut Vec<u8>,
    ) -> Result<(), FetchError> {
        self.with_chunk(resolution, index, |file, span| {
            into.resize(span.bytes, 0);
            Ok(file.read_exact_at(into, span.offset)?)
        })
    }

    /// Asks the system to load the chunks of consecutive patches into its file cache, and does not wait
    /// for it. The chunks of one shard lie in the order of their patches, so each shard is asked once.
    pub(crate) fn prefetch(&self, resolution: Resolution, first: u32, last: u32) {
        let (first_shard, from) = self.shape.locate(first);
        let (last_shard, to) = self.shape.locate(last);
        for shard in first_shard..=last_shard {
            let from = if shard == first_shard { from } else { 0 };
            let to = if shard == last_shard { to } else { u32::MAX };
            // A hint: what is wrong with the shard is told when it is read.
            let _ = self.with_file(resolution, shard, |file| {
                let spans = self.spans_of(resolution, shard, file)?;
                let spans = &spans[from as usize..spans.len().min(to as usize + 1)];
                if let [first, .., last] | [first @ last] = spans {
                    file.will_need(first.offset..last.offset + last.bytes as u64);
                }
                Ok(())
            });
        }
    }

    /// The object that holds a patch's chunk.
    pub(crate) fn object_of(&self, resolution: Resolution, index: u32) -> String {
        let (shard, _) = self.shape.locate(index);
        layout::shard_object(resolution, u64::from(shard))
    }

    /// Loads the offset table of a shard.
    pub(crate) fn load(&self, resolution: Resolution, shard: u32) -> Result<(), FetchError> {
        self.with_file(resolution, shard, |file| {
            self.spans_of(resolution, shard, file).map(|_| ())
        })
    }

    fn with_chunk<T>(
        &self,
        resolution: Resolution,
        index: u32,
        action: impl FnOnce(&dyn Object, Span) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let (shard, place) = self.shape.locate(index);
        self.with_file(resolution, shard, |file| {
            let spans = self.spans_of(resolution, shard, file)?;
            action(file, spans[place as usize])
        })
    }

    fn with_file<T>(
        &self,
        resolution: Resolution,
        shard: u32,
        action: impl FnOnce(&dyn Object) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let slot = &self.groups[resolution.index()][shard as usize].object;
        if let Some(file) = slot.get() {
            return action(&**file);
        }
        let object = layout::shard_object(resolution, u64::from(shard));
        let path = self.path_of(resolution, shard);
        let file = storage::of(&path)?.open(&path, self.content(&object))?;
        let result = action(&*file);
        if self.open.load(Ordering::Relaxed) < OPEN_FILES && slot.set(file).is_ok() {
            self.open.fetch_add(1, Ordering::Relaxed);
        }
        result
    }

    fn path_of(&self, resolution: Resolution, shard: u32) -> PathBuf {
        let object = layout::shard_object(resolution, u64::from(shard));
        layout::object_path(&self.root, &object)
    }

    fn content<'a>(&'a self, object: &'a str) -> Option<Content<'a>> {
        let digest = self.digest.as_deref()?;
        Some(Content { digest, object })
    }

    fn spans_of(
        &self,
        resolution: Resolution,
        shard: u32,
        file: &dyn Object,
    ) -> Result<&[Span], FetchError> {
        let slot = &self.groups[resolution.index()][shard as usize].spans;
        if let Some(spans) = slot.get() {
            return Ok(spans);
        }
        let spans = self.read_index(resolution, shard, file)?;
        Ok(slot.get_or_init(|| spans))
    }

    fn read_index(
        &self,
        resolution: Resolution,
        shard: u32,
        file: &dyn Object,
    ) -> Result<Box<[Span]>, FetchError> {
        let index = file.tail(shard::index_bytes(self.shape.shard_patches as usize))?;
        self.parse_index(resolution, shard, &index)
    }

    fn parse_index(
        &self,
        resolution: Resolution,
        shard: u32,
        index: &Part,
    ) -> Result<Box<[Span]>, FetchError> {
        let object = whole_index(index, &self.shape)?;
        let chunks = self.shape.patches_in_shard(u64::from(shard));
        let chunks = usize::try_from(chunks).unwrap_or(usize::MAX);
        let longest = shard::longest_chunk(resolution.chunk_len() * size_of::<u16>());
        Ok(shard::parse_index(&index.bytes, longest, chunks, object)?)
    }
}

/// The length of the shard that an index ends; an error where the shard is shorter than its index.
pub(crate) fn whole_index(index: &Part, shape: &StoreShape) -> Result<u64, IndexError> {
    let expected = shard::index_bytes(shape.shard_patches as usize);
    let found = index.length.unwrap_or_default();
    if index.bytes.len() == expected {
        return Ok(found);
    }
    let expected = expected as u64;
    Err(IndexError::TooShort { found, expected })
}

/// Reads an uncompressed chunk to where it belongs, with no buffer in between. Its checksum is read with it,
/// into the last [`SPILL`] values of `into`, which are as before when the chunk has been `used`.
fn read_raw(
    file: &dyn Object,
    span: Span,
    into: &mut [u16],
    used: impl FnOnce(&[u8]) -> Result<(), ChunkError>,
) -> Result<(), FetchError> {
    let (found, expected) = (span.bytes, size_of_val(into));
    if found != expected {
        return Err(ChunkError::Length { found, expected }.into());
    }
    let Some(spilt) = into.last_chunk::<SPILL>().copied() else {
        unreachable!("a group has that many values behind it");
    };
    let chunk: &mut [u8] = bytemuck::cast_slice_mut(into);
    let used = match file.read_exact_at(chunk, span.offset) {
        Ok(()) => used(chunk).map_err(FetchError::from),
        Err(e) => Err(e.into()),
    };
    let (group, behind) = into.split_at_mut(into.len() - SPILL);
    behind.copy_from_slice(&spilt);
    codec::to_native(group);
    used
}

/// Lends a copy of fetched bytes: decoding needs them as a work area.
pub(crate) fn with_copy<T>(chunk: &[u8], action: impl FnOnce(&mut [u8]) -> T) -> T {
    let span = Span {
        offset: 0,
        bytes: chunk.len(),
    };
    with_buffer(span, |buffer| {
        buffer.copy_from_slice(chunk);
        action(buffer)
    })
}

/// Lends this thread's buffer for compressed bytes, so that reads do not allocate. It is as long as
/// the longest chunk that the thread has met, and spans are bounded by what a chunk can be.
pub(crate) fn with_buffer<T>(span: Span, action: impl FnOnce(&mut [u8]) -> T) -> T {
    thread_local! {
        static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BUFFER.with_borrow_mut(|buffer| {
        if buffer.len() < span.bytes {
            buffer.resize(span.bytes, 0);
        }
        action(&mut buffer[..span.bytes])
    })
}
