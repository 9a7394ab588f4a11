//! The threads that requests run on. Nothing asynchronous leaves this folder: callers wait.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc;

use tokio::runtime::{Builder, Handle, Runtime};

/// Requests wait for the network; these only move their bytes.
const THREADS: usize = 2;

/// Runs a future to its end on the runtime, and waits for it without being in the runtime oneself: callers
/// may well have one of their own.
pub(super) fn wait<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> io::Result<T> {
    let (give, take) = mpsc::sync_channel(1);
    handle()?.spawn(async move {
        // Whoever waited is gone only if its thread was.
        let _ = give.send(future.await);
    });
    take.recv()
        .map_err(|_| io::Error::other("a request ended without an answer"))
}

/// The runtime, started when it is first needed and kept to the end of the process.
pub(super) fn handle() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let started = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("object-store");
        builder.enable_all().build().map_err(|e| e.to_string())
    });
    match started {
        Ok(runtime) => Ok(runtime.handle()),
        Err(reason) => Err(io::Error::other(format!(
            "cannot start threads for object stores: {reason}"
        ))),
    }
}
