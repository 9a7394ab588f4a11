//! What the metadata files and the label files say of patches.
//!
//! v2 tables (`metadata.parquet`) and v1 lists of names (splits, snow, cloud) are recognised by
//! content. v1's 43-class labels come from the JSON beside the band files ([`label_file`]), v2's from
//! the reference maps ([`reference_map`]). A v1 patch takes what no v1 file tells of it (country, S1
//! name, and split, snow and cloud where no such list was given) from the v2 row that names it.

pub(crate) mod label_file;
mod list;
pub(crate) mod reference_map;
mod rows;
pub(crate) mod s1_label_file;
mod sound;
mod table;
mod twins;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::packed_id::PackedId;
use chipmill_schemas::patch::{Georeference, PatchRow, Split};
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use chipmill_schemas::s1::S1Id;
use serde::{Deserialize, Serialize};

use crate::IngestError;
use crate::source::Notes;
use list::ListRole;
use rows::Rows;
use twins::Twins;

/// What the metadata files say of one patch. `None`: they do not say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listed {
    split: Option<Split>,
    country: Option<Box<str>>,
    snow: Option<bool>,
    cloud: Option<bool>,
    labels_19: Option<LabelSet>,
    s1_name: Option<Box<str>>,
    s2v1_name: Option<Box<str>>,
}

/// [`Listed`] as the catalog keeps it, half a million times: texts are packed, or numbers of countries.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    split: Option<Split>,
    snow: Option<bool>,
    cloud: Option<bool>,
    /// Position among the countries.
    country: Option<u16>,
    labels_19: Option<LabelSet>,
    s1_name: Option<S1Id>,
    s2v1_name: Option<PackedId>,
}

/// Names of a patch that are not of the official form: kept as they are.
#[derive(Debug, Clone, Default)]
struct OddNames {
    s1_name: Option<Box<str>>,
    s2v1_name: Option<Box<str>>,
}

/// What a patch's own files say of it, besides the pixels.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) georeference: Option<Georeference>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) labels_43: Option<LabelSet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tile: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<String>,
}

/// All metadata files together.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    listed: Rows,
    /// What becomes `listed` once all files are read.
    read: BTreeMap<PackedId, Kept>,
    odd_names: BTreeMap<PackedId, OddNames>,
    countries: Vec<String>,
    /// The only patches wanted, where a file names them.
    named: Option<BTreeSet<PackedId>>,
    /// 43-class labels by the reference maps.
    mapped: BTreeMap<PackedId, LabelSet>,
    digests: Vec<String>,
    named_digest: Option<String>,
    has_split_list: bool,
    has_snow_list: bool,
    has_cloud_list: bool,
    twins: Twins,
    notes: Notes,
}

impl Catalog {
    /// Reads metadata files, in any order, and the file that names the only patches wanted.
    ///
    /// # Errors
    /// [`IngestError::Metadata`] naming the file (and column or line) that is missing, damaged or of
    /// another kind; [`IngestError::Conflict`] when two files contradict each other.
    pub(crate) fn load(files: &[PathBuf], patches: Option<&Path>) -> Result<Self, IngestError> {
        let mut catalog = Self::default();
        for path in files {
            let bytes = head_checked(path)?;
            catalog
                .digests
                .push(blake3::hash(&bytes).to_hex().to_string());
            if bytes.starts_with(table::MAGIC) {
                table::read(path, &mut |id, row| catalog.add(path, &id, row))?;
            } else {
                catalog.load_list(path, &bytes)?;
            }
        }
        catalog.listed = Rows::from(std::mem::take(&mut catalog.read));
        catalog.digests.sort();
        catalog.digests.dedup();
        if let Some(path) = patches {
            let bytes = head_checked(path)?;
            let names = list::names(path, &bytes)?;
            if names.is_empty() {
                let reason = "names no patch; it should name those wanted, one a line";
                return Err(IngestError::metadata(path, reason));
            }
            catalog.named = Some(names.iter().map(PackedId::from).collect());
            catalog.named_digest = Some(blake3::hash(&bytes).to_hex().to_string());
        }
        Ok(catalog)
    }

