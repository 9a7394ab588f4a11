//! `chipmill export`

use std::path::PathBuf;

use chipmill_train::exchange::export;

use crate::exit::Outcome;
use crate::output;

/// Write the weights of a pretrained encoder into a safetensors file with the names of torchvision and
/// timm: f32, running statistics of batch norm included, without projection head and classifier.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill export --run runs/dcl --out encoder.safetensors\n\n\
    In Python:  model = timm.create_model(\"resnet18\", in_chans=12, num_classes=0)\n            \
    model.load_state_dict(safetensors.torch.load_file(\"encoder.safetensors\"))\n\n\
    That fits encoder.kind = resnet18, resnet34 or resnet50 with width 64 and the standard stem; with\n\
    stem = small_image, conv1 is 3 x 3 with stride 1 and there is no maxpool.")]
pub(crate) struct Args {
    /// The run folder; its newest checkpoint is used.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// The file to write.
    #[arg(long, value_name = "FILE.safetensors")]
    out: PathBuf,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let written = export(&args.run, &args.out)?;
    if args.json {
        output::json(&written)?;
    } else {
        output::result(&format!(
            "{}: {} tensors, {} values of step {}",
            written.path.display(),
            written.tensors,
            output::grouped(written.values as u64),
            written.step
        ))?;
    }
    Ok(Outcome::Done)
}
