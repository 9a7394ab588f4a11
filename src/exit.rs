//! Exit codes, decided in one place.

use std::process::ExitCode;

use chipmill_store::FetchError;

/// How a command ended when it did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All done.
    Done,
    /// Done, but the data has defects.
    Defects,
    /// Stopped by a signal, in good order.
    Stopped,
}

impl Outcome {
    /// 0, 1, or 130 / 143 by the signal that came.
    pub(crate) fn code(self) -> ExitCode {
        match self {
            Self::Done => ExitCode::SUCCESS,
            Self::Defects => ExitCode::from(1),
            Self::Stopped => ExitCode::from(crate::signals::exit_code()),
        }
    }
}

/// Another process is at work on what was asked for.
#[cfg(feature = "train")]
#[derive(Debug)]
pub(crate) struct Busy(pub(crate) String);

#[cfg(feature = "train")]
impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "another process is at work on {}; try again later",
            self.0
        )
    }
}

#[cfg(feature = "train")]
impl std::error::Error for Busy {}

/// 75 for what may pass when tried again, else 2.
pub(crate) fn code_of(error: &anyhow::Error) -> ExitCode {
    #[cfg(feature = "train")]
    if error.is::<Busy>() {
        return ExitCode::from(75);
    }
    let io_error = |cause: &'_ (dyn std::error::Error + 'static)| {
        // Transparent: its own cause is hidden from the chain.
        if let Some(FetchError::Io(e)) = cause.downcast_ref() {
            return Some(e.kind());
        }
        cause.downcast_ref().map(std::io::Error::kind)
    };
    let temporary = error.chain().filter_map(io_error).any(|kind| {
        use std::io::ErrorKind as K;
        matches!(
            kind,
            K::TimedOut | K::ResourceBusy | K::StaleNetworkFileHandle
        )
    });
    ExitCode::from(if temporary { 75 } else { 2 })
}

/// The reader of our stdout has gone (`chipmill inspect S | head`): that is success.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|c| c.downcast_ref::<std::io::Error>())
        .any(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
