//! Where a comparison lies: in a folder, or at an address, where several machines share it.
//!
//! ```text
//! ADDRESS/ experiment.toml     created once: the comparison's own
//!          runs/...            see `runs`
//!          gradients.json  features.tar  sheets.tar     created once
//!          comparison.json ... report.html              of whoever judged last; the report last
//! ```
//!
//! A machine works in a folder of its own and never in an object: what it lacks is fetched before, what
//! it made is given after. Nothing is locked. Objects that are created once make a run that was done twice
//! a waste of time and no contradiction.

mod bundle;
mod runs;

use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chipmill_store::{
    Creation, check_creation, create_object, is_address, object_exists, read_object, write_object,
};

pub(super) use runs::Standing;

/// The folder of a comparison, and the address that it is shared at.
pub(super) struct Place {
    folder: PathBuf,
    address: Option<PathBuf>,
}

/// Names, in the folder, of what the address has as well.
const SHARED: &str = ".shared";

impl Place {
    /// `out` is a folder or an address; `scratch` is where this machine works on what lies at an address.
    pub(super) fn new(out: &Path, scratch: Option<&Path>) -> anyhow::Result<Self> {
        if !is_address(out) {
            anyhow::ensure!(
                scratch.is_none(),
                "--scratch is for a comparison at an address; {} is a folder and worked on where it is",
                out.display()
            );
            return Ok(Self {
                folder: out.to_owned(),
                address: None,
            });
        }
        let text = out.to_string_lossy();
        let text = text.trim_end_matches('/');
        let folder = scratch.map_or_else(|| usual_scratch(text), Path::to_owned);
        Ok(Self {
            folder,
            address: Some(PathBuf::from(text)),
        })
    }

    /// Where this machine works.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// As the user named it.
    pub(super) fn shown(&self) -> &Path {
        self.address.as_deref().unwrap_or(&self.folder)
    }

    /// Refuses an object store that does not keep what was created first.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let tried = check_creation(&address.join("experiment.toml"));
        tried.with_context(|| format!("cannot share a comparison at {}", address.display()))
    }

    /// Brings the comparison's own file from the address; `false` where the address has none. A folder that
    /// has another one worked on another comparison.
    pub(super) fn fetch_own(&self, name: &str) -> anyhow::Result<bool> {
        let (Some(address), own) = (&self.address, self.folder.join(name)) else {
            return Ok(false);
        };
        let Some(theirs) = found(&address.join(name))? else {
            return Ok(false);
        };
        if own.exists() {
            let ours = std::fs::read(&own).with_context(|| cannot("read", &own))?;
            anyhow::ensure!(
                ours == theirs,
                "{} belongs to another comparison than the one at {}: remove it, or give another --scratch",
                self.folder.display(),
                address.display()
            );
        }
        write_object(&own, &theirs).with_context(|| cannot("write", &own))?;
        Ok(true)
    }

    /// Begins a comparison at an address that has none: nothing is known to be shared.
    pub(super) fn give_own(&self, name: &str) -> anyhow::Result<()> {
        let marks = self.folder.join(SHARED);
        if marks.is_dir() {
            std::fs::remove_dir_all(&marks).with_context(|| cannot("remove", &marks))?;
        }
        self.give_file(name)
    }

    /// Brings a file from the address, unless the folder has it.
    pub(super) fn fetch_file(&self, name: &str) -> anyhow::Result<()> {
        let (Some(address), into) = (&self.address, self.folder.join(name)) else {
            return Ok(());
        };
        if into.exists() {
            return Ok(());
        }
        if let Some(bytes) = found(&address.join(name))? {
            let written = write_object(&into, &bytes);
            written.with_context(|| format!("cannot write {}", into.display()))?;
        }
        Ok(())
    }

    /// Gives a file to the address; where another machine was first, its file counts and is taken.
    pub(super) fn give_file(&self, name: &str) -> anyhow::Result<()> {
        let (Some(address), from) = (&self.address, self.folder.join(name)) else {
            return Ok(());
        };
        let bytes = std::fs::read(&from).with_context(|| cannot("read", &from))?;
        let object = address.join(name);
        if create(&object, &bytes)? == Creation::AlreadyThere {
            let theirs = read_object(&object).with_context(|| cannot("read", &object))?;
            write_object(&from, &theirs).with_context(|| cannot("write", &from))?;
        }
        Ok(())
    }

    /// Brings a folder that was finished elsewhere; what this folder has already counts.
    pub(super) fn fetch_folder(&self, name: &str) -> anyhow::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let into = self.folder.join(name);
        if into.exists() {
            return Ok(());
        }
        if let Some(bytes) = found(&address.join(format!("{name}.tar")))? {
            unpack(&bytes, &format!("{name}.tar"), &into)?;
        }
        Ok(())
    }

    /// Gives a finished folder, if no other machine has.
    pub(super) fn give_folder(&self, name: &str) -> anyhow::Result<()> {
        let (Some(address), from) = (&self.address, self.folder.join(name)) else {
            return Ok(());
        };
        if !from.is_dir() {
            return Ok(());
        }
        let object = address.join(format!("{name}.tar"));
        if !exists(&object)? {
            create(&object, &packed(&from, "")?)?;
        }
        Ok(())
    }

    /// Gives what was written about the comparison, the report last.
    pub(super) fn give_results(&self) -> anyhow::Result<()> {
        let Some(address) = &self.address else {
            return Ok(());
        };
        let mut names = Vec::new();
        for folder in ["", "plots"] {
            names.extend(
                bundle::files(&self.folder.join(folder))?
                    .into_iter()
                    .map(|n| Path::new(folder).join(n)),
            );
        }
        let is_result =
            |name: &&PathBuf| !matches!(name.to_str(), Some("experiment.toml" | "gradients.json"));
        names.sort_by_key(|name| name.as_os_str() == "report.html");
        for name in names.iter().filter(is_result) {
            let (from, object) = (self.folder.join(name), address.join(name));
            let bytes = std::fs::read(&from).with_context(|| cannot("read", &from))?;
            write_object(&object, &bytes).with_context(|| cannot("write", &object))?;
        }
        Ok(())
    }
}

/// A folder of this machine for each address.
fn usual_scratch(address: &str) -> PathBuf {
    let digest = blake3::hash(address.as_bytes()).to_hex();
    std::env::temp_dir().join(format!("chipmill-compare-{}", &digest[..16]))
}

/// `without` is a folder that is left out.
fn packed(folder: &Path, without: &str) -> anyhow::Result<Vec<u8>> {
    bundle::pack(folder, without).with_context(|| cannot("read", folder))
}

/// `object` is where the bytes are from.
fn unpack(bytes: &[u8], object: &str, into: &Path) -> anyhow::Result<()> {
    bundle::unpack(bytes, into).with_context(|| {
        format!("the object {object} cannot be taken over; remove it to have it made again")
    })
}

fn create(object: &Path, bytes: &[u8]) -> anyhow::Result<Creation> {
    create_object(object, bytes).with_context(|| cannot("create", object))
}

fn exists(object: &Path) -> anyhow::Result<bool> {
    object_exists(object).with_context(|| cannot("look for", object))
}

/// An object, `None` where there is none.
fn found(object: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match read_object(object) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| cannot("read", object)),
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}", path.display())
}
