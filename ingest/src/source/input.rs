//! The bytes of an archive: a file, the parts of a split one, or standard input.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes at both ends of an archive by which it is recognised.
const END: u64 = 1 << 16;

/// Bytes of standard input that are looked at before it is read: the first members, even where a
/// compressed block of them is large.
const AHEAD: u64 = 1 << 20;

/// Where the bytes of an archive come from.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    /// One file, or the parts of one in their order.
    Files(Vec<PathBuf>),
    /// Standard input.
    Stdin(Arc<Stdin>),
}

/// Standard input, whose first bytes stay known when it was read.
#[derive(Debug)]
pub(crate) struct Stdin {
    head: Vec<u8>,
    is_read: AtomicBool,
}

impl Input {
    /// Begins to read standard input.
    pub(crate) fn stdin() -> io::Result<Self> {
        let mut head = Vec::new();
        io::stdin().lock().take(AHEAD).read_to_end(&mut head)?;
        let is_read = AtomicBool::new(false);
        Ok(Self::Stdin(Arc::new(Stdin { head, is_read })))
    }

    /// Whether the bytes can be read only once.
    pub(crate) const fn is_stdin(&self) -> bool {
        matches!(self, Self::Stdin(_))
    }

    /// The bytes that are known of what can be read only once.
    pub(crate) fn known(&self) -> Option<&[u8]> {
        match self {
            Self::Files(_) => None,
            Self::Stdin(stdin) => Some(&stdin.head),
        }
    }

    /// The first bytes, at most `length`, and of standard input at most 1 MiB.
    pub(crate) fn head(&self, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Files(parts) => {
                let mut head = Vec::new();
                Parts::new(parts)
                    .take(length as u64)
                    .read_to_end(&mut head)?;
                Ok(head)
            }
            Self::Stdin(stdin) => Ok(stdin.head[..length.min(stdin.head.len())].to_vec()),
        }
    }

    /// All bytes, from the first.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        match self {
            Self::Files(parts) => Ok(match &parts[..] {
                [one] => Box::new(File::open(one)?),
                parts => Box::new(Parts::new(parts)),
            }),
            Self::Stdin(stdin) => {
                if stdin.is_read.swap(true, Ordering::Relaxed) {
                    return Err(read_before());
                }
                let head = Cursor::new(stdin.head.clone());
                Ok(Box::new(head.chain(io::stdin())))
            }
        }
    }

    /// Length and digest of both ends of each part: reading all of a 60 GB archive only to recognise
    /// it would cost more than ingesting it. Of standard input only the beginning can be known.
    pub(crate) fn identity(&self) -> io::Result<String> {
        match self {
            Self::Files(parts) => {
                let parts: Vec<_> = parts.iter().map(|p| ends(p)).collect::<Result<_, _>>()?;
                Ok(format!("archive of {}", parts.join(" + ")))
            }
            Self::Stdin(_) => {
                let head = self.head(usize::try_from(END).unwrap_or(usize::MAX))?;
                Ok(format!("standard input beginning {}", digest(&head)))
            }
        }
    }

    /// Whether its name is that of a part, so that others may be missing.
    pub(crate) fn may_lack_parts(&self) -> bool {
        match self {
            Self::Files(parts) => parts.iter().any(|p| super::parts::is_part(p)),
            Self::Stdin(_) => false,
        }
    }

    /// How errors name it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Files(parts) => {
                let parts: Vec<_> = parts.iter().map(|p| p.display().to_string()).collect();
                parts.join(" + ")
            }
            Self::Stdin(_) => "standard input".to_owned(),
        }
    }
}

fn read_before() -> io::Error {
    io::Error::other("standard input can be read only once; give the archive as a file")
}

fn ends(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut ends = Vec::new();
    file.by_ref().take(END).read_to_end(&mut ends)?;
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    file.take(END).read_to_end(&mut ends)?;
    Ok(format!("{length} bytes ({})", digest(&ends)))
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// Files one after the other, each opened when it is its turn.
struct Parts {
    ahead: VecDeque<PathBuf>,
    current: Option<File>,
}

impl Parts {
    fn new(parts: &[PathBuf]) -> Self {
        Self {
            ahead: parts.iter().cloned().collect(),
            current: None,
        }
    }
}

impl Read for Parts {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.current {
                let read = file.read(into)?;
                if read > 0 || into.is_empty() {
                    return Ok(read);
                }
            }
            let Some(next) = self.ahead.pop_front() else {
                return Ok(0);
            };
            self.current = Some(File::open(next)?);
        }
    }
}
