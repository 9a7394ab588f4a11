//! How the budget of bytes is spent.

use chipmill_schemas::band::PATCH_BYTES;

use crate::batch::Replaced;
use crate::error::LoaderError;
use crate::sampler::Sampler;
use crate::spec::LoaderSpec;
use crate::views::Views;

/// Slots beyond these help nobody: they only smooth out hiccups.
const MOST_SLOTS: usize = 16;

/// Channels, threads and lists: things that no batch, patch or order is made of.
const OVERHEAD: usize = 64 << 10;
const OVERHEAD_OF_WORKER: usize = 16 << 10;

/// Memory of a loader, decided at its start. It is taken when it is first used, and then kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) budget: usize,
    pub(crate) slots: usize,
    pub(crate) slot_bytes: usize,
    /// Bytes of everything besides slots.
    pub(crate) fixed_bytes: usize,
}

impl Memory {
    /// How many slots the budget pays for, besides what `workers` workers and the order need, and the
    /// `fetched` bytes of a sample that come from afar before they are read.
    ///
    /// # Errors
    /// [`LoaderError::Budget`] when these are fewer than two.
    pub(crate) fn plan(
        spec: &LoaderSpec,
        sampler: &Sampler,
        views: &Views,
        workers: usize,
        fetched: usize,
    ) -> Result<Self, LoaderError> {
        let samples = spec.batch_size.min(sampler.rows_per_epoch());
        let of_sample = size_of::<u32>() + size_of::<Replaced>();
        let slot_bytes = views
            .batch_bytes(samples)
            .saturating_add(samples * of_sample);
        // A patch's pixels; its compressed bytes, in a buffer that may have grown to twice their size;
        // and what decoding them takes.
        let of_worker = 4 * PATCH_BYTES + views.scratch_bytes() + OVERHEAD_OF_WORKER;
        let fixed_bytes =
            workers * of_worker + samples * fetched + sampler.order_bytes() + OVERHEAD;
        let affordable = spec.budget_bytes.saturating_sub(fixed_bytes) / slot_bytes.max(1);
        if affordable < 2 {
            return Err(LoaderError::Budget {
                given: spec.budget_bytes,
                needed: slot_bytes.saturating_mul(2).saturating_add(fixed_bytes),
                slot: slot_bytes,
                fixed: fixed_bytes,
                workers,
            });
        }
        Ok(Self {
            budget: spec.budget_bytes,
            slots: affordable.min(MOST_SLOTS),
            slot_bytes,
            fixed_bytes,
        })
    }
}
