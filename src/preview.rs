//! `chipmill preview`

use std::path::PathBuf;

use anyhow::Context;
use chipmill_pipeline::{Augmenter, Scratch, ViewKey};
use chipmill_report::sheet::stretch::{Limits, true_colour};
use chipmill_report::sheet::{Cell, Row, contact_sheet, encode_png};
use chipmill_schemas::augment::Preset;
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::{BandChoice, NamedBands, Normalise, ViewConfig};
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::PatchRow;
use chipmill_store::{PatchPixels, StoreReader};

use crate::exit::Outcome;
use crate::output;

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
    let painter = Painter::new(&store, args)?;
    let mut rows = Vec::new();
    for index in spread(store.len(), args.patches) {
        rows.push(painter.row(index)?);
    }
    let png = encode_png(&contact_sheet(&rows, SCALE)?)?;
    std::fs::write(&args.out, png)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    output::result(&format!("{} patches in {}", rows.len(), args.out.display()))?;
    Ok(Outcome::Done)
}

/// `count` indices spread evenly over `0..len`, ascending.
fn spread(len: usize, count: u32) -> Vec<u32> {
    let (len, count) = (len as u64, u64::from(count).min(len as u64));
    (0..count)
        .filter_map(|i| u32::try_from((2 * i + 1) * len / (2 * count)).ok())
        .collect()
}

struct Painter<'a> {
    store: &'a StoreReader,
    plain: Augmenter,
    augmented: Augmenter,
    args: &'a Args,
}

impl<'a> Painter<'a> {
    fn new(store: &'a StoreReader, args: &'a Args) -> anyhow::Result<Self> {
        let statistics = store
            .statistics(None)
            .context("the store has no statistics")?;
        let view = ViewConfig {
            bands: BandChoice::Named(NamedBands::All),
            side: SIDE,
            normalise: Normalise::Unit,
            preset: args.preset,
            ..ViewConfig::default()
        };
        let plain = Augmenter::compile(&view.evaluation(), statistics)?;
        let augmented = Augmenter::compile(&view, statistics)?;
        Ok(Self {
            store,
            plain,
            augmented,
            args,
        })
    }

    fn row(&self, index: u32) -> anyhow::Result<Row> {
        let mut pixels = PatchPixels::zeroed();
        self.store.read(index, &Resolution::ALL, &mut pixels)?;
        let row = self.store.table().get(index as usize);
        let row = row.with_context(|| format!("the store has no patch {index}"))?;
        let mut cells = vec![
            cell(as_recorded(&pixels), vec!["true colour, 2-98 %".to_owned()]),
            self.view(
                &self.plain,
                &pixels,
                index,
                0,
                vec!["no augmentation".to_owned()],
            ),
        ];
        for v in 0..self.args.views {
            let key = self.key(index, v);
            let draws = self.augmented.draws(key).into_iter();
            // What did not happen needs no line: the parameters of what did are long enough.
            let happened = draws.filter(|(_, drawn)| drawn != "no");
            let caption = happened
                .map(|(op, drawn)| format!("{op} {drawn}"))
                .collect();
            cells.push(self.view(&self.augmented, &pixels, index, v, caption));
        }
        Ok(Row {
            title: title(&row),
            cells,
        })
    }

    fn key(&self, patch: u32, view: u32) -> ViewKey {
        ViewKey {
            seed: self.args.seed,
            epoch: 0,
            patch,
            view,
        }
    }

    fn view(
        &self,
        augmenter: &Augmenter,
        pixels: &PatchPixels,
        patch: u32,
        view: u32,
        caption: Vec<String>,
    ) -> Cell {
        let mut out = vec![0.0; augmenter.view_len()];
        augmenter.render(
            pixels,
            self.key(patch, view),
            &mut Scratch::default(),
            &mut out,
        );
        let plane = side() * side();
        let band = |b: Band| &out[b.index() * plane..][..plane];
        let unit = Limits {
            low: 0.0,
            high: 1.0,
        };
        cell(true_colour(RGB.map(band), [unit; 3]), caption)
    }
}

const fn side() -> usize {
    SIDE as usize
}

const RGB: [Band; 3] = [Band::B04, Band::B03, Band::B02];

fn cell(rgb: Vec<u8>, caption: Vec<String>) -> Cell {
    Cell {
        rgb,
        side: side(),
        caption,
    }
}

/// One stretch for all three bands keeps the colours true.
fn as_recorded(pixels: &PatchPixels) -> Vec<u8> {
    let bands = RGB.map(|b| pixels.band_slice(b));
    let limits = Limits::of(&bands.concat()).unwrap_or(Limits {
        low: 0.0,
        high: 1.0,
    });
    true_colour(bands, [limits; 3])
}

fn title(row: &PatchRow) -> String {
    let nomenclature = if row.labels_43.is_some() {
        Nomenclature::Clc43
    } else {
        Nomenclature::Nineteen
    };
    let names: Vec<&str> = nomenclature.classes().collect();
    let labels = match row.labels(nomenclature) {
        Some(set) => set
            .iter()
            .filter_map(|i| names.get(i).copied())
            .collect::<Vec<_>>()
            .join("; "),
        None => "labels unknown".to_owned(),
    };
    format!("{}\n{labels}", row.id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn patches_are_spread_over_the_store() {
        assert_eq!(super::spread(100, 4), [12, 37, 62, 87]);
        assert_eq!(super::spread(2, 8), [0, 1]);
        assert_eq!(super::spread(1, 1), [0]);
    }
}
