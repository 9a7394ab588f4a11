//! Ctrl-C and SIGTERM: the first asks for an orderly stop, the second stops at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};

static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();

/// A flag that a signal sets. The second signal of a kind ends the process with 130 or 143.
pub(crate) fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let which = SIGNAL.get_or_init(|| Arc::new(AtomicUsize::new(0)));
    for (signal, code) in [(SIGINT, 130), (SIGTERM, 143)] {
        // Order matters: the shutdown looks at the flag before this signal sets it.
        signal_hook::flag::register_conditional_shutdown(signal, code, Arc::clone(&stop))?;
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
        signal_hook::flag::register_usize(signal, Arc::clone(which), code.unsigned_abs() as usize)?;
    }
    Ok(stop)
}

/// 143 after SIGTERM, else 130.
pub(crate) fn exit_code() -> u8 {
    let code = SIGNAL.get().map_or(130, |c| c.load(Ordering::Relaxed));
    if code == 143 { 143 } else { 130 }
}
