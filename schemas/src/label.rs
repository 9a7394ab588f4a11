//! The two nomenclatures: CORINE Land Cover level 3 (43 classes, v1.0) and the 19 classes of
//! BigEarthNet-MM and v2.0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of the 43 CORINE Land Cover level-3 classes that occur in BigEarthNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clc43 {
    /// Name as in the v1 label files.
    pub name: &'static str,
    /// The three-digit CLC code, as in the v2 reference maps.
    pub code: u16,
    /// Index of the 19-class counterpart; `None` for the 11 classes that were removed.
    pub to_19: Option<u8>,
}

const fn clc(name: &'static str, code: u16, to_19: i8) -> Clc43 {
    #[expect(clippy::cast_sign_loss, reason = "guarded by the comparison")]
    let to_19 = if to_19 < 0 { None } else { Some(to_19 as u8) };
    Clc43 { name, code, to_19 }
}

/// The 43 classes in the order of RSiM's `label_indices.json`.
pub const CLC_43: [Clc43; 43] = [
    clc("Continuous urban fabric", 111, 0),
    clc("Discontinuous urban fabric", 112, 0),
    clc("Industrial or commercial units", 121, 1),
    clc("Road and rail networks and associated land", 122, -1),
    clc("Port areas", 123, -1),
    clc("Airports", 124, -1),
    clc("Mineral extraction sites", 131, -1),
    clc("Dump sites", 132, -1),
    clc("Construction sites", 133, -1),
    clc("Green urban areas", 141, -1),
    clc("Sport and leisure facilities", 142, -1),
    clc("Non-irrigated arable land", 211, 2),
    clc("Permanently irrigated land", 212, 2),
    clc("Rice fields", 213, 2),
    clc("Vineyards", 221, 3),
    clc("Fruit trees and berry plantations", 222, 3),
    clc("Olive groves", 223, 3),
    clc("Pastures", 231, 4),
    clc("Annual crops associated with permanent crops", 241, 3),
    clc("Complex cultivation patterns", 242, 5),
    clc(
        "Land principally occupied by agriculture, with significant areas of natural vegetation",
        243,
        6,
    ),
    clc("Agro-forestry areas", 244, 7),
    clc("Broad-leaved forest", 311, 8),
    clc("Coniferous forest", 312, 9),
    clc("Mixed forest", 313, 10),
    clc("Natural grassland", 321, 11),
    clc("Moors and heathland", 322, 12),
    clc("Sclerophyllous vegetation", 323, 12),
    clc("Transitional woodland/shrub", 324, 13),
    clc("Beaches, dunes, sands", 331, 14),
    clc("Bare rock", 332, -1),
    clc("Sparsely vegetated areas", 333, 11),
    clc("Burnt areas", 334, -1),
    clc("Inland marshes", 411, 15),
    clc("Peatbogs", 412, 15),
    clc("Salt marshes", 421, 16),
    clc("Salines", 422, 16),
    clc("Intertidal flats", 423, -1),
    clc("Water courses", 511, 17),
    clc("Water bodies", 512, 17),
    clc("Coastal lagoons", 521, 18),
    clc("Estuaries", 522, 18),
    clc("Sea and ocean", 523, 18),
];

/// The 19 classes in their original order (not the alphabetic one).
pub const CLASSES_19: [&str; 19] = [
    "Urban fabric",
    "Industrial or commercial units",
    "Arable land",
    "Permanent crops",
    "Pastures",
    "Complex cultivation patterns",
    "Land principally occupied by agriculture, with significant areas of natural vegetation",
    "Agro-forestry areas",
    "Broad-leaved forest",
    "Coniferous forest",
    "Mixed forest",
    "Natural grassland and sparsely vegetated areas",
    "Moors, heathland and sclerophyllous vegetation",
    "Transitional woodland, shrub",
    "Beaches, dunes, sands",
    "Inland wetlands",
    "Coastal wetlands",
    "Inland waters",
    "Marine waters",
];

/// A set of class names: 43 (CLC level 3) or 19.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Nomenclature {
    /// CORINE Land Cover level 3.
    #[serde(rename = "43")]
    Clc43,
    /// BigEarthNet's 19 classes.
    #[serde(rename = "19")]
    Nineteen,
}

