//! A tar archive as a source: one pass over the stream, one patch at a time in memory.
//!
//! GNU long names and PAX paths are understood. Every size that the archive states is capped before
//! it is believed; links, devices and names that leave the archive are refused and noted.

mod members;
mod splitter;

use std::borrow::Cow;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;

use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::s1::S1Id;
use tar::EntryType;

use super::member::folder_and_file;
use super::s1::RawS1;
use super::{Archive, Content, FileRole, Flaw, MemoryFiles, Notes, RawPatch};
use crate::IngestError;
use members::Members;
use splitter::{S1Splitter, Splitter, is_of_s1};

/// Most bytes of a long name or of PAX records that are read.
const EXTENSION_CAP: u64 = 1 << 16;

/// Receives what a stream holds.
pub(crate) trait Receiver {
    /// Whether the files of this patch are wanted; those of others are passed over unread.
    fn wants(&mut self, id: &PatchId) -> bool;

    /// Memory for the files of a patch: none used, or that of an earlier patch.
    fn memory(&mut self) -> Box<MemoryFiles> {
        Box::default()
    }

    /// A patch is complete (as far as the archive has it); `None` when it was not wanted.
    fn receive(&mut self, id: PatchId, patch: Option<RawPatch>) -> ControlFlow<()>;
}

/// Receives what a stream of Sentinel-1 holds.
pub(crate) trait S1Receiver {
    /// Whether the files of this patch are wanted; those of others are passed over unread.
    fn wants(&mut self, id: S1Id) -> bool;

    /// A patch is complete (as far as the archive has it); `None` when it was not wanted.
    fn receive(&mut self, id: S1Id, patch: Option<RawS1>) -> ControlFlow<()>;
}

/// Streams an archive into a receiver, to its end or until the receiver breaks.
///
/// # Errors
/// [`IngestError::Archive`] when the archive is damaged, cut short, or lies about its sizes.
pub(crate) fn stream(source: &Archive, receiver: &mut dyn Receiver) -> Result<Notes, IngestError> {
    split(source, open(source)?, receiver)
}

/// Streams a tar from bytes in memory, for the fuzz target.
pub(crate) fn stream_bytes(
    source: &Archive,
    bytes: Vec<u8>,
    receiver: &mut dyn Receiver,
) -> Result<Notes, IngestError> {
    let reader: Box<dyn Read + Send> = Box::new(io::Cursor::new(bytes));
    split(source, Members::new(reader), receiver)
}

fn split(
    source: &Archive,
    members: Members<Box<dyn Read + Send>>,
    receiver: &mut dyn Receiver,
) -> Result<Notes, IngestError> {
    walk(source, members, Splitter::new(receiver))
}

/// Streams an archive of Sentinel-1 into a receiver, to its end or until the receiver breaks.
///
/// # Errors
/// As [`stream`].
pub(crate) fn stream_s1(
    source: &Archive,
    receiver: &mut dyn S1Receiver,
) -> Result<Notes, IngestError> {
    walk(source, open(source)?, S1Splitter::new(receiver))
}

fn walk(
    source: &Archive,
    mut members: Members<Box<dyn Read + Send>>,
    visitor: impl Visitor,
) -> Result<Notes, IngestError> {
    let mut walk = Walk {
        visitor,
        notes: Notes::default(),
        position: 0,
    };
    let end = walk.run(&mut members);
    let (notes, position) = (walk.notes, walk.position);
    if end.map_err(damaged(source, position))?.is_continue() {
        // What follows the end of the tar stream is read as well: there the checksums stand.
        io::copy(&mut members.into_input(), &mut io::sink()).map_err(damaged(source, position))?;
    }
    Ok(notes)
}

/// What an archive holds: the kind of its first file that is understood.
pub(super) fn content(source: &Archive) -> Result<Content, IngestError> {
    /// Members that are looked at: folders and strange files may come first.
    const FIRST: usize = 1000;
    // Of standard input there is a beginning that can be looked at; where that ends says nothing.
    let beginning = source.input.known();
    let mut members = match beginning {
        Some(known) => {
            let bytes = Box::new(io::Cursor::new(known.to_vec()));
            let stream = source.compression.decoder(bytes);
            Members::new(stream.map_err(IngestError::reading(Path::new(&source.input.name())))?)
        }
        None => open(source)?,
    };
    let mut extension = Extension::default();
    for _ in 0..FIRST {
        let at = members.position();
        let extends = match members.advance() {
            Ok(true) => extension.take(&mut members),
            Ok(false) => break,
            Err(error) => Err(error),
        };
        match extends {
            Ok(true) => continue,
            Ok(false) => {}
            Err(_) if beginning.is_some() => break,
            Err(error) => return Err(damaged(source, at)(error)),
        }
        let name = std::mem::take(&mut extension).name(&members);
        let Ok((folder, file)) = folder_and_file(&name) else {
            continue;
        };
        match FileRole::of(folder, file) {
            _ if is_of_s1(folder, file) => return Ok(Content::S1),
            Some(FileRole::ReferenceMap) => return Ok(Content::ReferenceMaps),
            Some(_) => return Ok(Content::Patches),
            None => {}
        }
    }
    Ok(Content::Patches)
}

