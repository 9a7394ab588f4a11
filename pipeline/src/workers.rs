//! The threads that make batches.
//!
//! A few feeders each take a free slot and then the next batch, and have it filled by the pool: one
//! task a worker, each of which takes samples from the batch until none is left. Tasks never wait for
//! one another, and those of later batches queue behind those of earlier ones, so workers move on to
//! the next batch while the last samples of one are being finished.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice::ChunksExactMut;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chipmill_store::PatchPixels;
use crossbeam_channel::{Receiver, Sender, select};

use crate::augment::{Augmenter, Scratch};
use crate::batch::{Batch, Lease, Slot};
use crate::error::{LoaderError, SourceError};
use crate::fetch::Source;
use crate::plan::{Plan, Ticket};
use crate::rng::ViewKey;
use crate::stats::Counters;

/// A batch that has been made, or why it could not be.
pub(crate) struct Made {
    pub(crate) sequence: u64,
    pub(crate) batch: Result<Batch, LoaderError>,
}

/// What all threads of a loader share.
pub(crate) struct Shared {
    pub(crate) source: Box<dyn Source>,
    pub(crate) augmenter: Augmenter,
    pub(crate) seed: u64,
    pub(crate) views: usize,
    pub(crate) plan: Mutex<Plan>,
    pub(crate) stop: AtomicBool,
    pub(crate) counters: Arc<Counters>,
    pub(crate) pool: Pool,
}

/// Locks; what a panicking thread left behind is still whole, since no lock is held over foreign code.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The worker threads and the memory of each. Dropping it waits for them to end.
pub(crate) struct Pool {
    threads: Option<rayon::ThreadPool>,
    memory: Vec<Mutex<WorkerMemory>>,
    ended: Receiver<()>,
}

#[derive(Default)]
struct WorkerMemory {
    pixels: PatchPixels,
    scratch: Scratch,
}

impl Pool {
    pub(crate) fn new(workers: usize) -> Result<Self, LoaderError> {
        let (end, ended) = crossbeam_channel::bounded(workers);
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|number| format!("loader-worker-{number}"))
            .exit_handler(move |_| {
                let _ = end.try_send(());
            })
            .build()
            .map_err(|e| LoaderError::Thread(std::io::Error::other(e)))?;
        let memory = (0..workers).map(|_| Mutex::default()).collect();
        Ok(Self {
            threads: Some(threads),
            memory,
            ended,
        })
    }

    pub(crate) fn workers(&self) -> usize {
        self.memory.len()
    }

    /// Runs `task` once on up to `tasks` workers at a time and waits for all of them.
    fn run(&self, tasks: usize, task: impl Fn(&mut WorkerMemory) + Sync) {
        let Some(threads) = &self.threads else { return };
        threads.in_place_scope(|scope| {
            for _ in 0..tasks.min(self.workers()) {
                scope.spawn(|_| {
                    let number = rayon::current_thread_index().unwrap_or(0);
                    task(&mut locked(&self.memory[number]));
                });
            }
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.threads = None;
        for _ in 0..self.workers() {
            let _ = self.ended.recv();
        }
    }
}

/// The body of a feeder: makes batches until the last one, or until the loader is dropped.
pub(crate) fn feed(
    shared: &Shared,
    free: &Receiver<Slot>,
    home: &Sender<Slot>,
    stopped: &Receiver<()>,
    ready: &Sender<Made>,
) {
    loop {
        let waiting = Instant::now();
        let slot = select! {
            recv(free) -> slot => slot,
            recv(stopped) -> _ => return,
        };
        shared.counters.slot_wait(waiting.elapsed());
        let Ok(slot) = slot else { return };
        let lease = Lease::new(slot, home.clone(), Arc::clone(&shared.counters));
        // The slot comes first, so that the earliest batch under way always has one.
        let Some(ticket) = locked(&shared.plan).take() else {
            return;
        };
        let sequence = ticket.sequence;
        let batch = make(shared, &ticket, lease);
        if shared.stop.load(Relaxed) {
            return;
        }
        shared.counters.batch();
        select! {
            send(ready, Made { sequence, batch }) -> sent => if sent.is_err() { return },
            recv(stopped) -> _ => return,
        }
    }
}

/// The samples of a batch that nobody has taken yet: their rows, and their place in every view.
struct Untaken<'a> {
    rows: std::iter::Enumerate<std::slice::Iter<'a, u32>>,
    views: Vec<ChunksExactMut<'a, f32>>,
}

