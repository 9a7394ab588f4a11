//! One shard: many chunks in one object, as Zarr v3's `sharding_indexed` codec lays them out.
//!
//! Chunks in C order without gaps, then the index: one pair (offset, length) of little-endian `u64` a
//! chunk, both 2^64 - 1 for a chunk that is not there, then the crc32c of the index.

use crate::codec::{self, ChunkError};

const ENTRY: usize = 2 * size_of::<u64>();
const MISSING: u64 = u64::MAX;

/// The index of a shard whose chunks are appended one after the other.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: Vec<[u64; 2]>,
    end: u64,
}

impl Index {
    /// A further chunk, of so many bytes.
    pub(crate) fn push(&mut self, bytes: usize) {
        self.entries.push([self.end, bytes as u64]);
        self.end += bytes as u64;
    }

    /// A chunk that is not there.
    pub(crate) fn push_missing(&mut self) {
        self.entries.push([MISSING; 2]);
    }

    /// The index as it stands at the end of a shard of `slots` chunks; slots beyond the last chunk are
    /// marked as missing.
    pub(crate) fn to_bytes(&self, slots: u32) -> Vec<u8> {
        let slots = slots as usize;
        let missing = std::iter::repeat(&[MISSING; 2]);
        let entries = self.entries.iter().chain(missing).take(slots);
        let mut bytes = Vec::with_capacity(index_bytes(slots));
        for number in entries.flatten() {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        let crc = codec::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// Length of the index of a shard, its crc32c included.
pub(crate) const fn index_bytes(slots: usize) -> usize {
    slots * ENTRY + codec::CRC_BYTES
}

/// Where one chunk lies in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
}

/// A shard's index does not describe the shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// The object is shorter than its index.
    #[error("the shard has {found} bytes, fewer than its index of {expected} bytes")]
    TooShort {
        /// Length of the object.
        found: u64,
        /// Length of the index.
        expected: u64,
    },
    /// The index's checksum does not hold.
    #[error("the shard index is corrupt ({0})")]
    Checksum(ChunkError),
    /// A chunk that should be there is not, or the other way round.
    #[error("the shard index lists {found} chunks, expected the first {expected}")]
    Occupancy {
        /// Chunks listed.
        found: usize,
        /// Patches that the store says the shard holds.
        expected: usize,
    },
    /// A chunk lies outside the object or cannot be that long.
    #[error(
        "the shard index puts chunk {place} at byte {offset}, length {bytes}: not in this shard"
    )]
    Span {
        /// Place of the chunk in the shard.
        place: usize,
        /// Where it should begin.
        offset: u64,
        /// How long it should be.
        bytes: u64,
    },
}

/// Reads an index. `chunks` of its slots are occupied, the first ones, each by a chunk of at most
/// `longest` bytes; `object` is the length of the whole shard.
pub(crate) fn parse_index(
    index: &[u8],
    longest: u64,
    chunks: usize,
    object: u64,
) -> Result<Box<[Span]>, IndexError> {
    let spans = parse_sparse(index, longest, chunks, object)?;
    let occupied = spans.iter().flatten().count();
    if occupied != chunks {
        return Err(IndexError::Occupancy {
            found: occupied,
            expected: chunks,
        });
    }
    Ok(spans.into_iter().flatten().collect())
}

/// Reads an index of which any of the first `chunks` slots may be empty, and all others must be.
pub(crate) fn parse_sparse(
    index: &[u8],
    longest: u64,
    chunks: usize,
    object: u64,
) -> Result<Box<[Option<Span>]>, IndexError> {
    let entries = codec::checked(index).map_err(IndexError::Checksum)?;
    let numbers = entries
        .as_chunks::<8>()
        .0
        .iter()
        .copied()
        .map(u64::from_le_bytes);
    let numbers: Vec<u64> = numbers.collect();
    let pairs = numbers.as_chunks::<2>().0;
    let beyond = pairs.iter().skip(chunks).any(|p| *p != [MISSING; 2]);
    if beyond || pairs.len() < chunks {
        return Err(IndexError::Occupancy {
            found: pairs.iter().filter(|p| **p != [MISSING; 2]).count(),
            expected: chunks,
        });
    }
    let data = object.saturating_sub(index.len() as u64);
    let places = pairs.iter().take(chunks).enumerate();
    let span = |(place, pair): (usize, &[u64; 2])| match *pair {
        [MISSING, MISSING] => Ok(None),
        [offset, bytes] => span(place, offset, bytes, longest, data).map(Some),
    };
    places.map(span).collect()
}

