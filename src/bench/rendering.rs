//! Threads that render views for a while.

use chipmill_pipeline::{Augmenter, Element, Scratch, ViewKey};
use chipmill_store::prefer_large_pages;
use serde::Serialize;

use super::chips::Chips;
use super::clock::Clock;

/// Views of a ring: 44 MB of 12 bands at 120 pixels, as in a loader's batches.
const RING: usize = 64;
/// Bytes, and at least as many elements as are before the first line of a ring.
const CACHE_LINE: usize = 64;
/// Views between two looks at the clock.
const STEP: u32 = 16;

/// One round.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Round {
    pub(crate) views: u64,
    pub(crate) wall_s: f64,
    pub(crate) cpu_s: f64,
}

#[expect(clippy::cast_precision_loss, reason = "views of some seconds")]
impl Round {
    pub(crate) fn per_second(&self) -> f64 {
        self.views as f64 / self.wall_s.max(1e-9)
    }

    pub(crate) fn per_cpu_second(&self) -> f64 {
        self.views as f64 / self.cpu_s.max(1e-9)
    }

    /// Microseconds of processor time.
    pub(crate) fn us_per_view(&self) -> f64 {
        1e6 * self.cpu_s / self.views.max(1) as f64
    }
}

/// Mean and standard deviation of pixels.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Moments {
    mean: f64,
    std: f64,
}

/// An augmenter with a ring and working memory for each thread, kept from round to round.
pub(crate) struct Renderer<E> {
    augmenter: Augmenter,
    seed: u64,
    threads: Vec<Worker<E>>,
}

struct Worker<E> {
    scratch: Scratch,
    /// The views, from the first cache line on: so they lie in a loader's batches, and a view that begins
    /// within a line takes a third more time.
    ring: Vec<E>,
    /// Where in `ring` that line begins.
    start: usize,
    /// Views rendered so far: the next view's key.
    next: u32,
}

impl<E: Element> Renderer<E> {
    pub(crate) fn new(augmenter: Augmenter, seed: u64, threads: usize) -> Self {
        let worker = || {
            let len = RING * augmenter.view_len() + CACHE_LINE;
            let mut ring = Vec::with_capacity(len);
            prefer_large_pages(ring.spare_capacity_mut());
            ring.resize(len, E::default());
            Worker {
                scratch: Scratch::new(),
                start: ring.as_ptr().align_offset(CACHE_LINE).min(CACHE_LINE),
                ring,
                next: 0,
            }
        };
        let threads = (0..threads).map(|_| worker()).collect();
        Self {
            augmenter,
            seed,
            threads,
        }
    }

    pub(crate) fn augmenter(&self) -> &Augmenter {
        &self.augmenter
    }

    /// Renders on all threads for at least so long.
    pub(crate) fn round(&mut self, chips: &Chips, seconds: f64) -> anyhow::Result<Round> {
        let (augmenter, seed) = (&self.augmenter, self.seed);
        let clock = Clock::start();
        let views = std::thread::scope(|scope| {
            let work = |worker| {
                let clock = &clock;
                scope.spawn(move || render_for(augmenter, seed, chips, worker, clock, seconds))
            };
            let threads: Vec<_> = self.threads.iter_mut().map(work).collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended
                .map(|views| views.map_err(|_| anyhow::anyhow!("a rendering thread panicked")))
                .sum::<anyhow::Result<u64>>()
        })?;
        Ok(Round {
            views,
            wall_s: clock.wall(),
            cpu_s: clock.cpu(),
        })
    }

    /// Over sixteen rings of views.
    pub(crate) fn moments(&mut self, chips: &Chips) -> Moments {
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        let Some(worker) = self.threads.first_mut() else {
            return Moments {
                mean: 0.0,
                std: 0.0,
            };
        };
        for _ in 0..16 {
            for _ in 0..RING {
                render(&self.augmenter, self.seed, chips, worker);
            }
            let views = &worker.ring[worker.start..];
            for &value in &views[..RING * self.augmenter.view_len()] {
                let value = f64::from(value.to_f32());
                sum += value;
                squares += value * value;
                count += 1.0;
            }
        }
        let mean = sum / count;
        let std = (squares / count - mean * mean).max(0.0).sqrt();
        Moments { mean, std }
    }
}

fn render_for<E: Element>(
    augmenter: &Augmenter,
    seed: u64,
    chips: &Chips,
    worker: &mut Worker<E>,
    clock: &Clock,
    seconds: f64,
) -> u64 {
    let mut views = 0;
    while views == 0 || clock.wall() < seconds {
        for _ in 0..STEP {
            render(augmenter, seed, chips, worker);
        }
        views += u64::from(STEP);
    }
    views
}

/// The next view: two of each chip, as for training.
fn render<E: Element>(augmenter: &Augmenter, seed: u64, chips: &Chips, worker: &mut Worker<E>) {
    let Worker {
        scratch,
        ring,
        start,
        next,
    } = worker;
    let len = augmenter.view_len();
    let out = &mut ring[*start + *next as usize % RING * len..][..len];
    let key = ViewKey {
        seed,
        epoch: 0,
        patch: *next / 2,
        view: *next % 2,
    };
    augmenter.render_into(chips.get(key.patch), key, scratch, out);
    *next = next.wrapping_add(1);
}
