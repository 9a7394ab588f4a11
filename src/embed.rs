//! `chipmill embed`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_schemas::config::resolve;
use chipmill_schemas::selection::Selection;
use chipmill_schemas::task::Task;
use chipmill_store::StoreReader;
use chipmill_train::TrainError;
use chipmill_train::embed::Embed;

use crate::exit::Outcome;
use crate::output;
use crate::progress::Meter;

/// Write the features of a pretrained encoder, one row a patch, into a safetensors file: `features`
/// f32 (n x d), `rows` u32 (n), `patch_id` u8 (n x w). A name that ends in .parquet gets a table with the
/// columns `patch_id`, `row` and `features` (a list).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill embed --run runs/dcl --store ben.zarr --out features.safetensors\n  \
    chipmill embed --run runs/dcl --store ben.zarr --out test.safetensors \
      --set 'splits=[\"test\"]'\n\n\
    In Python:  t = safetensors.numpy.load_file(\"features.safetensors\")\n              \
    ids = t[\"patch_id\"].view(f\"S{t['patch_id'].shape[1]}\")[:, 0].astype(str)")]
pub(crate) struct Args {
    /// The run folder; its newest checkpoint is used.
    #[arg(long, value_name = "DIR")]
    run: PathBuf,

    /// The store.
    #[arg(long)]
    store: PathBuf,

    /// The file to write; .parquet gives Parquet.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,

    /// Which patches, as in the `selection` of a run; all without it.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// Patches in a forward pass.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,

    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let selection: Selection = resolve(None, &args.set).context("--set")?;
    let store = StoreReader::open(&args.store)?;
    let rows = selection.rows(store.table(), Task::built_in)?;
    anyhow::ensure!(
        !rows.is_empty(),
        "none of the {} patches of {} is selected",
        store.len(),
        args.store.display()
    );
    let stop = crate::signals::stop_flag()?;
    let embed = Embed {
        store: &store,
        run: &args.run,
        device: &args.device,
        batch_size: args.batch_size.into(),
        stop: &stop,
    };
    let meter = Meter::new("patches");
    meter.total(Some(rows.len() as u64));
    let written = embed.write(&rows, &args.out, |done| meter.position(done as u64));
    meter.finish();
    let written = match written {
        Err(TrainError::Stopped) => return Ok(Outcome::Stopped),
        other => other?,
    };
    if args.json {
        output::json(&written)?;
    } else {
        output::result(&format!(
            "{}: {} patches x {} features of step {}",
            written.path.display(),
            output::grouped(written.patches as u64),
            written.dim,
            written.step
        ))?;
    }
    Ok(Outcome::Done)
}