    /// Takes in the labels that the reference maps give.
    pub(crate) fn add_mapped(&mut self, labels: BTreeMap<PackedId, LabelSet>) {
        self.mapped = labels;
    }

    /// Whether any metadata file was given.
    pub(crate) fn has_tables(&self) -> bool {
        !self.digests.is_empty()
    }

    /// BLAKE3 digests of the files, sorted: what they say does not depend on their order.
    pub(crate) fn digests(&self) -> &[String] {
        &self.digests
    }

    /// BLAKE3 digest of the file that names the only patches wanted.
    pub(crate) fn named_digest(&self) -> Option<&str> {
        self.named_digest.as_deref()
    }

    /// All patches that the files list or name, each once, in no particular order: a v1 name whose v2
    /// row is listed is that row.
    pub(crate) fn expected(&self) -> impl Iterator<Item = PatchId> {
        let named = self.named.iter().flatten();
        let new = named.filter(|id| !self.listed.contains(**id));
        let listed = self.listed.iter().map(|(id, _)| id);
        let both = listed.chain(new);
        let is_twin = |id: PackedId| {
            id.version() == DatasetVersion::V1 && self.twins.v2_of(id, &self.listed).is_some()
        };
        both.filter(move |id| !is_twin(**id)).map(|id| id.unpack())
    }

    /// What is remarkable about the files.
    pub(crate) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How many patches the files list, before any selection.
    pub(crate) fn listed(&self) -> usize {
        self.listed.len()
    }

    /// Whether the files list a patch, under either of its names.
    pub(crate) fn lists(&self, id: &PatchId) -> bool {
        self.listed.contains(id.into()) || self.twin(id).is_some()
    }

    /// The other name of a patch: the v2 id of a v1 one, or the v1 name of a v2 one.
    pub(crate) fn twin(&self, id: &PatchId) -> Option<PatchId> {
        let twin = self.twins.of(id.into(), &self.listed)?;
        Some(twin.unpack())
    }

    /// Whether the patch is among those that a file names; true when none does.
    pub(crate) fn names(&self, id: &PatchId) -> bool {
        self.named.as_ref().is_none_or(|n| n.contains(&id.into()))
    }

    /// Whether the patch's labels are known without its own files.
    pub(crate) fn knows_labels(&self, id: &PatchId) -> bool {
        let id = PackedId::from(id);
        let listed = self.listed.get(id);
        self.mapped.contains_key(&id) || listed.is_some_and(|row| row.labels_19.is_some())
    }

    /// The Sentinel-1 patch of a patch, as the tables name it.
    pub(crate) fn s1_of(&self, id: &PatchId) -> Option<S1Id> {
        let id = PackedId::from(id);
        let own = self.listed.get(id).and_then(|l| l.s1_name);
        own.or_else(|| self.v2_row(id)?.1.s1_name)
    }

    /// All Sentinel-1 patches that the tables name.
    pub(crate) fn s1_names(&self) -> HashSet<S1Id> {
        let rows = self.listed.iter();
        rows.filter_map(|(_, row)| row.s1_name).collect()
    }

    /// The countries that occur.
    pub(crate) fn countries(&self) -> BTreeSet<&str> {
        self.countries.iter().map(String::as_str).collect()
    }

    /// The patch's split, where known.
    pub(crate) fn split(&self, id: &PatchId) -> Option<Split> {
        let id = PackedId::from(id);
        let own = self.listed.get(id).and_then(|l| l.split);
        own.or_else(|| self.v2_row(id)?.1.split)
    }

