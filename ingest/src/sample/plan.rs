//! What is made: which patches, where they lie, in which split, and what they are to show.

use chipmill_schemas::patch::Split;
use chipmill_schemas::patch_id::DatasetVersion;

use super::SampleOptions;
use super::names::{ACQUISITIONS, Acquisition, GRID};
use super::random::{Purpose, Stream, hash};

/// Patches that all acquisitions hold together.
pub(super) const CAPACITY: usize = ACQUISITIONS.len() * GRID as usize * GRID as usize;

/// One of the four sparse classes of the notes' task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sparse {
    Airport,
    BareRock,
    Burnt,
    Dump,
}

impl Sparse {
    pub(super) const ALL: [Self; 4] = [Self::Airport, Self::BareRock, Self::Burnt, Self::Dump];
}

/// Share of the patches that each sparse class is the one sparse class of.
const SPARSE_SHARE: f32 = 0.09;

/// Share of the patches that show two sparse classes.
const PAIR_SHARE: f32 = 0.004;

/// Snow or cloud over a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Clear,
    Snow,
    Cloud,
}

/// One patch to be made.
#[derive(Debug, Clone)]
pub(super) struct PatchPlan {
    pub(super) id: String,
    pub(super) acquisition: usize,
    pub(super) h: u8,
    pub(super) v: u8,
    pub(super) split: Split,
    /// The sparse classes to show: none, one, or rarely two.
    pub(super) sparse: [Option<Sparse>; 2],
    pub(super) weather: Weather,
    /// Key of the patch's random numbers.
    pub(super) key: u64,
}

impl PatchPlan {
    pub(super) fn acquisition(&self) -> &'static Acquisition {
        &ACQUISITIONS[self.acquisition]
    }

    /// Whether the patch is in the snow or the cloud list, and so in no split list.
    pub(super) fn flagged(&self) -> bool {
        self.weather != Weather::Clear
    }
}

/// All patches, in the order of their folders in a sorted archive.
pub(super) fn plan(options: &SampleOptions) -> Vec<PatchPlan> {
    let mut patches = place(options);
    assign_themes(options.seed, &mut patches);
    patches.sort_by(|a, b| a.id.cmp(&b.id));
    patches
}

/// Puts the patches on the acquisitions' grids, as evenly as can be.
fn place(options: &SampleOptions) -> Vec<PatchPlan> {
    let mut order: Vec<usize> = (0..ACQUISITIONS.len()).collect();
    Stream::new(options.seed, 0, Purpose::Acquisitions).shuffle(&mut order);
    let used = options
        .patches
        .div_ceil(60)
        .max(3)
        .min(order.len())
        .min(options.patches);
    let mut patches = Vec::with_capacity(options.patches);
    for (turn, &acquisition) in order.iter().take(used).enumerate() {
        let share = options.patches / used + usize::from(turn < options.patches % used);
        let mut cells: Vec<(u8, u8)> = (0..GRID)
            .flat_map(|h| (0..GRID).map(move |v| (h, v)))
            .collect();
        Stream::new(options.seed, acquisition as u64, Purpose::Positions).shuffle(&mut cells);
        let cells = cells.into_iter().take(share);
        patches.extend(cells.map(|cell| patch_at(options.layout, acquisition, cell)));
    }
    patches
}

fn patch_at(layout: DatasetVersion, acquisition: usize, (h, v): (u8, u8)) -> PatchPlan {
    let place = u64::from(h) * u64::from(GRID) + u64::from(v);
    PatchPlan {
        id: ACQUISITIONS[acquisition].patch_id(layout, h, v),
        acquisition,
        h,
        v,
        split: block_split(h, v),
        sparse: [None, None],
        weather: Weather::Clear,
        key: hash(acquisition as u64, place),
    }
}

/// The split by geographic blocks, as v2.0's: of each tile's area the inner quarter is test, the ring
/// around it (a quarter) validation, the rest (half) train.
fn block_split(h: u8, v: u8) -> Split {
    let centre = GRID / 2;
    let distance = u16::from(h.abs_diff(centre).max(v.abs_diff(centre)));
    // Half sides of the squares that hold 1/4 and 1/2 of the 91 x 91 patches: 91/2 * sqrt(share).
    match distance {
        0..=22 => Split::Test,
        23..=31 => Split::Validation,
        _ => Split::Train,
    }
}

