//! From the files of a stream, one after the other, to patches: a patch is complete when the next begins.

use std::io::{self, Read};
use std::ops::ControlFlow;

use chipmill_schemas::patch_id::PatchId;
use chipmill_schemas::s1::S1Id;

use super::super::s1::{RawS1, S1Files, S1Role};
use super::super::{FILE_CAP, FileRole, Flaw, MemoryFiles, RawFiles, RawPatch};
use super::members::Members;
use super::{Receiver, S1Receiver, Visited, Visitor};

const NOT_UNDERSTOOD: Visited = Visited::Strange("files not understood");

/// Puts the files of Sentinel-2 patches together.
pub(super) struct Splitter<'a> {
    receiver: &'a mut dyn Receiver,
    current: Option<(PatchId, Option<Box<MemoryFiles>>)>,
}

impl<'a> Splitter<'a> {
    pub(super) fn new(receiver: &'a mut dyn Receiver) -> Self {
        Self {
            receiver,
            current: None,
        }
    }
}

impl Visitor for Splitter<'_> {
    fn file<R: Read>(
        &mut self,
        member: &mut Members<R>,
        (folder, file): (&str, &str),
        flaw: Option<Flaw>,
    ) -> io::Result<Visited> {
        let Some(role) = FileRole::of(folder, file) else {
            return Ok(strange_to_s2(folder, file));
        };
        if self
            .current
            .as_ref()
            .is_none_or(|(id, _)| id.as_str() != folder)
        {
            let Ok(id) = folder.parse::<PatchId>() else {
                return Ok(strange_to_s2(folder, file));
            };
            if self.finish().is_break() {
                return Ok(Visited::Taken(ControlFlow::Break(())));
            }
            let files = self.receiver.wants(&id).then(|| self.receiver.memory());
            self.current = Some((id, files));
        }
        if let Some((_, Some(files))) = &mut self.current {
            match flaw {
                Some(flaw) => files.add_flawed(role, flaw),
                None => read(member, role, files)?,
            }
        }
        Ok(Visited::Taken(ControlFlow::Continue(())))
    }

    fn finish(&mut self) -> ControlFlow<()> {
        let Some((id, files)) = self.current.take() else {
            return ControlFlow::Continue(());
        };
        let patch = files.map(|files| RawPatch {
            id: id.clone(),
            files: RawFiles::Memory(files),
        });
        self.receiver.receive(id, patch)
    }
}

fn strange_to_s2(folder: &str, file: &str) -> Visited {
    if is_of_s1(folder, file) {
        return Visited::Strange(
            "Sentinel-1 files among Sentinel-2 patches, not used: give them as a source of their own",
        );
    }
    NOT_UNDERSTOOD
}

/// Whether a file is one of a Sentinel-1 patch.
pub(super) fn is_of_s1(folder: &str, file: &str) -> bool {
    S1Role::of(folder, file).is_some() && folder.parse::<S1Id>().is_ok()
}

/// Puts the files of Sentinel-1 patches together.
pub(super) struct S1Splitter<'a> {
    receiver: &'a mut dyn S1Receiver,
    current: Option<(S1Id, String, Option<S1Files>)>,
}

impl<'a> S1Splitter<'a> {
    pub(super) fn new(receiver: &'a mut dyn S1Receiver) -> Self {
        Self {
            receiver,
            current: None,
        }
    }
}

impl Visitor for S1Splitter<'_> {
    fn file<R: Read>(
        &mut self,
        member: &mut Members<R>,
        (folder, file): (&str, &str),
        flaw: Option<Flaw>,
    ) -> io::Result<Visited> {
        let Some(role) = S1Role::of(folder, file) else {
            return Ok(strange_to_s1(folder, file));
        };
        if self.current.as_ref().is_none_or(|c| c.1 != folder) {
            let Ok(id) = folder.parse::<S1Id>() else {
                return Ok(strange_to_s1(folder, file));
            };
            if self.finish().is_break() {
                return Ok(Visited::Taken(ControlFlow::Break(())));
            }
            let files = self.receiver.wants(id).then(S1Files::none);
            self.current = Some((id, folder.to_owned(), files));
        }
        if let Some((_, _, Some(files))) = &mut self.current {
            let contents = match flaw {
                Some(flaw) => Err(flaw),
                None if member.size() > FILE_CAP => Err(Flaw::TooLarge(member.size())),
                None => {
                    let length = usize::try_from(member.size()).map_err(io::Error::other)?;
                    let mut bytes = vec![0; length];
                    member.read(&mut bytes)?;
                    Ok(bytes)
                }
            };
            files.put(role, contents);
        }
        Ok(Visited::Taken(ControlFlow::Continue(())))
    }

    fn finish(&mut self) -> ControlFlow<()> {
        match self.current.take() {
            None => ControlFlow::Continue(()),
            Some((id, _, files)) => {
                let patch = files.map(|files| RawS1 { id, files });
                self.receiver.receive(id, patch)
            }
        }
    }
}

fn strange_to_s1(folder: &str, file: &str) -> Visited {
    if FileRole::of(folder, file).is_some() && folder.parse::<PatchId>().is_ok() {
        return Visited::Strange(
            "Sentinel-2 files among Sentinel-1 patches, not used: give them as a source of their own",
        );
    }
    NOT_UNDERSTOOD
}

fn read<R: Read>(
    member: &mut Members<R>,
    role: FileRole,
    files: &mut MemoryFiles,
) -> io::Result<()> {
    if !files.is_absent(role) {
        files.add_flawed(role, Flaw::Twice);
        return Ok(());
    }
    let size = member.size();
    if size > FILE_CAP {
        files.add_flawed(role, Flaw::TooLarge(size));
        return Ok(());
    }
    let length = usize::try_from(size).map_err(io::Error::other)?;
    member.read(files.add(role, length))
}