fn open(source: &Archive) -> Result<Members<Box<dyn Read + Send>>, IngestError> {
    let path = std::path::PathBuf::from(source.input.name());
    let stream = source.compression.open(&source.input);
    Ok(Members::new(stream.map_err(IngestError::reading(&path))?))
}

fn damaged(source: &Archive, position: u64) -> impl FnOnce(io::Error) -> IngestError {
    let (archive, is_part) = (source.input.name(), source.input.may_lack_parts());
    move |source| IngestError::Archive {
        archive,
        position,
        hint: if is_part {
            "; are these all parts of it?"
        } else {
            ""
        },
        source,
    }
}

/// What is made of the files of a stream.
trait Visitor {
    /// A file in a folder, with what is wrong about it already.
    fn file<R: Read>(
        &mut self,
        member: &mut Members<R>,
        place: (&str, &str),
        flaw: Option<Flaw>,
    ) -> io::Result<Visited>;

    /// There are no more files.
    fn finish(&mut self) -> ControlFlow<()>;
}

/// What became of a file.
enum Visited {
    Taken(ControlFlow<()>),
    /// It means nothing: a note of that kind.
    Strange(&'static str),
}

/// Goes through the members of a stream, past all that are no files.
struct Walk<V> {
    visitor: V,
    notes: Notes,
    position: u64,
}

/// What the extension members before a member say of it.
#[derive(Default)]
struct Extension {
    long_name: Option<Vec<u8>>,
    pax_path: Option<Vec<u8>>,
    pax_size: Option<u64>,
    sparse: bool,
}

impl<V: Visitor> Walk<V> {
    fn run<R: Read>(&mut self, members: &mut Members<R>) -> io::Result<ControlFlow<()>> {
        let mut extension = Extension::default();
        while members.advance()? {
            self.position = members.position();
            if extension.take(members)? {
                continue;
            }
            let extension = std::mem::take(&mut extension);
            if self.member(members, &extension)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(self.visitor.finish())
    }

    fn member<R: Read>(
        &mut self,
        member: &mut Members<R>,
        extension: &Extension,
    ) -> io::Result<ControlFlow<()>> {
        let name = extension.name(member);
        let kind = member.header().entry_type();
        if kind.is_dir() {
            return Ok(ControlFlow::Continue(()));
        }
        let is_plain = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let flaw = (!is_plain || extension.sparse).then_some(Flaw::NotAFile);
        let is_flawed = flaw.is_some();
        if is_flawed {
            let note = "members refused, not plain files (links, devices, sparse)";
            self.notes.add(note, &shown(&name));
        }
        extension.check_size(member.size(), &name)?;
        let note = match folder_and_file(&name) {
            Err(refusal) => refusal.note(),
            Ok(place) => match self.visitor.file(member, place, flaw)? {
                Visited::Taken(flow) => return Ok(flow),
                Visited::Strange(_) if is_flawed => return Ok(ControlFlow::Continue(())),
                Visited::Strange(note) => note,
            },
        };
        self.notes.add(note, &shown(&name));
        Ok(ControlFlow::Continue(()))
    }
}

impl Extension {
    /// Takes in an extension member; false when the member is none.
    fn take<R: Read>(&mut self, member: &mut Members<R>) -> io::Result<bool> {
        match member.header().entry_type() {
            EntryType::GNULongName => {
                let mut name = read_capped(member)?;
                while name.last() == Some(&0) {
                    name.pop();
                }
                self.long_name = Some(name);
            }
            EntryType::XHeader => self.take_pax(&read_capped(member)?)?,
            // Targets of links are not followed, and global records hold no names of members.
            EntryType::GNULongLink | EntryType::XGlobalHeader => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_pax(&mut self, records: &[u8]) -> io::Result<()> {
        for record in tar::PaxExtensions::new(records) {
            let record = record?;
            match record.key_bytes() {
                b"path" => self.pax_path = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|v| v.parse().ok());
                    self.pax_size = Some(size.ok_or_else(|| invalid("a PAX size is no number"))?);
                }
                key if key.starts_with(b"GNU.sparse") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn name<R: Read>(&self, member: &Members<R>) -> Vec<u8> {
        let extended = self.pax_path.as_ref().or(self.long_name.as_ref());
        extended
            .cloned()
            .unwrap_or_else(|| member.header().path_bytes().into_owned())
    }

    /// Two sizes of one member let two readers see two different archives.
    fn check_size(&self, size: u64, name: &[u8]) -> io::Result<()> {
        match self.pax_size {
            Some(pax) if pax != size => Err(invalid(&format!(
                "{} has {size} bytes by its header and {pax} by PAX",
                shown(name)
            ))),
            _ => Ok(()),
        }
    }
}

fn read_capped<R: Read>(member: &mut Members<R>) -> io::Result<Vec<u8>> {
    let size = member.size();
    if size > EXTENSION_CAP {
        return Err(invalid(&format!("a name or PAX record of {size} bytes")));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    member.read(&mut bytes)?;
    Ok(bytes)
}

/// A name as notes and errors show it.
fn shown(name: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&name[..name.len().min(300)])
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}

#[cfg(test)]
mod tests;
