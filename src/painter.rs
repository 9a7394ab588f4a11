//! Patches as pictures: as they were recorded, and as an encoder sees them.

use anyhow::Context;
use chipmill_pipeline::{Augmenter, Scratch, ViewKey};
use chipmill_report::sheet::stretch::{Limits, true_colour};
use chipmill_report::sheet::{Cell, Row};
use chipmill_schemas::band::{Band, Resolution};
use chipmill_schemas::config::ViewConfig;
use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::PatchRow;
use chipmill_store::{PatchPixels, StoreReader};

/// Red, green and blue as eyes see them.
const RGB: [Band; 3] = [Band::B04, Band::B03, Band::B02];

/// Draws patches of a store and views of them.
pub(crate) struct Painter<'a> {
    store: &'a StoreReader,
    plain: Augmenter,
    augmented: Augmenter,
    seed: u64,
    side: usize,
    /// Where red, green and blue are on the view's band axis.
    channels: [usize; 3],
}

impl<'a> Painter<'a> {
    /// `view` may have any bands and side; without one of the bands of true colour, its first three are
    /// shown as red, green and blue.
    pub(crate) fn new(
        store: &'a StoreReader,
        view: &ViewConfig,
        seed: u64,
    ) -> anyhow::Result<Self> {
        let statistics = store
            .statistics(None)
            .context("the store has no statistics")?;
        Ok(Self {
            store,
            plain: Augmenter::compile(&view.evaluation(), statistics)?,
            augmented: Augmenter::compile(view, statistics)?,
            seed,
            side: view.side as usize,
            channels: channels(&view.bands.bands()),
        })
    }

    /// A row of a contact sheet: a patch in true colour, as the encoder sees it without augmentation, and
    /// `views` augmented views with the parameters that were drawn.
    pub(crate) fn row(&self, index: u32, views: u32) -> anyhow::Result<Row> {
        let pixels = self.pixels(index)?;
        let row = self.store.table().get(index as usize);
        let row = row.with_context(|| format!("the store has no patch {index}"))?;
        let mut cells = vec![
            as_recorded(&pixels, vec!["true colour, 2-98 %".to_owned()]),
            self.view(
                &self.plain,
                &pixels,
                self.key(index, 0),
                vec!["no augmentation".to_owned()],
            ),
        ];
        for view in 0..views {
            let key = self.key(index, view);
            let draws = self.augmented.draws(key).into_iter();
            // What did not happen needs no line: the parameters of what did are long enough.
            let happened = draws.filter(|(_, drawn)| drawn != "no");
            let caption = happened
                .map(|(op, drawn)| format!("{op} {drawn}"))
                .collect();
            cells.push(self.view(&self.augmented, &pixels, key, caption));
        }
        Ok(Row {
            title: title(&row),
            cells,
        })
    }

    fn pixels(&self, index: u32) -> anyhow::Result<PatchPixels> {
        pixels(self.store, index)
    }

    fn key(&self, patch: u32, view: u32) -> ViewKey {
        ViewKey {
            seed: self.seed,
            epoch: 0,
            patch,
            view,
        }
    }

    fn view(
        &self,
        augmenter: &Augmenter,
        pixels: &PatchPixels,
        key: ViewKey,
        caption: Vec<String>,
    ) -> Cell {
        let mut out = vec![0.0; augmenter.view_len()];
        augmenter.render(pixels, key, &mut Scratch::default(), &mut out);
        let plane = self.side * self.side;
        let channel = |c: usize| &out[c * plane..][..plane];
        let unit = Limits {
            low: 0.0,
            high: 1.0,
        };
        Cell {
            rgb: true_colour(self.channels.map(channel), [unit; 3]),
            side: self.side,
            caption,
        }
    }
}

/// A patch in true colour, stretched from its own 2nd to its 98th percentile.
#[cfg(feature = "train")]
pub(crate) fn recorded(
    store: &StoreReader,
    index: u32,
    caption: Vec<String>,
) -> anyhow::Result<Cell> {
    Ok(as_recorded(&pixels(store, index)?, caption))
}

fn pixels(store: &StoreReader, index: u32) -> anyhow::Result<PatchPixels> {
    let mut pixels = PatchPixels::zeroed();
    store.read(index, &Resolution::ALL, &mut pixels)?;
    Ok(pixels)
}

/// One stretch for all three bands keeps the colours true.
fn as_recorded(pixels: &PatchPixels, caption: Vec<String>) -> Cell {
    let bands = RGB.map(|b| pixels.band_slice(b));
    let limits = Limits::of(&bands.concat()).unwrap_or(Limits {
        low: 0.0,
        high: 1.0,
    });
    Cell {
        rgb: true_colour(bands, [limits; 3]),
        side: Resolution::M10.side(),
        caption,
    }
}

fn channels(bands: &[Band]) -> [usize; 3] {
    let at = |band: Band| bands.iter().position(|b| *b == band);
    let last = bands.len().saturating_sub(1);
    match RGB.map(at) {
        [Some(red), Some(green), Some(blue)] => [red, green, blue],
        _ => [0, 1.min(last), 2.min(last)],
    }
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

/// `count` indices spread evenly over `0..len`, ascending.
pub(crate) fn spread(len: usize, count: u32) -> Vec<u32> {
    let (len, count) = (len as u64, u64::from(count).min(len as u64));
    (0..count)
        .filter_map(|i| u32::try_from((2 * i + 1) * len / (2 * count)).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_spread_over_the_store() {
        assert_eq!(spread(100, 4), [12, 37, 62, 87]);
        assert_eq!(spread(2, 8), [0, 1]);
        assert_eq!(spread(1, 1), [0]);
    }

    #[test]
    fn true_colour_is_found_among_the_bands_of_a_view() {
        assert_eq!(channels(&Band::ALL), [3, 2, 1]);
        assert_eq!(channels(&[Band::B04, Band::B03, Band::B02]), [0, 1, 2]);
        assert_eq!(channels(&[Band::B08, Band::B11]), [0, 1, 1]);
    }
}