    /// What the v2 table says of a v1 patch, without what v1's own lists say, and under which id.
    fn v2_row(&self, id: PackedId) -> Option<(PackedId, Kept)> {
        if id.version() == DatasetVersion::V2 {
            return None;
        }
        let v2 = self.twins.v2_of(id, &self.listed)?;
        let mut row = *self.listed.get(v2)?;
        if self.has_split_list {
            row.split = None;
        }
        Some((v2, row))
    }

    /// The row of the patch table. 19-class labels are the table's, or else follow from the 43; a v1
    /// patch's follow from its own label file before the v2 table is asked.
    pub(crate) fn row(&self, id: &PatchId, told: &Told) -> PatchRow {
        let from_id = PatchRow::from_id(id.clone());
        let packed = PackedId::from(id);
        let own = self.listed.get(packed).copied().unwrap_or_default();
        let v2 = self.v2_row(packed);
        let v2_id = v2.map(|(id, _)| id);
        let v2 = v2.map(|(_, row)| row).unwrap_or_default();
        let labels_43 = told.labels_43.or(self.mapped.get(&packed).copied());
        let derived = labels_43.map(LabelSet::to_nineteen);
        let on_list = |flag: Option<bool>, given: bool| {
            flag.or((given && id.version() == DatasetVersion::V1).then_some(false))
        };
        let country = own.country.or(v2.country);
        let s1_name = self.s1_name(packed, &own);
        PatchRow {
            tile: from_id.tile.or_else(|| told.tile.clone()),
            date: told.date.clone().unwrap_or(from_id.date),
            split: own.split.or(v2.split),
            country: country.and_then(|c| self.countries.get(usize::from(c)).cloned()),
            snow: on_list(own.snow, self.has_snow_list).or(v2.snow),
            cloud: on_list(own.cloud, self.has_cloud_list).or(v2.cloud),
            labels_43,
            labels_19: own.labels_19.or(derived).or(v2.labels_19),
            georeference: told.georeference,
            s1_name: s1_name.or_else(|| self.s1_name(v2_id?, &v2)),
            s2v1_name: self.s2v1_name(packed, &own),
            id: from_id.id,
        }
    }

    fn s1_name(&self, id: PackedId, kept: &Kept) -> Option<String> {
        let odd = || {
            self.odd_names
                .get(&id)?
                .s1_name
                .as_deref()
                .map(str::to_owned)
        };
        kept.s1_name.map(|name| name.text()).or_else(odd)
    }

    fn s2v1_name(&self, id: PackedId, kept: &Kept) -> Option<String> {
        let odd = || {
            self.odd_names
                .get(&id)?
                .s2v1_name
                .as_deref()
                .map(str::to_owned)
        };
        kept.s2v1_name.map(|name| name.to_string()).or_else(odd)
    }

    /// Whether the table's 19-class labels are others than those that follow from the reference map.
    pub(crate) fn map_contradicts(&self, id: &PatchId) -> bool {
        let id = PackedId::from(id);
        let listed = self.listed.get(id).and_then(|l| l.labels_19);
        let mapped = self.mapped.get(&id).map(|l| l.to_nineteen());
        matches!((listed, mapped), (Some(a), Some(b)) if a != b)
    }

    fn load_list(&mut self, path: &Path, bytes: &[u8]) -> Result<(), IngestError> {
        let (role, ids) = list::read(path, bytes)?;
        if ids.is_empty() {
            // No official list is empty; that of a small part of the data may be.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.notes.add("lists that name no patch", &name);
        }
        match role {
            ListRole::Snow => self.has_snow_list = true,
            ListRole::Cloud => self.has_cloud_list = true,
            ListRole::Split(_) => self.has_split_list = true,
        }
        ids.iter()
            .try_for_each(|id| self.add(path, id, role.listed()))
    }

