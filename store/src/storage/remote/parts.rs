//! Many parts of many objects with few requests: what is near is fetched together, what is in the cache
//! not at all, and everything else at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::GetRange;
use object_store::path::Path as Key;

use super::super::{Content, Part, Place, Wanted};
use super::cache::{self, BLOCK, BlockCache};
use super::explain::explain;
use super::traffic::{CACHED, count};
use super::{Remote, key, runtime};
use crate::fault::{Point, pass};

/// Bytes between two parts that are rather fetched than left out. About a chunk: memory for what nobody
/// wants stays below what is wanted.
const GAP: u64 = 64 << 10;

/// The most bytes that one request asks for: more are shared among several, which are faster together.
/// A multiple of the cache's blocks.
const MOST: u64 = 8 << 20;

/// Reads parts; each has its own result.
pub(super) fn read(remote: &Arc<Remote>, wanted: &[Wanted<'_>]) -> Vec<io::Result<Part>> {
    let cache = match cache::current() {
        Ok(cache) => cache,
        Err(e) => return wanted.iter().map(|_| Err(again(&e))).collect(),
    };
    let (mut sources, of_wanted) = by_object(wanted, cache.as_deref());
    let mut asked = Vec::new();
    for (number, source) in sources.iter_mut().enumerate() {
        let places = source.missing();
        asked.extend(places.into_iter().map(|place| (number, place)));
    }
    // Only of tests: what may fail has to pass a point first.
    asked.retain(|(number, _)| {
        let source = &mut sources[*number];
        let passed = pass(Point::Request, source.path);
        passed.map_err(|e| source.error = Some(e)).is_ok()
    });
    let requests = asked.iter().map(|(number, place)| {
        let key = sources[*number].key.clone();
        (key, place.clone())
    });
    let answers = match fetch(remote, requests.collect()) {
        Ok(answers) => answers,
        Err(e) => return wanted.iter().map(|_| Err(again(&e))).collect(),
    };
    for ((number, place), answer) in asked.into_iter().zip(answers) {
        sources[number].take(&place, answer);
    }
    let of_source = wanted.iter().zip(of_wanted);
    of_source
        .map(|(wanted, source)| match source {
            Ok(number) => sources[number].give(&wanted.place),
            Err(e) => Err(e),
        })
        .collect()
}

/// Begins to fetch what the cache lacks of a range, and does not wait for it. It is a hint: what fails will
/// be asked for again by whoever needs it.
pub(super) fn ahead(remote: &Arc<Remote>, path: &Path, content: Content<'_>, range: Range<u64>) {
    let (Ok(Some(cache)), Ok(key), Ok(runtime)) = (cache::current(), key(path), runtime::handle())
    else {
        return;
    };
    let missing = blocks(&range).filter(|&b| !cache.has(&cache::key(content, b)));
    let missing = missing.map(|b| b * BLOCK as u64..(b + 1) * BLOCK as u64);
    for range in merged(missing.collect()) {
        let names = blocks(&range).map(|block| cache::key(content, block));
        let names: Vec<_> = names.collect();
        let (remote, key, cache) = (Arc::clone(remote), key.clone(), Arc::clone(&cache));
        runtime.spawn(async move {
            if let Ok(part) = remote.get(&key, Some(GetRange::Bounded(range))).await {
                let blocks = names.iter().zip(part.bytes.chunks(BLOCK));
                blocks.for_each(|(name, bytes)| cache.put(name, bytes));
            }
        });
    }
}

/// All requests at once, as far as the gate lets them; answers in the order of the requests.
fn fetch(
    remote: &Arc<Remote>,
    requests: Vec<(Key, Place)>,
) -> io::Result<Vec<object_store::Result<Part>>> {
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let remote = Arc::clone(remote);
    let answers = runtime::wait(async move {
        let tasks: Vec<_> = requests
            .into_iter()
            .map(|(key, place)| {
                let remote = Arc::clone(&remote);
                tokio::spawn(async move {
                    match place {
                        Place::Range(range) => {
                            remote.get(&key, Some(GetRange::Bounded(range))).await
                        }
                        Place::Tail(bytes) => remote.tail(&key, bytes as u64).await,
                    }
                })
            })
            .collect();
        let mut answers = Vec::with_capacity(tasks.len());
        for task in tasks {
            answers.push(task.await.unwrap_or_else(|e| Err(e.into())));
        }
        answers
    })?;
    Ok(answers)
}

/// One object, what is wanted of it, and what is there of it.
struct Source<'a> {
    path: &'a Path,
    key: Key,
    cache: Option<(&'a BlockCache, Content<'a>)>,
    ranges: Vec<Range<u64>>,
    tail: Option<usize>,
    segments: BTreeMap<u64, Bytes>,
    end: Option<Part>,
    error: Option<io::Error>,
}