/// Gives every split the same shares of the sparse classes, at random otherwise.
fn assign_themes(seed: u64, patches: &mut [PatchPlan]) {
    let key = Stream::new(seed, 0, Purpose::Themes).bits();
    patches.sort_by_key(|p| (p.split, hash(key, p.key)));
    for (rank, patch) in patches.iter_mut().enumerate() {
        let mut stream = Stream::new(seed, patch.key, Purpose::Themes);
        // Multiples of the golden ratio are spread evenly over [0, 1), in every stretch of them.
        let spread = (0.5 + rank as f64 * 0.618_033_988_749_894_9).fract();
        patch.sparse = sparse_at(spread, &mut stream);
        if patch.sparse == [None, None] {
            patch.weather = weather(patch.acquisition().month(), &mut stream);
        }
    }
}

fn sparse_at(spread: f64, stream: &mut Stream) -> [Option<Sparse>; 2] {
    let mut edge = 0.0;
    for class in Sparse::ALL {
        edge += f64::from(SPARSE_SHARE);
        if spread < edge {
            return [Some(class), None];
        }
    }
    if spread < edge + f64::from(PAIR_SHARE) {
        let mut classes = Sparse::ALL;
        stream.shuffle(&mut classes);
        return [Some(classes[0]), Some(classes[1])];
    }
    [None, None]
}

/// Flags lie on patches without a sparse class alone, so that leaving flagged patches out does not
/// change the four-class task.
fn weather(month: u8, stream: &mut Stream) -> Weather {
    let snow = if matches!(month, 11 | 12 | 1..=3) {
        0.3
    } else {
        0.0
    };
    if stream.chance(snow) {
        Weather::Snow
    } else if stream.chance(0.03) {
        Weather::Cloud
    } else {
        Weather::Clear
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn plan_of(patches: usize) -> Vec<PatchPlan> {
        plan(&SampleOptions {
            out: "unused".into(),
            layout: DatasetVersion::V2,
            patches,
            seed: 1,
            archive: None,
            s1: false,
        })
    }

    #[test]
    fn each_sparse_class_has_its_share_in_every_split() {
        let patches = plan_of(1500);
        let mut counts = BTreeMap::new();
        for patch in &patches {
            if let [Some(class), None] = patch.sparse {
                *counts.entry((class, patch.split)).or_insert(0) += 1;
            }
        }
        assert_eq!(counts.len(), 12);
        for class in Sparse::ALL {
            let total: usize = Split::ALL.iter().map(|&s| counts[&(class, s)]).sum();
            assert!((120..=150).contains(&total), "{class:?} {total}");
        }
        let pairs = patches.iter().filter(|p| p.sparse[1].is_some()).count();
        assert!((3..=10).contains(&pairs), "{pairs}");
    }

    #[test]
    fn ids_are_unique_and_sorted_up_to_the_capacity() {
        for patches in [1, 2, 10, 700, CAPACITY] {
            let plan = plan_of(patches);
            assert_eq!(plan.len(), patches);
            assert!(plan.windows(2).all(|w| w[0].id < w[1].id));
        }
    }

    #[test]
    fn a_tile_is_split_in_half_and_two_quarters() {
        let mut counts = BTreeMap::new();
        for h in 0..GRID {
            for v in 0..GRID {
                *counts.entry(block_split(h, v)).or_insert(0.0) += 1.0 / 8281.0;
            }
        }
        assert!((counts[&Split::Train] - 0.5_f64).abs() < 0.03);
        assert!((counts[&Split::Validation] - 0.25_f64).abs() < 0.03);
        assert!((counts[&Split::Test] - 0.25_f64).abs() < 0.03);
    }

    #[test]
    fn a_few_patches_make_several_tiles_already() {
        let tiles: BTreeSet<_> = plan_of(10).iter().map(|p| p.acquisition).collect();
        assert_eq!(tiles.len(), 3);
        assert!(plan_of(1500).iter().any(|p| p.weather == Weather::Cloud));
    }
}