impl<'a> Untaken<'a> {
    /// The next sample, with its views' memory put into `outs`.
    fn take(&mut self, outs: &mut Vec<&'a mut [f32]>) -> Option<(usize, u32)> {
        let (position, &row) = self.rows.next()?;
        outs.clear();
        outs.extend(self.views.iter_mut().filter_map(Iterator::next));
        Some((position, row))
    }
}

/// Why a sample failed.
enum Failure {
    Read(SourceError),
    Panic(String),
}

fn make(shared: &Shared, ticket: &Ticket, mut lease: Lease) -> Result<Batch, LoaderError> {
    let rows = ticket.rows();
    let augmenter = &shared.augmenter;
    let (samples, len) = (rows.len(), augmenter.view_len());
    lease.slot.patches.clear();
    lease.slot.patches.extend_from_slice(rows);
    let data = &mut lease.slot.data[..shared.views * samples * len];
    let untaken = Mutex::new(Untaken {
        rows: rows.iter().enumerate(),
        views: data
            .chunks_exact_mut(samples * len)
            .map(|view| view.chunks_exact_mut(len))
            .collect(),
    });
    // Of several failures the first in the batch is told, whichever was met first.
    let failed: Mutex<Option<(usize, u32, Failure)>> = Mutex::new(None);
    shared.pool.run(samples, |memory| {
        let mut outs = Vec::with_capacity(shared.views);
        while !shared.stop.load(Relaxed) {
            let Some((position, row)) = locked(&untaken).take(&mut outs) else {
                return;
            };
            if let Err(failure) = guarded(shared, ticket.at.epoch, row, memory, &mut outs) {
                let mut failed = locked(&failed);
                if failed.as_ref().is_none_or(|(first, ..)| position < *first) {
                    *failed = Some((position, row, failure));
                }
            }
        }
    });
    if let Some((_, row, failure)) = locked(&failed).take() {
        return Err(failure.at(shared, ticket, row));
    }
    let side = augmenter.side();
    let shape = [shared.views, samples, augmenter.bands(), side, side];
    Ok(Batch::new(lease, ticket.at, shape))
}

impl Failure {
    fn at(self, shared: &Shared, ticket: &Ticket, row: u32) -> LoaderError {
        let (at, patch) = (ticket.at, shared.source.name(row));
        match self {
            Self::Read(source) => LoaderError::Read {
                at,
                row,
                patch,
                source,
            },
            Self::Panic(message) => LoaderError::Panicked {
                at,
                row,
                patch,
                message,
            },
        }
    }
}

/// Makes one sample; a panic becomes a failure, and the memory it may have left half-written is
/// replaced.
fn guarded(
    shared: &Shared,
    epoch: u64,
    row: u32,
    memory: &mut WorkerMemory,
    outs: &mut [&mut [f32]],
) -> Result<(), Failure> {
    let result = catch_unwind(AssertUnwindSafe(|| {
        sample(shared, epoch, row, memory, outs).map_err(Failure::Read)
    }));
    result.unwrap_or_else(|payload| {
        *memory = WorkerMemory::default();
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&s| s.to_owned()));
        Err(Failure::Panic(text.unwrap_or_default()))
    })
}

fn sample(
    shared: &Shared,
    epoch: u64,
    row: u32,
    memory: &mut WorkerMemory,
    outs: &mut [&mut [f32]],
) -> Result<(), SourceError> {
    let started = Instant::now();
    let WorkerMemory { pixels, scratch } = memory;
    let groups = shared.augmenter.groups();
    shared.source.read(row, groups, pixels)?;
    let fetched = Instant::now();
    for (view, out) in (0_u32..).zip(&mut *outs) {
        let key = ViewKey {
            seed: shared.seed,
            epoch,
            patch: row,
            view,
        };
        shared.augmenter.render(pixels, key, scratch, out);
    }
    let (fetch, augment) = (fetched - started, fetched.elapsed());
    shared.counters.sample(outs.len() as u64, fetch, augment);
    Ok(())
}
