//! What reading cannot be cheaper than: each of its parts by itself, with nothing else to do.

use std::hint::black_box;
use std::time::Instant;

use chipmill_schemas::band::Resolution;
use chipmill_schemas::manifest::Codec;
use chipmill_store::{PatchPixels, StoreReader, prefer_large_pages};
use serde::Serialize;

use super::median;
use super::reading::VALUES;

/// Chips of one measurement.
const CHIPS: usize = 512;

/// Microseconds of one thread a chip, medians over single chips and then over rounds.
///
/// The parts are done for many chips each before the next begins, so that neither takes the other's place in
/// the caches, and what is decoded or widened lies there.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Floor {
    /// Stored bytes from the system's file cache into a buffer.
    pub(crate) stored_us: f64,
    /// Checksums compared, bytes decompressed; 0 for uncompressed chunks.
    pub(crate) decode_us: f64,
    /// Widened to `f32` and written to the batch.
    pub(crate) widen_us: f64,
}

impl Floor {
    pub(crate) fn all_us(&self) -> f64 {
        self.stored_us + self.decode_us + self.widen_us
    }

    /// Four lines below a table of results: `us` is what a chip took.
    pub(crate) fn text(&self, us: f64, reached: f64) -> String {
        format!(
            "\nA chip took {us:.1} us. Its parts alone take {:.1} us:\n{:.1} us the bytes from the file \
             cache, {:.1} us checksums and\ndecompression, {:.1} us widening into the batch.\nReached: \
             {:.0} % of that speed.",
            self.all_us(),
            self.stored_us,
            self.decode_us,
            self.widen_us,
            100.0 * reached
        )
    }

    /// Of several measurements, part by part.
    pub(crate) fn middle(of: &[Self]) -> Self {
        let middle = |part: fn(&Self) -> f64| median(of.iter().map(part));
        Self {
            stored_us: middle(|f| f.stored_us),
            decode_us: middle(|f| f.decode_us),
            widen_us: middle(|f| f.widen_us),
        }
    }

    /// Measures with some of these patches and a batch of this many.
    pub(crate) fn measure(store: &StoreReader, rows: &[u32], batch: usize) -> anyhow::Result<Self> {
        let rows: Vec<u32> = rows.iter().copied().cycle().take(CHIPS).collect();
        let (decode_us, pixels) = decode(store, &rows)?;
        Ok(Self {
            stored_us: stored(store, &rows)?,
            decode_us,
            widen_us: widen(&pixels, batch),
        })
    }
}

fn stored(store: &StoreReader, rows: &[u32]) -> anyhow::Result<f64> {
    let mut chunks: [Vec<u8>; 3] = Default::default();
    let mut times = Vec::new();
    for &row in rows {
        let start = Instant::now();
        load(store, row, &mut chunks)?;
        times.push(us_since(start));
    }
    Ok(median(times))
}

fn load(store: &StoreReader, row: u32, chunks: &mut [Vec<u8>; 3]) -> anyhow::Result<()> {
    for (resolution, chunk) in Resolution::ALL.into_iter().zip(chunks) {
        store.read_stored(row, resolution, chunk)?;
    }
    Ok(())
}

fn decode(store: &StoreReader, rows: &[u32]) -> anyhow::Result<(f64, PatchPixels)> {
    let mut chunks: [Vec<u8>; 3] = Default::default();
    let mut pixels = PatchPixels::zeroed();
    let mut times = Vec::new();
    for &row in rows {
        load(store, row, &mut chunks)?;
        let start = Instant::now();
        for (resolution, chunk) in Resolution::ALL.into_iter().zip(&mut chunks) {
            store.decode_stored(row, resolution, chunk, &mut pixels)?;
        }
        times.push(us_since(start));
    }
    // Of an uncompressed chunk nothing but the checksum is left, and that is compared while widening waits.
    let is_free = store.manifest().codec == Codec::None;
    Ok((if is_free { 0.0 } else { median(times) }, pixels))
}

fn widen(pixels: &PatchPixels, batch: usize) -> f64 {
    let mut places = vec![0.0f32; batch.max(1) * VALUES];
    prefer_large_pages(&mut places);
    // Memory that nobody wrote to yet is not there: a batch is used again and again.
    places.fill(1.0);
    let mut times = Vec::new();
    for place in 0..CHIPS {
        let start = place % batch.max(1) * VALUES;
        let clock = Instant::now();
        pixels.write_f32(&mut places[start..start + VALUES]);
        times.push(us_since(clock));
    }
    black_box(&places);
    median(times)
}

fn us_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e6
}
