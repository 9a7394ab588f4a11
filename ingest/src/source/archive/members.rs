//! The members of a tar stream, one after the other, each with its header and its data.
//!
//! The `tar` crate reads headers; its own iterator would clear a buffer of 32 KiB for every member,
//! most of which are smaller than that.

use std::io::{self, Read};

use tar::Header;

const BLOCK: u64 = 512;

/// A tar stream, standing at one of its members once [`advance`](Self::advance) was called.
pub(super) struct Members<R> {
    input: R,
    header: Header,
    /// Where the header begins.
    position: u64,
    /// Where the next header begins.
    next: u64,
    /// How far the stream is read.
    read: u64,
    size: u64,
}

impl<R: Read> Members<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            header: Header::new_old(),
            position: 0,
            next: 0,
            read: 0,
            size: 0,
        }
    }

    /// Goes to the next member, wherever in the current one the stream stands; false where there is none.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        self.skip(self.next - self.read)?;
        self.position = self.next;
        if !self.read_header()? || self.header.as_bytes().iter().all(|b| *b == 0) {
            return Ok(false);
        }
        if checksum(&self.header) != self.header.cksum()? {
            return Err(super::invalid("the checksum of a header does not hold"));
        }
        self.size = self.header.entry_size()?;
        let end = self.size.checked_next_multiple_of(BLOCK);
        let next = end.and_then(|end| end.checked_add(self.read));
        self.next = next.ok_or_else(|| super::invalid("a member is too large"))?;
        Ok(true)
    }

    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// Where the header of the current member begins.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Bytes of the current member.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Reads the next bytes of the current member, which must have as many.
    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<()> {
        let end = self.read.checked_add(into.len() as u64);
        if end.is_none_or(|end| end > self.position + BLOCK + self.size) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.input.read_exact(into)?;
        self.read += into.len() as u64;
        Ok(())
    }

    pub(super) fn into_input(self) -> R {
        self.input
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let mut padding = [0; size_of::<Header>()];
        if let Some(padding) = usize::try_from(bytes)
            .ok()
            .and_then(|n| padding.get_mut(..n))
        {
            self.input.read_exact(padding)?;
            self.read += bytes;
            return Ok(());
        }
        let mut rest = self.input.by_ref().take(bytes);
        let skipped = io::copy(&mut rest, &mut io::sink())?;
        self.read += skipped;
        if skipped < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// False at the end of the stream.
    fn read_header(&mut self) -> io::Result<bool> {
        let block = self.header.as_mut_bytes();
        let mut filled = 0;
        while filled < block.len() {
            match self.input.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => filled += bytes,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        self.read += BLOCK;
        Ok(true)
    }
}

/// The sum of all bytes, those of the checksum's own field as spaces.
fn checksum(header: &Header) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|&b| u32::from(b)).sum::<u32>();
    let bytes = header.as_bytes();
    sum(bytes) - sum(&bytes[148..156]) + 8 * u32::from(b' ')
}