/// No codec here makes chunks longer than this of so many bytes of pixels; a lying index must not make
/// the reader allocate.
pub(crate) const fn longest_chunk(bytes: usize) -> u64 {
    bytes as u64 * 2 + 1024
}

fn span(
    place: usize,
    offset: u64,
    bytes: u64,
    longest: u64,
    data: u64,
) -> Result<Span, IndexError> {
    let inside = offset.checked_add(bytes).is_some_and(|end| end <= data);
    match usize::try_from(bytes) {
        Ok(length) if inside && bytes <= longest => Ok(Span {
            offset,
            bytes: length,
        }),
        _ => Err(IndexError::Span {
            place,
            offset,
            bytes,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(shard: &[u8], slots: usize, chunks: usize) -> Result<Box<[Span]>, IndexError> {
        let index = &shard[shard.len() - index_bytes(slots)..];
        parse_index(index, 4096, chunks, shard.len() as u64)
    }

    proptest! {
        #[test]
        fn every_chunk_is_found_where_the_index_says(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 1..20), spare in 0usize..5) {
            let slots = chunks.len() + spare;
            let (mut index, mut shard) = (Index::default(), chunks.concat());
            chunks.iter().for_each(|c| index.push(c.len()));
            shard.extend(index.to_bytes(u32::try_from(slots).unwrap()));
            let spans = parse(&shard, slots, chunks.len()).unwrap();
            for (span, chunk) in spans.iter().zip(&chunks) {
                let start = usize::try_from(span.offset).unwrap();
                prop_assert_eq!(&shard[start..start + span.bytes], chunk.as_slice());
            }
            prop_assert!(parse(&shard, slots, chunks.len() - 1).is_err());
            prop_assert!(parse(&shard, slots, chunks.len() + 1).is_err());
        }

        #[test]
        fn chunks_that_are_not_there_are_told_from_those_that_are(lengths in proptest::collection::vec(proptest::option::of(1usize..50), 1..20), spare in 0usize..3) {
            let slots = lengths.len() + spare;
            let mut index = Index::default();
            for length in &lengths {
                match length {
                    Some(length) => index.push(*length),
                    None => index.push_missing(),
                }
            }
            let object = index.end + index_bytes(slots) as u64;
            let bytes = index.to_bytes(u32::try_from(slots).unwrap());
            let spans = parse_sparse(&bytes, 4096, lengths.len(), object).unwrap();
            let found: Vec<_> = spans.iter().map(|s| s.map(|s| s.bytes)).collect();
            prop_assert_eq!(found, lengths.clone());
            let whole = parse_index(&bytes, 4096, lengths.len(), object);
            prop_assert_eq!(whole.is_ok(), lengths.iter().all(Option::is_some));
        }
    }

    #[test]
    fn an_index_that_points_outside_is_refused() {
        for (offset, bytes) in [(0, 1 << 40), (u64::MAX - 1, 3), (9, 2)] {
            let mut index: Vec<u8> = [offset, bytes]
                .iter()
                .flat_map(|n: &u64| n.to_le_bytes())
                .collect();
            index.extend_from_slice(&codec::crc32c(&index).to_le_bytes());
            let object = 10 + index.len() as u64;
            let error = parse_index(&index, 4096, 1, object).unwrap_err();
            assert!(
                matches!(error, IndexError::Span { place: 0, .. }),
                "{error}"
            );
        }
    }
}
