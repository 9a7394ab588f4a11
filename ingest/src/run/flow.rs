//! A stream of patches through the workers, in order and in bounded memory.
//!
//! One thread reads and splits the sources; as many as wanted decode and encode; the caller's thread
//! receives the outcomes in the order of the stream. A patch enters only when it has a permit, and
//! gives it back when it was received, so that at most [`WINDOW`] patches a thread are in flight. The
//! memory of pixels and files goes back to where it came from. With one thread ([`alone`]) nothing is
//! handed over at all.

mod alone;
mod reader;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch_id::PatchId;
use chipmill_store::PatchPixels;
use crossbeam_channel::{Receiver as Incoming, Sender, bounded, unbounded};

use super::Job;
use super::convert::{self, Outcome, convert};
use crate::IngestError;
use crate::decode::Decoder;
use crate::source::{MemoryFiles, Notes, RawFiles, RawPatch, Source};
use reader::{Gate, Reader};

/// Patches in flight for each worker: about 0.4 MB each (files, pixels, chunks).
const WINDOW: usize = 16;

/// In which order patches may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// Ascending by id; the first that does not ascend ends the flow.
    Ascending,
    /// Any.
    Any,
}

/// How a flow ended.
#[derive(Debug, Default)]
pub(super) struct FlowEnd {
    pub(super) notes: Notes,
    /// Wanted patches seen, those passed over included.
    pub(super) seen: u64,
    /// Patches seen that were not wanted.
    pub(super) excluded: Vec<PackedId>,
    /// The patch that came out of order, under [`Order::Ascending`].
    pub(super) out_of_order: Option<PatchId>,
    /// The sink wanted no more.
    pub(super) broken: bool,
}

/// What one patch of the stream became; the pixels are those of a whole patch.
pub(super) struct Arrival {
    pub(super) outcome: Outcome,
    pub(super) pixels: PatchPixels,
}

type Sink<'a> = dyn FnMut(Outcome, &PatchPixels) -> Result<ControlFlow<()>, IngestError> + 'a;
type Numbered<T> = (u64, T);

/// Runs all sources through; patches up to `through` were stored earlier and are passed over.
pub(super) fn run(
    job: &Job<'_>,
    sources: &[Source],
    order: Order,
    through: Option<&PatchId>,
    sink: &mut Sink<'_>,
) -> Result<FlowEnd, IngestError> {
    let workers = job.pool.current_num_threads();
    if workers == 1 {
        return alone::run(job, sources, order, through, sink);
    }
    let (permit, permits) = bounded(WINDOW * workers);
    let (raw_out, raw_in) = bounded(WINDOW * workers);
    let (arrived, arrivals) = unbounded();
    let (recycle, recycled) = unbounded();
    let (spend, spent) = unbounded();
    let given_up = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (raw_in, arrived) = (raw_in.clone(), arrived.clone());
            let (recycled, spend) = (recycled.clone(), spend.clone());
            scope.spawn(move || work(job, &raw_in, (&recycled, &spend), &arrived));
        }
        drop((raw_in, arrived, recycled, spend));
        let gate = Channels {
            number: 0,
            permit,
            raw_out,
            spent,
            given_up: &given_up,
        };
        let reader = Reader::new(job, order, through, gate);
        let reader = scope.spawn(move || reader.read(sources).0);
        let received = receive(arrivals, permits, &recycle, sink);
        // Both channels are closed by now: whoever still sends ends at once.
        given_up.store(true, Ordering::Relaxed);
        let end = super::join(reader);
        let broken = received?.is_break();
        Ok(FlowEnd { broken, ..end? })
    })
}

/// Gives the outcomes to the sink in the order of the stream.
#[expect(
    clippy::needless_pass_by_value,
    reason = "returning closes the channels, and with them the threads end"
)]
fn receive(
    arrivals: Incoming<Numbered<Result<Arrival, IngestError>>>,
    permits: Incoming<()>,
    recycle: &Sender<PatchPixels>,
    sink: &mut Sink<'_>,
) -> Result<ControlFlow<()>, IngestError> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, arrival) in &arrivals {
        early.insert(number, arrival);
        while let Some(arrival) = early.remove(&next) {
            next += 1;
            let Arrival { outcome, pixels } = arrival?;
            if sink(outcome, &pixels)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // Neither can fail in a way that matters: with the other side gone the flow ends.
            let _ = recycle.send(pixels);
            let _ = permits.recv();
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn work(
    job: &Job<'_>,
    raw_in: &Incoming<Numbered<RawPatch>>,
    (recycled, spend): (&Incoming<PatchPixels>, &Sender<Box<MemoryFiles>>),
    arrived: &Sender<Numbered<Result<Arrival, IngestError>>>,
) {
    let mut decoder = Decoder::default();
    for (number, raw) in raw_in {
        let _alarm = Alarm { arrived, number };
        let mut pixels = recycled.try_recv().unwrap_or_default();
        let outcome = convert(job, &mut decoder, &raw, &mut pixels);
        if let RawFiles::Memory(memory) = raw.files {
            // The reader may have ended.
            let _ = spend.send(memory);
        }
        let bytes = outcome.as_ref().map_or(0, convert::bytes);
        job.progress.advance(1, bytes);
        let arrival = outcome.map(|outcome| Arrival { outcome, pixels });
        if arrived.send((number, arrival)).is_err() {
            return;
        }
    }
}

/// Ends the flow when a worker panics: otherwise the receiver would wait for its patch for ever. The
/// panic itself goes on when the threads are joined.
struct Alarm<'a> {
    arrived: &'a Sender<Numbered<Result<Arrival, IngestError>>>,
    number: u64,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let ended = Err(IngestError::Interrupted { finished: 0 });
            // Nobody receives any more: then the flow has ended already.
            let _ = self.arrived.send((self.number, ended));
        }
    }
}

/// The reader's way to the workers.
struct Channels<'a> {
    number: u64,
    permit: Sender<()>,
    raw_out: Sender<Numbered<RawPatch>>,
    spent: Incoming<Box<MemoryFiles>>,
    given_up: &'a AtomicBool,
}

impl Gate for Channels<'_> {
    fn let_in(&mut self, raw: RawPatch) -> bool {
        let number = self.number;
        self.number += 1;
        self.permit.send(()).is_ok() && self.raw_out.send((number, raw)).is_ok()
    }

    fn memory(&mut self) -> Option<Box<MemoryFiles>> {
        self.spent.try_recv().ok()
    }

    fn is_closed(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}
