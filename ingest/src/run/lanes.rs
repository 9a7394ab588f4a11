//! Units side by side: while one lane writes and waits for the disk, another decodes.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::Job;
use crate::IngestError;

/// Units in flight at most, so that memory does not grow with the number of threads.
const LANES: usize = 2;

type Make<'a, U, T> = dyn Fn(&U) -> Result<T, IngestError> + Sync + 'a;

/// Makes units in order of their index; the first error ends all lanes, a stop ends them between
/// units. Gives the records of the units that were made, in any order.
pub(super) fn make<U: Sync, T: Send>(
    job: &Job<'_>,
    units: &[U],
    make: &Make<'_, U, T>,
) -> Result<Vec<T>, IngestError> {
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let lane = || {
        let mut made = Vec::new();
        while !failed.load(Ordering::Relaxed) && !job.stop_wanted() {
            let Some(unit) = units.get(next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            match make(unit) {
                Ok(record) => made.push(record),
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
        Ok(made)
    };
    let lanes = LANES.min(job.pool.current_num_threads()).min(units.len());
    std::thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let ends: Vec<_> = lanes.into_iter().map(super::join).collect();
        let made: Vec<Vec<_>> = ends.into_iter().collect::<Result<_, _>>()?;
        Ok(made.into_iter().flatten().collect())
    })
}