/// The objects that are wanted, and for every part which of them it is from.
fn by_object<'a>(
    wanted: &[Wanted<'a>],
    cache: Option<&'a BlockCache>,
) -> (Vec<Source<'a>>, Vec<io::Result<usize>>) {
    let mut numbers: HashMap<&Path, usize> = HashMap::new();
    let mut sources: Vec<Source<'a>> = Vec::new();
    let mut source_of = |part: &Wanted<'a>| -> io::Result<usize> {
        let number = match numbers.get(part.path) {
            Some(&number) => number,
            None => {
                sources.push(Source {
                    path: part.path,
                    key: key(part.path)?,
                    cache: cache.zip(part.content),
                    ranges: Vec::new(),
                    tail: None,
                    segments: BTreeMap::new(),
                    end: None,
                    error: None,
                });
                numbers.insert(part.path, sources.len() - 1);
                sources.len() - 1
            }
        };
        match &part.place {
            Place::Range(range) => sources[number].ranges.push(range.clone()),
            Place::Tail(bytes) => {
                let most = sources[number].tail.unwrap_or(0);
                sources[number].tail = Some(most.max(*bytes));
            }
        }
        Ok(number)
    };
    let of_wanted = wanted.iter().map(&mut source_of).collect();
    (sources, of_wanted)
}

impl Source<'_> {
    /// What must be fetched; what the cache has is taken from there.
    fn missing(&mut self) -> Vec<Place> {
        let mut places = Vec::new();
        if let Some(bytes) = self.tail {
            self.end = self.cached_tail(bytes);
            if self.end.is_none() {
                places.push(Place::Tail(bytes));
            }
        }
        let ranges = match self.cache {
            None => std::mem::take(&mut self.ranges),
            Some((cache, content)) => {
                let blocks: BTreeSet<u64> = self.ranges.iter().flat_map(blocks).collect();
                let mut missing = Vec::new();
                for block in blocks {
                    let start = block * BLOCK as u64;
                    match cache.get(&cache::key(content, block)) {
                        Some(bytes) => {
                            count(&CACHED, bytes.len());
                            self.segments.insert(start, bytes.into());
                        }
                        None => missing.push(start..start + BLOCK as u64),
                    }
                }
                missing
            }
        };
        places.extend(merged(ranges).into_iter().map(Place::Range));
        places
    }

    fn cached_tail(&self, bytes: usize) -> Option<Part> {
        let (cache, content) = self.cache?;
        let entry = cache.get(&cache::key(content, cache::TAIL))?;
        let (length, tail) = entry.split_first_chunk::<8>()?;
        let length = u64::from_le_bytes(*length);
        let expected = length.min(bytes as u64);
        let start = (tail.len() as u64).checked_sub(expected)?;
        count(&CACHED, bytes);
        Some(Part {
            bytes: Bytes::copy_from_slice(&tail[usize::try_from(start).ok()?..]),
            length: Some(length),
        })
    }

    fn take(&mut self, place: &Place, answer: object_store::Result<Part>) {
        let part = match answer {
            Ok(part) => part,
            Err(e) => {
                self.error = Some(explain(&e));
                return;
            }
        };
        match (place, self.cache) {
            (Place::Tail(_), cache) => {
                if let (Some((cache, content)), Some(length)) = (cache, part.length) {
                    let entry = [&length.to_le_bytes(), &*part.bytes].concat();
                    cache.put(&cache::key(content, cache::TAIL), &entry);
                }
                self.end = Some(part);
            }
            (Place::Range(range), Some((cache, content))) => {
                let first = range.start / BLOCK as u64;
                for (block, bytes) in (first..).zip(part.bytes.chunks(BLOCK)) {
                    cache.put(&cache::key(content, block), bytes);
                }
                self.segments.insert(range.start, part.bytes);
            }
            (Place::Range(range), None) => {
                self.segments.insert(range.start, part.bytes);
            }
        }
    }

    fn give(&self, place: &Place) -> io::Result<Part> {
        let found = match place {
            Place::Range(range) => assemble(&self.segments, range),
            Place::Tail(bytes) => self.end.as_ref().map(|part| {
                let start = part.bytes.len().saturating_sub(*bytes);
                Part {
                    bytes: part.bytes.slice(start..),
                    length: part.length,
                }
            }),
        };
        match (found, &self.error) {
            (Some(part), _) => Ok(part),
            (None, Some(error)) => Err(again(error)),
            (None, None) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the object ends before the bytes {place:?}"),
            )),
        }
    }
}

/// The same error once more.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}

fn blocks(range: &Range<u64>) -> Range<u64> {
    range.start / BLOCK as u64..range.end.div_ceil(BLOCK as u64)
}

