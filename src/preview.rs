//! `chipmill preview`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_report::sheet::{contact_sheet, encode_png};
use chipmill_schemas::augment::Preset;
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_store::StoreReader;

use crate::exit::Outcome;
use crate::output;
use crate::painter::{Painter, spread};

/// Side of every cell, in pixels of the view.
const SIDE: u32 = 120;

/// How many pixels of the sheet a pixel of a view takes in each direction.
const SCALE: usize = 2;

/// Draw patches and their augmented views into a PNG: a wrong augmentation is seen at a glance.
///
/// Each row shows the patch in true colour (B04 B03 B02, stretched from its 2nd to its 98th
/// percentile), then as the encoder would see it without augmentation, then its views with the
/// parameters that were drawn. Views are shown as they are scaled for the encoder: 0 is black, 1
/// is white.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The store.
    store: PathBuf,

    /// The picture to write.
    #[arg(long, value_name = "FILE.png")]
    out: PathBuf,

    /// Which augmentations: notes, simclr, peers or none.
    #[arg(long, default_value_t = Preset::Notes)]
    preset: Preset,

    /// How many patches, spread evenly over the store.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=64))]
    patches: u32,

    /// How many views of each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=8))]
    views: u32,

    /// Seed of the augmentations.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let store = StoreReader::open(&args.store)?;
    anyhow::ensure!(
        !store.is_empty(),
        "{}: the store holds no patch",
        args.store.display()
    );
    let view = ViewConfig {
        bands: BandChoice::Named(NamedBands::All),
        side: SIDE,
        normalise: Normalise::Unit,
        preset: args.preset,
        ..ViewConfig::default()
    };
    let painter = Painter::new(&store, &view, args.seed)?;
    let shown = spread(store.len(), args.patches).into_iter();
    let rows = shown
        .map(|index| painter.row(index, args.views))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let png = encode_png(&contact_sheet(&rows, SCALE)?)?;
    std::fs::write(&args.out, png)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    output::result(&format!("{} patches in {}", rows.len(), args.out.display()))?;
    Ok(Outcome::Done)
}