impl Nomenclature {
    /// Both, as they stand in the store.
    pub const ALL: [Self; 2] = [Self::Clc43, Self::Nineteen];

    /// `43` or `19`, the array's name below `labels/`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clc43 => "43",
            Self::Nineteen => "19",
        }
    }

    /// How many classes.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Clc43 => CLC_43.len(),
            Self::Nineteen => CLASSES_19.len(),
        }
    }

    /// Never: both have classes. (Present because `len` is.)
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// The class names, in order.
    pub fn classes(self) -> impl Iterator<Item = &'static str> {
        let (clc, nineteen): (&[Clc43], &[&str]) = match self {
            Self::Clc43 => (&CLC_43, &[]),
            Self::Nineteen => (&[], &CLASSES_19),
        };
        clc.iter().map(|c| c.name).chain(nineteen.iter().copied())
    }

    /// Index of a class by its exact name.
    #[must_use]
    pub fn index_of(self, class: &str) -> Option<usize> {
        self.classes().position(|c| c == class)
    }
}

impl std::fmt::Display for Nomenclature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Labels of one patch in one nomenclature: bit `i` set means class `i` is present.
///
/// An *unknown* label set (255 in the store) is `Option::None` around this type, never an empty set:
/// 57 v1 patches really have no 19-class label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct LabelSet(pub u64);

impl LabelSet {
    /// Whether class `index` is present.
    #[must_use]
    pub const fn contains(self, index: usize) -> bool {
        index < 64 && self.0 >> index & 1 == 1
    }

    /// Adds class `index` (below 64).
    pub fn insert(&mut self, index: usize) {
        debug_assert!(index < 64);
        self.0 |= 1 << index;
    }

    /// How many classes are present.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether any class is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Indices of the classes present, ascending.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..64).filter(move |&i| self.contains(i))
    }

    /// The 19-class labels that follow from 43-class ones (11 classes have no counterpart).
    #[must_use]
    pub fn to_nineteen(self) -> Self {
        self.iter()
            .filter_map(|i| CLC_43.get(i)?.to_19)
            .map(usize::from)
            .collect()
    }
}

impl FromIterator<usize> for LabelSet {
    fn from_iter<I: IntoIterator<Item = usize>>(indices: I) -> Self {
        let mut set = Self::default();
        indices.into_iter().for_each(|i| set.insert(i));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eleven_of_the_43_classes_have_no_counterpart_and_all_19_are_reached() {
        assert_eq!(CLC_43.iter().filter(|c| c.to_19.is_none()).count(), 11);
        let reached: LabelSet = CLC_43
            .iter()
            .filter_map(|c| c.to_19)
            .map(usize::from)
            .collect();
        assert_eq!(reached.count(), 19);
    }

    #[test]
    fn codes_are_ascending_and_names_distinct() {
        assert!(CLC_43.windows(2).all(|w| w[0].code < w[1].code));
        for n in Nomenclature::ALL {
            let names: std::collections::BTreeSet<_> = n.classes().collect();
            assert_eq!(names.len(), n.len());
            assert!(
                n.classes()
                    .enumerate()
                    .all(|(i, c)| n.index_of(c) == Some(i))
            );
        }
    }

    #[test]
    fn names_equal_in_both_nomenclatures_map_to_each_other() {
        for class in CLC_43 {
            if let Some(same) = Nomenclature::Nineteen.index_of(class.name) {
                assert_eq!(class.to_19.map(usize::from), Some(same), "{}", class.name);
            }
        }
    }

    #[test]
    fn label_sets_convert() {
        let rock = Nomenclature::Clc43.index_of("Bare rock").unwrap();
        let rice = Nomenclature::Clc43.index_of("Rice fields").unwrap();
        let set: LabelSet = [rock, rice].into_iter().collect();
        assert_eq!(set.to_nineteen().iter().collect::<Vec<_>>(), [2]);
        assert_eq!(set.iter().collect::<Vec<_>>(), [rice, rock]);
    }
}
