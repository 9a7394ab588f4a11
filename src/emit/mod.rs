//! `emit`: job files for engines, of an ingest or a comparison that was planned. The engine schedules;
//! what a task is, and that doing it twice harms nothing, is ours.

mod k8s;
mod shell;
mod slurm;

use std::path::{Path, PathBuf};

use anyhow::Context;

use chipmill_store::is_address;

use crate::exit::Outcome;
use crate::output;

/// Which engine, and what it is to give.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Engine {
    Slurm(slurm::Args),
    K8s(k8s::Args),
}

/// What the tasks of a plan are, and what completes them: arguments of `chipmill`.
pub(crate) struct Steps {
    /// `ingest` or `compare`.
    pub(crate) kind: &'static str,
    /// What one sees in the heading, such as `ingest of /data/ben.zarr, 537 units`.
    pub(crate) title: String,
    /// Indices 0 .. tasks - 1.
    pub(crate) tasks: u64,
    /// One task; its index follows.
    pub(crate) work: Vec<String>,
    /// Once, when all tasks have ended well.
    pub(crate) finalize: Vec<String>,
    /// What every machine must see: folders, and addresses.
    pub(crate) paths: Vec<PathBuf>,
}

// What both engines are told. No doc comment: clap would make it that of the command.
#[derive(Debug, clap::Args)]
struct Common {
    /// Name of the jobs: small letters, digits and hyphens.
    #[arg(long, value_parser = name)]
    name: Option<String>,

    /// How chipmill is called there, such as `apptainer exec --bind /data chipmill.sif chipmill`. Words
    /// are divided and quoted as in a shell; nothing is expanded.
    #[arg(long, value_name = "WORDS", default_value = "chipmill")]
    command: String,

    /// Tasks at the same time, at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    at_most: Option<u64>,

    /// How often a task is begun, at most, before it counts as failed.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    tries: u64,

    /// Cores of a task.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    cpus: u64,

    /// GPUs of a task.
    #[arg(long, value_name = "N", default_value_t = 0)]
    gpus: u64,
}

impl Common {
    fn name(&self, steps: &Steps) -> String {
        let usual = || format!("chipmill-{}", steps.kind);
        self.name.clone().unwrap_or_else(usual)
    }

    /// The command's words.
    fn words(&self) -> anyhow::Result<Vec<String>> {
        let words =
            shell::split(&self.command).with_context(|| format!("--command {}", self.command))?;
        anyhow::ensure!(!words.is_empty(), "--command is empty, expected a program");
        Ok(words)
    }
}

/// Prints the job files.
pub(crate) fn run(engine: &Engine, steps: &Steps) -> anyhow::Result<Outcome> {
    output::result(&match engine {
        Engine::Slurm(args) => slurm::script(args, steps)?,
        Engine::K8s(args) => k8s::manifests(args, steps)?,
    })?;
    Ok(Outcome::Done)
}

/// A path as every machine can use it, as text; an address is one.
pub(crate) fn absolute(path: &Path) -> anyhow::Result<String> {
    let full = if is_address(path) {
        path.to_owned()
    } else {
        std::path::absolute(path)
            .with_context(|| format!("cannot tell where {} is", path.display()))?
    };
    let text = full.to_str().with_context(|| {
        format!(
            "the path {} is not UTF-8, which job files must be",
            full.display()
        )
    })?;
    Ok(text.to_owned())
}

/// A DNS label, which Kubernetes wants, with room for what it appends.
fn name(text: &str) -> Result<String, String> {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let has_good_ends = !text.starts_with('-') && !text.ends_with('-');
    if (1..=40).contains(&text.len()) && text.chars().all(is_inner) && has_good_ends {
        return Ok(text.to_owned());
    }
    Err("expected 1 to 40 small letters, digits and inner hyphens".to_owned())
}

/// A word that stands in a job file's head, where quoting differs between versions.
fn plain(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_.,:=+/@-".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err("expected letters, digits and any of _ . , : = + / @ -".to_owned())
}

/// What the file is for. A path in it may hold anything: whoever writes it into a comment keeps it on a line.
fn heading(steps: &Steps, tasks: &str) -> String {
    format!("chipmill {}: {} {tasks}", steps.title, steps.tasks)
}
