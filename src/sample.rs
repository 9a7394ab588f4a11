//! `chipmill sample`

use std::path::PathBuf;

use chipmill_ingest::sample::{ArchiveKind, SampleOptions, write};
use chipmill_schemas::patch_id::DatasetVersion;
use clap::ValueEnum;

use crate::exit::Outcome;
use crate::output;

/// Write a synthetic raw data set in the official layout: the same names, sizes and file formats
/// as BigEarthNet, with scenes whose labels follow from their content. The same seed gives the
/// same bytes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: chipmill sample raw --layout v1 --patches 2000 --seed 1")]
pub(crate) struct Args {
    /// Folder to write into; made when absent, refused when it holds anything.
    out: PathBuf,

    /// Whose layout: v1 (43 labels in JSON files) or v2 (19 labels in parquet tables).
    #[arg(long, value_enum)]
    layout: Layout,

    /// How many patches.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    patches: u32,

    /// Seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Write the distribution archive in place of the folder.
    #[arg(long, value_enum)]
    archive: Option<Archive>,

    /// Write Sentinel-1 as well: VV and VH of the same ground.
    #[arg(long)]
    s1: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Layout {
    V1,
    V2,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Archive {
    Tar,
    #[value(name = "tar.gz")]
    TarGz,
    #[value(name = "tar.zst")]
    TarZst,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let summary = write(&SampleOptions {
        out: args.out.clone(),
        layout: match args.layout {
            Layout::V1 => DatasetVersion::V1,
            Layout::V2 => DatasetVersion::V2,
        },
        patches: usize::try_from(args.patches)?,
        seed: args.seed,
        archive: args.archive.map(|kind| match kind {
            Archive::Tar => ArchiveKind::Tar,
            Archive::TarGz => ArchiveKind::TarGz,
            Archive::TarZst => ArchiveKind::TarZst,
        }),
        s1: args.s1,
    })?;
    if args.json {
        output::json(&summary)?;
    } else {
        output::result(&format!(
            "{} patches in {}",
            args.patches,
            args.out.display()
        ))?;
    }
    Ok(Outcome::Done)
}
