//! Chunks as `f32`, in as few touches of memory as their codec allows.

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;

use super::{Fetched, Map, Shards, read_raw};
use crate::error::FetchError;
use crate::pixels::PatchPixels;
use crate::widen;

impl Shards {
    /// Reads one chunk, its crc32c checked, as `f32` into the place of its group in a batch. `pixels` is a work
    /// area: the group in it may be filled or not.
    pub(crate) fn read_f32(
        &self,
        resolution: Resolution,
        index: u32,
        fetched: Option<&Fetched>,
        pixels: &mut PatchPixels,
        into: &mut [f32],
    ) -> Result<(), FetchError> {
        if self.shape.codec != Codec::None {
            self.read(resolution, index, fetched, pixels)?;
            widen::stream(pixels.group_slice(resolution), into);
            return Ok(());
        }
        if let Some(chunk) = fetched.and_then(|f| f.chunk(resolution.index(), index)) {
            return Ok(widen::checked::chunk(chunk?, into)?);
        }
        if let Some(chunk) = self.mapped(resolution, index)? {
            return Ok(widen::checked::chunk(chunk, into)?);
        }
        self.with_chunk(resolution, index, |file, span| {
            let group = pixels.group_and_spill_mut(resolution);
            read_raw(file, span, group, |chunk| {
                widen::checked::chunk(chunk, into)
            })
        })
    }

    /// A chunk in the map of its shard; `None` where shards are not mapped.
    fn mapped(&self, resolution: Resolution, index: u32) -> Result<Option<&[u8]>, FetchError> {
        if !self.map {
            return Ok(None);
        }
        let (shard, place) = self.shape.locate(index);
        let slot = &self.groups[resolution.index()][shard as usize];
        if slot.spans.get().is_none() {
            self.load(resolution, shard)?;
        }
        let Some(spans) = slot.spans.get() else {
            return Ok(None);
        };
        let map = match slot.map.get() {
            Some(map) => map,
            None => {
                let map = Map::of(&self.path_of(resolution, shard), spans.len())?;
                slot.map.get_or_init(|| map)
            }
        };
        let place = place as usize;
        Ok(Some(map.chunk(place, spans[place])?))
    }
}