    /// Joins what one more file says to what is known.
    fn add(&mut self, path: &Path, id: &PatchId, new: Listed) -> Result<(), IngestError> {
        let packed = PackedId::from(id);
        let mut known = self.read.get(&packed).copied().unwrap_or_default();
        let country = new.country.map(|name| self.number_of(&name));
        let before = [self.s1_name(packed, &known), self.s2v1_name(packed, &known)];
        let mut names = before.map(|name| name.map(Box::from));
        let [s1_name, s2v1_name] = &mut names;
        let contradiction = join("split", &mut known.split, new.split)
            .and_then(|()| join("country", &mut known.country, country))
            .and_then(|()| join("contains_seasonal_snow", &mut known.snow, new.snow))
            .and_then(|()| join("contains_cloud_or_shadow", &mut known.cloud, new.cloud))
            .and_then(|()| join("labels", &mut known.labels_19, new.labels_19))
            .and_then(|()| join("s1_name", s1_name, new.s1_name))
            .and_then(|()| join("s2v1_name", s2v1_name, new.s2v1_name));
        contradiction.map_err(|(column, before, found)| {
            let shown = |text: String| match column {
                "country" => self.shown_country(&text),
                _ => text,
            };
            IngestError::Conflict {
                path: path.to_owned(),
                patch: id.clone(),
                column,
                before: shown(before),
                found: shown(found),
            }
        })?;
        self.keep(packed, known, names);
        Ok(())
    }

    /// Packs the names that can be packed.
    fn keep(&mut self, id: PackedId, mut kept: Kept, names: [Option<Box<str>>; 2]) {
        let [s1_name, s2v1_name] = names;
        kept.s1_name = s1_name.as_ref().and_then(|name| name.parse().ok());
        let v1 = s2v1_name
            .as_ref()
            .and_then(|name| name.parse::<PatchId>().ok());
        kept.s2v1_name = v1.as_ref().map(PackedId::from);
        let odd = OddNames {
            s1_name: s1_name.filter(|_| kept.s1_name.is_none()),
            s2v1_name: s2v1_name.filter(|_| kept.s2v1_name.is_none()),
        };
        if odd.s1_name.is_some() || odd.s2v1_name.is_some() {
            self.odd_names.insert(id, odd);
        }
        self.read.insert(id, kept);
    }

    fn number_of(&mut self, country: &str) -> u16 {
        let known = self.countries.iter().position(|c| c == country);
        let place = known.unwrap_or_else(|| {
            self.countries.push(country.to_owned());
            self.countries.len() - 1
        });
        // A table of 65,536 countries has other troubles.
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// The name of a country for its number as text.
    fn shown_country(&self, number: &str) -> String {
        let name = number
            .parse::<usize>()
            .ok()
            .and_then(|n| self.countries.get(n));
        name.map_or_else(|| number.to_owned(), |name| format!("{name:?}"))
    }
}

type Contradiction = (&'static str, String, String);

fn join<T: PartialEq + std::fmt::Debug>(
    column: &'static str,
    known: &mut Option<T>,
    new: Option<T>,
) -> Result<(), Contradiction> {
    match (&known, new) {
        (Some(before), Some(found)) if *before != found => {
            Err((column, format!("{before:?}"), format!("{found:?}")))
        }
        (None, new) => {
            *known = new;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Whether a file that begins so is a table or a list.
pub(crate) fn is_metadata(head: &[u8]) -> bool {
    head.starts_with(table::MAGIC) || list::is_list(head)
}

/// The bytes of a metadata file. The official tables have 3.6 MB; a file that is something else (an
/// archive, say) is refused by its first bytes before it is read.
fn head_checked(path: &Path) -> Result<Vec<u8>, IngestError> {
    const PIECE: u64 = 4096;
    let failed = |e: std::io::Error| IngestError::metadata(path, format!("cannot be read: {e}"));
    let mut file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.by_ref()
        .take(PIECE)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if !is_metadata(&bytes) {
        let reason = "is neither a parquet table (v2 metadata.parquet) nor a list of v1 patch \
                      names, one a line (train.csv, patches_with_seasonal_snow.csv)";
        return Err(IngestError::metadata(path, reason));
    }
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