/// Ranges that cover these, fewer and longer ones, none longer than [`MOST`].
fn merged(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let pieces = |range: Range<u64>| {
        let starts = (range.start..range.end).step_by(usize::try_from(MOST).unwrap_or(usize::MAX));
        starts.map(move |start| start..range.end.min(start + MOST))
    };
    let mut sorted: Vec<_> = ranges.into_iter().flat_map(pieces).collect();
    sorted.sort_by_key(|r| (r.start, r.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    for range in sorted {
        match merged.last_mut() {
            Some(last)
                if range.start <= last.end + GAP
                    && range.end.max(last.end) - last.start <= MOST =>
            {
                last.end = last.end.max(range.end);
            }
            _ => merged.push(range),
        }
    }
    merged
}

/// The bytes of a range, where the segments hold all of them.
fn assemble(segments: &BTreeMap<u64, Bytes>, range: &Range<u64>) -> Option<Part> {
    let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
    let part = |bytes| {
        Some(Part {
            bytes,
            length: None,
        })
    };
    if length == 0 {
        return part(Bytes::new());
    }
    let mut joined = Vec::new();
    let mut at = range.start;
    while at < range.end {
        // Segments overlap where blocks of the cache lie in what was fetched across a gap: the nearest that begins
        // before may end before, and a longer one have what is wanted. None is longer than a request.
        let mut before = segments.range(at.saturating_sub(MOST)..=at).rev();
        let (start, bytes) = before.find(|(start, bytes)| at - **start < bytes.len() as u64)?;
        let from = usize::try_from(at - start).ok()?;
        let to = bytes
            .len()
            .min(from + usize::try_from(range.end - at).ok()?);
        if to - from == length {
            return part(bytes.slice(from..to));
        }
        joined.extend_from_slice(&bytes[from..to]);
        at += (to - from) as u64;
    }
    part(joined.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merged_ranges_cover_all_and_parts_come_out_as_they_are(
            starts in proptest::collection::vec((0u64..40 << 20, 1u64..3 << 20), 1..40),
        ) {
            let ranges: Vec<Range<u64>> = starts.iter().map(|&(s, n)| s..s + n).collect();
            let merged = merged(ranges.clone());
            prop_assert!(merged.iter().all(|r| r.end - r.start <= MOST));
            prop_assert!(merged.windows(2).all(|w| w[0].start <= w[1].start));
            let byte = |at: u64| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24 & 0xff).unwrap();
            let segments: BTreeMap<u64, Bytes> = merged
                .iter()
                .map(|r| (r.start, r.clone().map(byte).collect::<Vec<u8>>().into()))
                .collect();
            for range in ranges {
                let part = assemble(&segments, &range).unwrap();
                prop_assert_eq!(part.bytes.len() as u64, range.end - range.start);
                prop_assert!(part.bytes.iter().zip(range.clone()).step_by(997).all(|(b, at)| *b == byte(at)));
            }
        }
    }

    proptest! {
        #[test]
        fn parts_come_out_as_they_are_whichever_blocks_the_cache_has(
            starts in proptest::collection::vec((0u64..2 << 20, 1u64..200 << 10), 1..20),
            has in proptest::collection::vec(any::<bool>(), 128),
        ) {
            let byte = |at: u64| u8::try_from(at.wrapping_mul(2_654_435_761) >> 24 & 0xff).unwrap();
            let bytes_of = |range: Range<u64>| Bytes::from(range.map(byte).collect::<Vec<u8>>());
            let ranges: Vec<Range<u64>> = starts.iter().map(|&(s, n)| s..s + n).collect();
            let wanted: BTreeSet<u64> = ranges.iter().flat_map(blocks).collect();
            let is_cached = |&block: &u64| has[usize::try_from(block).unwrap() % has.len()];
            let (cached, missing): (Vec<u64>, Vec<u64>) = wanted.into_iter().partition(is_cached);
            let whole = |block: u64| block * BLOCK as u64..(block + 1) * BLOCK as u64;
            let fetched = merged(missing.into_iter().map(whole).collect());
            let segments: BTreeMap<u64, Bytes> = cached
                .into_iter()
                .map(whole)
                .chain(fetched)
                .map(|range| (range.start, bytes_of(range)))
                .collect();
            for range in ranges {
                let part = assemble(&segments, &range).map(|part| part.bytes);
                prop_assert_eq!(part, Some(bytes_of(range)));
            }
        }
    }

    fn one(range: Range<u64>) -> Vec<Range<u64>> {
        std::iter::once(range).collect()
    }

    #[test]
    fn what_is_near_is_one_request_and_what_is_far_is_not() {
        let near = vec![0..10, 20..30, GAP..GAP + 5];
        assert_eq!(merged(near), one(0..GAP + 5));
        assert_eq!(merged(vec![0..10, 2 * GAP..3 * GAP]).len(), 2);
        assert_eq!(merged(one(0..2 * MOST + 1)).len(), 3);
        assert_eq!(merged(one(0..0)).len(), 0);
    }
}
