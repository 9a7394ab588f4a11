//! One batch: a slot filled by all workers that are free.
//!
//! A batch is one task a worker, each of which takes samples until none is left. Tasks never wait for
//! one another, and those of later batches queue behind those of earlier ones, so workers move on to
//! the next batch while the last samples of one are being finished.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice::ChunksExactMut;
use std::sync::Mutex;
use std::time::Instant;

use chipmill_schemas::config::ViewType;
use chipmill_store::Fetched;
use half::{bf16, f16};

use crate::batch::{Batch, Slot};
use crate::element::Element;
use crate::error::LoaderError;
use crate::fetch::{ReadFailure, Source};
use crate::locked;
use crate::plan::Ticket;
use crate::pool::{Pool, WorkerMemory};
use crate::ring::{Lease, Ring};
use crate::rng::ViewKey;
use crate::sampler::Sampler;
use crate::stats::Counters;
use crate::views::Views;

/// What it takes to make batches; all threads of a loader share it.
pub(crate) struct Maker {
    pub(crate) source: Box<dyn Source>,
    pub(crate) views: Views,
    pub(crate) sampler: Sampler,
    pub(crate) seed: u64,
    /// Whether damaged patches are replaced.
    pub(crate) replace: bool,
    pub(crate) counters: Counters,
    pub(crate) pool: Pool,
    pub(crate) ring: std::sync::Arc<Ring<Slot>>,
}

/// Why a sample failed.
pub(crate) enum Failure {
    Read(ReadFailure),
    Panic(String),
}

/// A sample that failed.
pub(crate) struct Failed {
    pub(crate) sample: usize,
    pub(crate) row: u32,
    pub(crate) failure: Failure,
}

/// An error keeps its slot until it is told, as a batch does.
pub(crate) type Result<T> = std::result::Result<T, Box<(LoaderError, Lease<Slot>)>>;

impl Maker {
    /// Makes the batch of a ticket, whose rows stand in the slot.
    pub(crate) fn make(&self, ticket: &Ticket, mut lease: Lease<Slot>) -> Result<Batch> {
        let samples = lease.slot.patches.len();
        let slot = &mut lease.slot;
        slot.values.reserve(self.views.dtype(), self.slot_len());
        let filled = match self.views.dtype() {
            ViewType::F32 => self.fill::<f32>(ticket, slot),
            ViewType::F16 => self.fill::<f16>(ticket, slot),
            ViewType::Bf16 => self.fill::<bf16>(ticket, slot),
        };
        match filled {
            Ok(()) => {
                let common = self.views.common();
                let (bands, side) = (common.bands(), common.side());
                let shape = [self.views.len(), samples, bands, side, side];
                Ok(Batch::new(lease, ticket.at, shape))
            }
            Err(error) => Err(Box::new((error, lease))),
        }
    }

    /// Values of a slot: those of a whole batch.
    fn slot_len(&self) -> usize {
        let samples = self.sampler.batch(0).len();
        self.views.len() * samples * self.views.common().view_len()
    }

    fn fill<T: Element>(
        &self,
        ticket: &Ticket,
        slot: &mut Slot,
    ) -> std::result::Result<(), LoaderError> {
        let Slot {
            values,
            patches: rows,
            replaced,
        } = slot;
        replaced.clear();
        let len = self.views.len() * rows.len() * self.views.common().view_len();
        let Some(values) = values.of_mut::<T>() else {
            unreachable!("the slot has just been given this type");
        };
        let values = &mut values[..len];
        let mut failed = self.fill_all(ticket, rows, values);
        if failed.is_empty() {
            return Ok(());
        }
        // Of several failures the first in the batch is told, whichever was met first.
        failed.sort_unstable_by_key(|f| f.sample);
        self.replace(ticket, failed, rows, replaced, values)
    }

    /// Makes all samples; gives those that failed, in any order.
    fn fill_all<T: Element>(&self, ticket: &Ticket, rows: &[u32], values: &mut [T]) -> Vec<Failed> {
        let untaken = Mutex::new(Untaken::new(rows, values, self.views.common().view_len()));
        let failed = Mutex::new(Vec::new());
        let began = Instant::now();
        let fetched = self.source.fetch(rows, self.views.common().groups());
        if fetched.is_some() {
            self.counters.fetched(began.elapsed());
        }
        self.pool.run(rows.len(), |memory| {
            let mut outs = Vec::with_capacity(self.views.len());
            while !self.ring.is_stopped() {
                let Some((sample, row)) = locked(&untaken).take(&mut outs) else {
                    return;
                };
                if let Err(failure) =
                    self.guarded(ticket.at.epoch, row, fetched.as_ref(), memory, &mut outs)
                {
                    locked(&failed).push(Failed {
                        sample,
                        row,
                        failure,
                    });
                }
            }
        });
        failed.into_inner().unwrap_or_default()
    }

    /// Makes one sample; a panic becomes a failure, and the memory it may have left half-written is
    /// replaced.
    pub(crate) fn guarded<T: Element>(
        &self,
        epoch: u64,
        row: u32,
        fetched: Option<&Fetched>,
        memory: &mut WorkerMemory,
        outs: &mut [&mut [T]],
    ) -> std::result::Result<(), Failure> {
        let result = catch_unwind(AssertUnwindSafe(|| {
            self.sample(epoch, row, fetched, memory, outs)
                .map_err(Failure::Read)
        }));
        result.unwrap_or_else(|payload| {
            *memory = WorkerMemory::default();
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&s| s.to_owned()));
            Err(Failure::Panic(text.unwrap_or_default()))
        })
    }

    fn sample<T: Element>(
        &self,
        epoch: u64,
        row: u32,
        fetched: Option<&Fetched>,
        memory: &mut WorkerMemory,
        outs: &mut [&mut [T]],
    ) -> std::result::Result<(), ReadFailure> {
        let started = Instant::now();
        let WorkerMemory { pixels, scratch } = memory;
        let groups = self.views.common().groups();
        self.source.read_fetched(fetched, row, groups, pixels)?;
        let fetched = Instant::now();
        for (view, out) in outs.iter_mut().enumerate() {
            let key = ViewKey {
                seed: self.seed,
                epoch,
                patch: row,
                view: u32::try_from(view).unwrap_or(u32::MAX),
            };
            let augmenter = self.views.of(view);
            augmenter.render_into(pixels, key, scratch, out);
        }
        let (fetch, augment) = (fetched - started, fetched.elapsed());
        self.counters.sample(outs.len() as u64, fetch, augment);
        Ok(())
    }
}

/// The samples of a batch that nobody has taken yet: their rows, and their place in every view.
struct Untaken<'a, T> {
    rows: std::iter::Enumerate<std::slice::Iter<'a, u32>>,
    views: Vec<ChunksExactMut<'a, T>>,
}

impl<'a, T> Untaken<'a, T> {
    fn new(rows: &'a [u32], values: &'a mut [T], view_len: usize) -> Self {
        let of_view = values.chunks_exact_mut(rows.len() * view_len);
        Self {
            rows: rows.iter().enumerate(),
            views: of_view.map(|v| v.chunks_exact_mut(view_len)).collect(),
        }
    }

    /// The next sample, with its views' memory put into `outs`.
    fn take(&mut self, outs: &mut Vec<&'a mut [T]>) -> Option<(usize, u32)> {
        let (sample, &row) = self.rows.next()?;
        outs.clear();
        outs.extend(self.views.iter_mut().filter_map(Iterator::next));
        Some((sample, row))
    }
}
