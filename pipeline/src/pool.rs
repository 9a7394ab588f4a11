//! The worker threads, and how many of them may work at once.

use std::sync::{Condvar, Mutex, PoisonError};

use chipmill_store::PatchPixels;
use crossbeam_channel::Receiver;

use crate::augment::Scratch;
use crate::error::LoaderError;
use crate::locked;

/// Threads of our own, never rayon's global ones, and the memory of each. Dropping it waits for them
/// to end.
pub(crate) struct Pool {
    threads: Option<rayon::ThreadPool>,
    memory: Vec<Mutex<WorkerMemory>>,
    ended: Receiver<()>,
    gate: Gate,
}

/// What one worker works in. It is taken when the worker is first used.
#[derive(Default)]
pub(crate) struct WorkerMemory {
    pub(crate) pixels: PatchPixels,
    pub(crate) scratch: Scratch,
}

impl Pool {
    /// So many threads, of which `active` may work at once.
    pub(crate) fn new(threads: usize, active: usize) -> Result<Self, LoaderError> {
        let (end, ended) = crossbeam_channel::bounded(threads);
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .thread_name(|number| format!("loader-worker-{number}"))
            .exit_handler(move |_| {
                let _ = end.try_send(());
            })
            .build()
            .map_err(|e| LoaderError::Thread(std::io::Error::other(e)))?;
        Ok(Self {
            threads: Some(pool),
            memory: (0..threads).map(|_| Mutex::default()).collect(),
            ended,
            gate: Gate::new(active),
        })
    }

    /// How many workers may work at once.
    pub(crate) fn active(&self) -> usize {
        locked(&self.gate.state).limit
    }

    /// Sets how many workers may work at once, between 1 and the number of threads.
    pub(crate) fn set_active(&self, active: usize) {
        let limit = active.clamp(1, self.memory.len());
        locked(&self.gate.state).limit = limit;
        self.gate.changed.notify_all();
    }

    /// Runs `task` once on up to `tasks` workers at a time and waits for all of them.
    pub(crate) fn run(&self, tasks: usize, task: impl Fn(&mut WorkerMemory) + Sync) {
        let Some(threads) = &self.threads else { return };
        threads.in_place_scope(|scope| {
            for _ in 0..tasks.min(self.active()) {
                scope.spawn(|_| {
                    let _working = self.gate.enter();
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
        for _ in 0..self.memory.len() {
            let _ = self.ended.recv();
        }
    }
}

/// Lets so many in at once. Who waits here is a thread that is not to work now; who is inside never
/// waits for another, so that all get their turn.
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

struct GateState {
    limit: usize,
    inside: usize,
}

impl Gate {
    fn new(limit: usize) -> Self {
        let state = GateState { limit, inside: 0 };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn enter(&self) -> Inside<'_> {
        let full = |state: &mut GateState| state.inside >= state.limit;
        let waited = self.changed.wait_while(locked(&self.state), full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.inside += 1;
        Inside(self)
    }
}

struct Inside<'a>(&'a Gate);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        locked(&self.0.state).inside -= 1;
        self.0.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_workers_work_at_once_than_may() {
        let pool = Pool::new(6, 2).unwrap();
        let (inside, most, done) = (
            AtomicUsize::new(0),
            AtomicUsize::new(0),
            AtomicUsize::new(0),
        );
        let round = || {
            pool.run(6, |_| {
                most.fetch_max(inside.fetch_add(1, SeqCst) + 1, SeqCst);
                std::thread::sleep(Duration::from_millis(1));
                inside.fetch_sub(1, SeqCst);
                done.fetch_add(1, SeqCst);
            });
        };
        // Three batches at once, as feeders make them.
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..10).for_each(|_| round()));
            }
        });
        assert_eq!(most.load(SeqCst), 2);
        assert_eq!(done.load(SeqCst), 3 * 10 * 2);
        pool.set_active(100);
        assert_eq!(pool.active(), 6);
        pool.set_active(0);
        most.store(0, SeqCst);
        round();
        assert_eq!(most.load(SeqCst), 1);
    }
}
