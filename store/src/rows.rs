//! The patch table in memory, column by column.
//!
//! A [`PatchRow`] with its texts takes about 600 bytes; here a patch takes about 200, so that the table
//! of all of BigEarthNet stays near 120 MB. Rows are put together when they are asked for.

use std::collections::HashMap;

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};

/// One row a patch, in store order. Row `i` describes index `i` of every array.
#[derive(Debug, Default)]
pub struct PatchTable {
    pub(crate) ids: Texts,
    pub(crate) s1_names: Texts,
    pub(crate) s2v1_names: Texts,
    pub(crate) tiles: Words,
    pub(crate) countries: Words,
    pub(crate) dates: Words,
    pub(crate) splits: Vec<Option<Split>>,
    pub(crate) snow: Vec<Option<bool>>,
    pub(crate) cloud: Vec<Option<bool>>,
    pub(crate) labels_43: Labels,
    pub(crate) labels_19: Labels,
    pub(crate) epsg: Vec<Option<std::num::NonZeroU32>>,
    pub(crate) corners: Vec<[f64; 2]>,
}

impl PatchTable {
    /// Number of patches.
    #[must_use]
    pub fn len(&self) -> usize {
        self.splits.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }

    /// The row of one patch, or `None` beyond the last.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<PatchRow> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let epsg = self.epsg.get(index)?;
        let &[ulx, uly] = self.corners.get(index)?;
        Some(PatchRow {
            id: self.ids.get(index)?.parse().ok()?,
            tile: owned(self.tiles.get(index)),
            split: *self.splits.get(index)?,
            country: owned(self.countries.get(index)),
            date: owned(self.dates.get(index))?,
            snow: *self.snow.get(index)?,
            cloud: *self.cloud.get(index)?,
            labels_43: self.labels_43.get(index),
            labels_19: self.labels_19.get(index),
            georeference: epsg.map(|epsg| Georeference {
                epsg: epsg.get(),
                ulx,
                uly,
            }),
            s1_name: owned(self.s1_names.get(index)),
            s2v1_name: owned(self.s2v1_names.get(index)),
        })
    }

    /// The id of one patch.
    #[must_use]
    pub fn id(&self, index: usize) -> Option<&str> {
        self.ids.get(index)
    }

    /// All rows, one after the other.
    pub fn iter(&self) -> Rows<'_> {
        Rows {
            table: self,
            next: 0,
        }
    }

    /// All rows at once: about 600 bytes a patch.
    #[must_use]
    pub fn to_rows(&self) -> Vec<PatchRow> {
        self.iter().collect()
    }
}

/// Rows of a [`PatchTable`], put together one at a time.
#[derive(Debug, Clone)]
pub struct Rows<'a> {
    table: &'a PatchTable,
    next: usize,
}

impl Iterator for Rows<'_> {
    type Item = PatchRow;

    fn next(&mut self) -> Option<PatchRow> {
        let row = self.table.get(self.next)?;
        self.next += 1;
        Some(row)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.table.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl<'a> IntoIterator for &'a PatchTable {
    type Item = PatchRow;
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}

/// Texts that are all different, end to end.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    text: String,
    ends: Vec<usize>,
    known: Vec<bool>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: Option<&str>) {
        self.text.push_str(text.unwrap_or_default());
        self.ends.push(self.text.len());
        self.known.push(text.is_some());
    }

    fn get(&self, index: usize) -> Option<&str> {
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        let text = self.text.get(start..*self.ends.get(index)?);
        text.filter(|_| self.known[index])
    }
}

/// Texts of which there are few different ones: each is kept once.
#[derive(Debug, Default)]
pub(crate) struct Words {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    /// 1 + the word's number; 0 is unknown.
    codes: Vec<u32>,
}

impl Words {
    pub(crate) fn push(&mut self, word: Option<&str>) {
        let code = word.map_or(0, |word| self.code_of(word));
        self.codes.push(code);
    }

    fn code_of(&mut self, word: &str) -> u32 {
        // Neighbours mostly have the same.
        if let Some(&last) = self.codes.last()
            && self.word(last) == Some(word)
        {
            return last;
        }
        if let Some(&code) = self.numbers.get(word) {
            return code;
        }
        self.words.push(word.to_owned());
        let code = u32::try_from(self.words.len()).unwrap_or(0);
        self.numbers.insert(word.to_owned(), code);
        code
    }

    fn word(&self, code: u32) -> Option<&str> {
        let word = self.words.get((code as usize).checked_sub(1)?)?;
        Some(word)
    }

    fn get(&self, index: usize) -> Option<&str> {
        self.word(*self.codes.get(index)?)
    }
}

/// A label set, or that it is unknown, in eight bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackedLabels(u64);

/// No nomenclature has 64 classes.
const UNKNOWN: u64 = u64::MAX;

impl From<Option<LabelSet>> for PackedLabels {
    fn from(labels: Option<LabelSet>) -> Self {
        Self(labels.map_or(UNKNOWN, |l| l.0))
    }
}

impl From<PackedLabels> for Option<LabelSet> {
    fn from(PackedLabels(labels): PackedLabels) -> Self {
        (labels != UNKNOWN).then_some(LabelSet(labels))
    }
}

/// Label sets in eight bytes each.
#[derive(Debug, Default)]
pub(crate) struct Labels(Vec<PackedLabels>);

impl Labels {
    pub(crate) fn push(&mut self, labels: Option<LabelSet>) {
        self.0.push(labels.into());
    }

    fn get(&self, index: usize) -> Option<LabelSet> {
        (*self.0.get(index)?).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_words_come_back_and_unknown_stays_apart_from_empty() {
        let all = [
            Some("b"),
            Some("b"),
            None,
            Some(""),
            Some("ä"),
            None,
            Some("b"),
        ];
        let (mut texts, mut words) = (Texts::default(), Words::default());
        for text in all {
            texts.push(text);
            words.push(text);
        }
        for (index, text) in all.into_iter().enumerate() {
            assert_eq!((texts.get(index), words.get(index)), (text, text));
        }
        assert_eq!((texts.get(7), words.get(7)), (None, None));
        assert_eq!(words.words, ["b", "", "ä"]);
    }
}
