//! A stream of patches through the workers, in order and in bounded memory.
//!
//! One thread reads and splits the sources; as many as wanted decode and encode; the caller's thread
//! receives the outcomes in the order of the stream. A patch enters only when it has a permit, and
//! gives it back when it was received, so that at most [`WINDOW`] patches a thread are in flight.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use chipmill_schemas::patch_id::PatchId;
use chipmill_store::PatchPixels;
use crossbeam_channel::{Receiver as Incoming, Sender, bounded, unbounded};

use super::Job;
use super::convert::{Outcome, convert};
use crate::IngestError;
use crate::decode::Decoder;
use crate::source::archive::{self, Receiver};
use crate::source::folder::Listing;
use crate::source::{Content, Notes, RawPatch, Source};

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
    pub(super) excluded: Vec<PatchId>,
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
    let (permit, permits) = bounded(WINDOW * workers);
    let (raw_out, raw_in) = bounded(WINDOW * workers);
    let (arrived, arrivals) = unbounded();
    let (recycle, recycled) = unbounded();
    let given_up = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            let (raw_in, arrived, recycled) = (raw_in.clone(), arrived.clone(), recycled.clone());
            scope.spawn(move || work(job, &raw_in, &recycled, &arrived));
        }
        drop((raw_in, arrived, recycled));
        let mut reader = Reader {
            job,
            order,
            through: through.cloned(),
            seen: HashSet::new(),
            last: None,
            number: 0,
            permit,
            raw_out,
            given_up: &given_up,
            end: FlowEnd::default(),
        };
        let reader = scope.spawn(move || reader.read(sources).map(|()| reader.end));
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
    recycled: &Incoming<PatchPixels>,
    arrived: &Sender<Numbered<Result<Arrival, IngestError>>>,
) {
    let mut decoder = Decoder::default();
    for (number, raw) in raw_in {
        let _alarm = Alarm { arrived, number };
        let mut pixels = recycled.try_recv().unwrap_or_default();
        let outcome = convert(job, &mut decoder, &raw, &mut pixels);
        let bytes = outcome
            .as_ref()
            .ok()
            .and_then(|o| Some(o.as_ref().ok()?.bytes));
        job.progress.advance(1, bytes.unwrap_or(0));
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

/// Reads the sources one after the other and lets patches into the flow.
struct Reader<'a> {
    job: &'a Job<'a>,
    order: Order,
    through: Option<PatchId>,
    /// All ids so far, where order does not tell which came before.
    seen: HashSet<PatchId>,
    last: Option<PatchId>,
    number: u64,
    permit: Sender<()>,
    raw_out: Sender<Numbered<RawPatch>>,
    given_up: &'a AtomicBool,
    end: FlowEnd,
}

impl Reader<'_> {
    fn read(&mut self, sources: &[Source]) -> Result<(), IngestError> {
        for source in sources {
            let notes = match source {
                // Read already; what it gave is in the catalog.
                Source::Archive(a) if a.content == Content::ReferenceMaps => continue,
                Source::Archive(archive) => archive::stream(archive, self)?,
                Source::Folder(path) => self.folder(path)?,
            };
            self.end.notes.merge(&notes);
            if self.is_over() {
                break;
            }
        }
        Ok(())
    }

    fn folder(&mut self, path: &std::path::Path) -> Result<Notes, IngestError> {
        let listing = self.job.pool.install(|| Listing::of(path))?;
        for patch in &listing.patches {
            let raw = self.wants(&patch.id).then(|| listing.raw(patch));
            if self.receive(patch.id.clone(), raw).is_break() {
                break;
            }
        }
        Ok(listing.notes)
    }

    fn is_over(&self) -> bool {
        let limit = self.end.seen >= self.job.limit() as u64;
        limit || self.end.out_of_order.is_some() || self.given_up.load(Ordering::Relaxed)
    }

    /// Whether the patch was met before; under [`Order::Ascending`] also notices disorder.
    fn is_repeated(&mut self, id: &PatchId) -> bool {
        if self.order == Order::Any {
            return !self.seen.insert(id.clone());
        }
        let descends = self.last.as_ref().is_some_and(|last| id < last);
        if descends {
            self.end.out_of_order = Some(id.clone());
        }
        self.last
            .replace(id.clone())
            .is_some_and(|last| last == *id)
    }

    /// Stored by an earlier call.
    fn is_stored(&self, id: &PatchId) -> bool {
        self.through.as_ref().is_some_and(|through| id <= through)
    }

    /// False when nobody receives any more.
    fn let_in(&mut self, raw: RawPatch) -> bool {
        let number = self.number;
        self.number += 1;
        self.permit.send(()).is_ok() && self.raw_out.send((number, raw)).is_ok()
    }
}

impl Receiver for Reader<'_> {
    fn wants(&mut self, id: &PatchId) -> bool {
        let is_new = !self.is_stored(id) && !self.seen.contains(id);
        (is_new || self.job.must_look(id)) && self.job.may_want(id)
    }

    fn receive(&mut self, id: PatchId, patch: Option<RawPatch>) -> ControlFlow<()> {
        if patch.as_ref().is_some_and(RawPatch::is_only_a_map) {
            let kind = "reference maps among patches, not used: give them as a source of their own";
            self.end.notes.add(kind, id.as_str());
            return ControlFlow::Continue(());
        }
        if self.is_repeated(&id) {
            let kind = "patches found more than once, taken from the first place";
            self.end.notes.add(kind, id.as_str());
            return ControlFlow::Continue(());
        }
        if self.end.out_of_order.is_some() {
            return ControlFlow::Break(());
        }
        // A label file that cannot be read now cannot be read by the worker either, which says so.
        let wanted = match &patch {
            Some(raw) => self.job.wants(raw).unwrap_or(true),
            None => self.job.may_want(&id),
        };
        if !wanted {
            self.end.excluded.push(id);
            return ControlFlow::Continue(());
        }
        self.end.seen += 1;
        let patch = patch.filter(|_| !self.is_stored(&id));
        let open = patch.is_none_or(|patch| self.let_in(patch));
        if open && !self.is_over() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}
