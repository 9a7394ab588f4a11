//! What the ring is built on. A model of the ring takes others of the same names
//! (`tests/ring_model.rs`), so that the code that is checked is the code that runs.

pub(crate) use std::sync::Arc;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub(crate) use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
