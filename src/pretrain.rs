//! `chipmill pretrain`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chipmill_schemas::config::{PretrainConfig, resolve};
use chipmill_schemas::run::{MetricsRow, RunState, RunStatus};
use chipmill_schemas::task::Task;
use chipmill_store::StoreReader;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::trainer::{TrainProgress, sentence};

use crate::exit::Outcome;
use crate::output;
use crate::progress::Meter;

/// Pretrain an encoder: SimCLR, DCL or weighted DCL, on two augmented views of each patch. Ctrl-C
/// once saves a checkpoint and stops; --resume goes on exactly there.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill pretrain --store ben.zarr --config configs/dcl.toml --run runs/dcl\n  \
    chipmill pretrain --store ben.zarr --config configs/dcl.toml --run runs/t05 --set loss.temperature=0.5\n  \
    chipmill pretrain --resume runs/dcl --store ben.zarr\n\n\
    `chipmill schema pretrain` prints every key; configs/ holds examples.")]
pub(crate) struct Args {
    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// A TOML file; what it leaves out has its default.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One more setting, such as loss.temperature=0.5, over those of the file.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// The run folder to make.
    #[arg(long, value_name = "DIR", required_unless_present = "resume")]
    run: Option<PathBuf>,

    /// Go on with this run, with its own configuration; --set may change what no loss depends on,
    /// such as the number of steps under a constant learning rate.
    #[arg(long, value_name = "DIR", conflicts_with = "run")]
    resume: Option<PathBuf>,

    /// Begin with these encoder weights, a safetensors file with torchvision's or timm's names, such as
    /// `chipmill export` writes; a classifier (fc.*) in it is left out.
    #[arg(long, value_name = "FILE.safetensors", conflicts_with = "resume")]
    weights: Option<PathBuf>,

    /// cpu, cuda or cuda:N; several GPUs, such as cuda:0,cuda:1, share the micro-batches of a batch,
    /// whose size must then be set.
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Print the final status as one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let store = StoreReader::open(&args.store)?;
    let asked = configuration(args)?;
    let folder = args
        .resume
        .as_ref()
        .or(args.run.as_ref())
        .context("name the run: --run DIR")?;
    let stop = crate::signals::stop_flag()?;
    let progress = Shown(Meter::new("steps"));
    let job = Pretrain {
        store: &store,
        run: folder,
        device: &args.device,
        tasks: &asked.tasks,
        weights: args.weights.as_deref(),
        probe: None,
        progress: &progress,
        stop: &stop,
    };
    let result = match (&args.resume, &asked.config) {
        (Some(_), asked) => job.resume(asked.as_ref()),
        (None, Some(config)) => job.start(config),
        (None, None) => bail!("a new run needs a configuration"),
    };
    progress.0.finish();
    let status = result?;
    if args.json {
        output::json(&status)?;
    } else {
        output::result(&closing(folder, &status))?;
    }
    Ok(match status.state {
        RunState::Interrupted => Outcome::Stopped,
        _ => Outcome::Done,
    })
}

/// What was asked for: `None` when a resume is to keep the run's own configuration.
#[derive(Default)]
struct Asked {
    config: Option<PretrainConfig>,
    tasks: Vec<Task>,
}

fn configuration(args: &Args) -> anyhow::Result<Asked> {
    let path = match (&args.config, &args.resume) {
        (Some(path), _) => Some(path.clone()),
        (None, Some(_)) if args.set.is_empty() => return Ok(Asked::default()),
        (None, Some(run)) => Some(run.join("config.toml")),
        (None, None) => None,
    };
    let mut config = pretrain_config(path.as_deref(), &args.set)?;
    config.validate()?;
    let mut tasks = Vec::new();
    if let Some(name) = &mut config.selection.exclude_task
        && name.ends_with(".toml")
    {
        let task = crate::tasks::find(name)?;
        // The run keeps the definition, so the name alone is enough from here on.
        name.clone_from(&task.name);
        tasks.push(task);
    }
    Ok(Asked {
        config: Some(config),
        tasks,
    })
}

/// From a file, if any, and overrides.
pub(crate) fn pretrain_config(
    path: Option<&Path>,
    overrides: &[String],
) -> anyhow::Result<PretrainConfig> {
    let mut file = None;
    if let Some(path) = path {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read configuration {}", path.display()))?;
        file = Some((path.display().to_string(), text));
    }
    let named = file
        .as_ref()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    resolve(named, overrides).with_context(|| match path {
        Some(path) => format!("configuration {}", path.display()),
        None => "configuration".to_owned(),
    })
}

fn closing(folder: &Path, status: &RunStatus) -> String {
    let what = match status.state {
        RunState::Finished => "finished",
        RunState::Interrupted => "interrupted, checkpoint saved",
        RunState::Running => "running",
        RunState::Failed => "failed",
    };
    format!(
        "{}: {what} at step {} of {}",
        folder.display(),
        status.step,
        status.max_steps
    ) + &collapsed(status)
}

fn collapsed(status: &RunStatus) -> String {
    status.collapsed_since.map_or_else(String::new, |since| {
        format!("; COLLAPSED since step {since}: see train.log")
    })
}

struct Shown(Meter);

impl TrainProgress for Shown {
    fn started(&self, step: u64, max_steps: u64) {
        self.0.total(Some(max_steps));
        self.0.position(step);
    }

    fn step(&self, step: u64, _max_steps: u64) {
        self.0.position(step);
    }

    fn metrics(&self, row: &MetricsRow) {
        self.0.message(sentence(row));
    }

    fn notice(&self, text: &str) {
        self.0.line(text);
    }

    fn checkpoint(&self, step: u64, _path: &Path) {
        self.0.line(&format!("checkpoint at step {step}"));
    }
}
