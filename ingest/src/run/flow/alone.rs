//! The whole flow on the caller's thread: each patch is received before the next one is read.
//!
//! With one thread there is nothing to gain from handing patches from one thread to another, and a
//! patch stays in the processor's cache from the archive to the shard.

use std::ops::ControlFlow;

use chipmill_schemas::patch_id::PatchId;
use chipmill_store::PatchPixels;

use super::reader::{Gate, Reader};
use super::{FlowEnd, Order, Sink};
use crate::IngestError;
use crate::decode::Decoder;
use crate::run::Job;
use crate::run::convert::{self, convert};
use crate::source::{MemoryFiles, RawFiles, RawPatch, Source};

pub(super) fn run(
    job: &Job<'_>,
    sources: &[Source],
    order: Order,
    through: Option<&PatchId>,
    sink: &mut Sink<'_>,
) -> Result<FlowEnd, IngestError> {
    let gate = Alone {
        job,
        sink,
        decoder: Decoder::default(),
        pixels: PatchPixels::zeroed(),
        memory: None,
        ended: None,
    };
    let (end, gate) = Reader::new(job, order, through, gate).read(sources);
    let broken = gate.ended.transpose()?.is_some();
    Ok(FlowEnd { broken, ..end? })
}

struct Alone<'a, 's> {
    job: &'a Job<'a>,
    sink: &'a mut Sink<'s>,
    decoder: Decoder,
    pixels: PatchPixels,
    memory: Option<Box<MemoryFiles>>,
    /// Set once the sink wanted no more, or something failed.
    ended: Option<Result<(), IngestError>>,
}

impl Alone<'_, '_> {
    fn take(&mut self, raw: &RawPatch) -> Result<ControlFlow<()>, IngestError> {
        let outcome = convert(self.job, &mut self.decoder, raw, &mut self.pixels)?;
        self.job.progress.advance(1, convert::bytes(&outcome));
        (self.sink)(outcome, &self.pixels)
    }
}

impl Gate for Alone<'_, '_> {
    fn let_in(&mut self, raw: RawPatch) -> bool {
        let taken = self.take(&raw);
        if let RawFiles::Memory(memory) = raw.files {
            self.memory = Some(memory);
        }
        self.ended = match taken {
            Ok(ControlFlow::Continue(())) => None,
            Ok(ControlFlow::Break(())) => Some(Ok(())),
            Err(error) => Some(Err(error)),
        };
        self.ended.is_none()
    }

    fn memory(&mut self) -> Option<Box<MemoryFiles>> {
        self.memory.take()
    }

    fn is_closed(&self) -> bool {
        self.ended.is_some()
    }
}
