//! `chipmill import`

use std::path::PathBuf;

use chipmill_store::StoreReader;
use chipmill_train::exchange::import;

use crate::exit::Outcome;
use crate::output;

/// Make a run folder of encoder weights from elsewhere, finished at step 0, so that `probe`, `embed`,
/// `report` and `export` take it as if it had been pretrained here. To go on training from such weights,
/// use `chipmill pretrain --weights`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill import --weights resnet18.safetensors --run runs/imagenet --store ben.zarr \
      --set view.bands=rgb\n  \
    chipmill probe --run runs/imagenet --store ben.zarr --labels 19\n\n\
    The file has torchvision's or timm's names; a classifier (fc.*) in it is left out. Every other name\n\
    must be there, and no more. Views are normalised as `view.normalise` says, not as on ImageNet.")]
pub(crate) struct Args {
    /// The weights.
    #[arg(long, value_name = "FILE.safetensors")]
    weights: PathBuf,

    /// The run folder to make.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// The store that it will be used with.
    #[arg(long)]
    store: PathBuf,

    /// A TOML file that says which encoder it is and what a view is; what it leaves out has its default
    /// (a ResNet-18, 12 bands).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One more setting, such as encoder.kind=resnet50, over those of the file.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let config = crate::pretrain::pretrain_config(args.config.as_deref(), &args.set)?;
    let store = StoreReader::open(&args.store)?;
    import(&store, &args.run, &config, &args.weights)?;
    output::result(&format!(
        "{}: weights of {}, as a run finished at step 0",
        args.run.display(),
        args.weights.display()
    ))?;
    Ok(Outcome::Done)
}
