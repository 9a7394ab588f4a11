//! What becomes of samples that failed.
//!
//! With `on_corrupt = "error"` the first of them spoils its batch. With `"skip"` a damaged patch is
//! replaced: rows of the selection are drawn from a stream of numbers keyed by (seed, epoch, damaged
//! row), and the first that can be read and is not in the batch already is taken. Samples are dealt with
//! in the order of the batch, after all others are made, so that nothing depends on which worker met
//! what, or when. Panics, and failures of the file system that say nothing of the patch, are errors
//! under both.

use std::sync::Mutex;

use crate::batch::Replaced;
use crate::element::Element;
use crate::error::LoaderError;
use crate::fetch::ReadFailure;
use crate::locked;
use crate::make::{Failed, Failure, Maker};
use crate::plan::Ticket;
use crate::pool::WorkerMemory;

/// Rows to draw before patches that are in the batch already are allowed: a selection that is hardly
/// larger than a batch has no others.
const DISTINCT_DRAWS: usize = 64;
/// Rows to draw before giving up.
const DRAWS: usize = 128;

impl Maker {
    /// Puts other patches in the place of damaged ones, or tells the first failure. `failed` is in the
    /// order of the batch, whose rows and values are made good.
    pub(crate) fn replace<T: Element>(
        &self,
        ticket: &Ticket,
        failed: Vec<Failed>,
        rows: &mut [u32],
        replaced: &mut Vec<Replaced>,
        values: &mut [T],
    ) -> Result<(), LoaderError> {
        for failed in &failed {
            if let Failure::Read(ReadFailure::Damaged(error)) = &failed.failure {
                let name = || self.source.name(failed.row);
                self.counters.damaged(failed.row, name, error, self.replace);
            }
        }
        let is_damage = |f: &Failed| matches!(f.failure, Failure::Read(ReadFailure::Damaged(_)));
        let spoils = |f: &Failed| !self.replace || !is_damage(f);
        if failed.iter().any(spoils) {
            let first = failed.into_iter().find(spoils);
            return first.map_or(Ok(()), |f| Err(self.error(ticket, f.row, f.failure)));
        }
        for failed in failed {
            let by = self.replace_one(ticket, failed, rows, values)?;
            replaced.push(by);
            rows[by.sample] = by.by;
        }
        self.counters.replaced(replaced.len() as u64);
        Ok(())
    }

    fn replace_one<T: Element>(
        &self,
        ticket: &Ticket,
        failed: Failed,
        rows: &[u32],
        values: &mut [T],
    ) -> Result<Replaced, LoaderError> {
        let outs = Mutex::new(self.places(failed.sample, rows.len(), values));
        let found = Mutex::new(Ok(None));
        self.pool.run(1, |memory| {
            *locked(&found) = self.draw(ticket, failed.row, rows, memory, &mut locked(&outs));
        });
        match found.into_inner().unwrap_or(Ok(None)) {
            Ok(Some(by)) => Ok(Replaced {
                sample: failed.sample,
                damaged: failed.row,
                by,
            }),
            Ok(None) => Err(self.error(ticket, failed.row, failed.failure)),
            Err((row, failure)) => Err(self.error(ticket, row, failure)),
        }
    }

    /// The row that was drawn and made; `None` if all that were drawn are damaged as well.
    fn draw<T: Element>(
        &self,
        ticket: &Ticket,
        damaged: u32,
        rows: &[u32],
        memory: &mut WorkerMemory,
        outs: &mut [&mut [T]],
    ) -> Result<Option<u32>, (u32, Failure)> {
        let epoch = ticket.at.epoch;
        let draws = self.sampler.replacements(epoch, damaged).take(DRAWS);
        for (draw, row) in draws.enumerate() {
            if row == damaged || (draw < DISTINCT_DRAWS && rows.contains(&row)) {
                continue;
            }
            match self.guarded(epoch, row, None, memory, outs) {
                Ok(()) => return Ok(Some(row)),
                Err(Failure::Read(ReadFailure::Damaged(_))) => {}
                Err(failure) => return Err((row, failure)),
            }
        }
        Ok(None)
    }

    /// Where the views of one sample lie.
    fn places<'a, T>(
        &self,
        sample: usize,
        samples: usize,
        values: &'a mut [T],
    ) -> Vec<&'a mut [T]> {
        let len = self.views.common().view_len();
        let views = values.chunks_exact_mut(samples * len);
        views
            .filter_map(|view| view.chunks_exact_mut(len).nth(sample))
            .collect()
    }

    fn error(&self, ticket: &Ticket, row: u32, failure: Failure) -> LoaderError {
        let (at, patch) = (ticket.at, self.source.name(row));
        match failure {
            Failure::Read(ReadFailure::Damaged(source) | ReadFailure::Other(source)) => {
                LoaderError::Read {
                    at,
                    row,
                    patch,
                    source,
                }
            }
            Failure::Panic(message) => LoaderError::Panicked {
                at,
                row,
                patch,
                message,
            },
        }
    }
}
