//! What is to be done to one view: its draws, put into as few passes over its pixels as can be.
//!
//! - Affine steps in a row become one, and those that come first become part of the resampling's weights.
//!   The contrast among them needs the view's mean, which is known beforehand: a resampling is linear. A
//!   blur that mirrors at borders, and follows nothing else, becomes part of the resampling as well.
//! - Steps on single values, and on the bands at a pixel, share a pass. Another blur, a contrast whose mean
//!   depends on what was clipped or blurred, and a geometric or custom operation each begin a new one.
//! - From where all bands are equal (`drop_color`) only one is worked on, until they differ again. As long
//!   as everything was linear, their mean is taken before they are resampled.

mod draft;

use std::ops::Range;

use draft::Draft;

use super::graph::Stage;
use super::ops::blur::HalfKernel;
use super::resample::Affine;
use crate::rng::{OpKey, ViewKey};

/// Something done to values where they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// An affine map for each band, then limits.
    Map {
        table: usize,
        range: [f32; 2],
    },
    Limit([f32; 2]),
    Noise {
        std: f32,
        key: OpKey,
    },
    /// Away from the mean over bands, or towards it.
    Blend {
        factor: f32,
        range: [f32; 2],
    },
    Saturate {
        factor: f32,
        range: [f32; 2],
    },
    Rotate {
        turn: f32,
        range: [f32; 2],
    },
    /// The first band becomes the mean over bands; from here on it stands for all.
    Gray,
    /// All bands become equal to the first. Always the first step of its pass.
    Spread,
}

impl Step {
    /// Whether all bands are needed at a pixel.
    fn is_across(&self) -> bool {
        use Step::{Blend, Gray, Limit, Map, Noise, Rotate, Saturate, Spread};
        match self {
            Map { .. } | Limit(_) | Noise { .. } | Spread => false,
            Blend { .. } | Saturate { .. } | Rotate { .. } | Gray => true,
        }
    }
}

/// Where a pass takes its values from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source {
    /// The native rasters, resampled, then mapped by a table.
    Native { table: usize },
    /// The view as the pass before left it.
    Planes,
    /// The same, blurred.
    Blur(HalfKernel),
}

#[derive(Debug, Clone)]
pub(super) struct Pass {
    pub(super) source: Source,
    pub(super) steps: Range<usize>,
    /// Only the first band exists at its beginning, and stands for all.
    pub(super) gray: bool,
    /// Some step needs all bands at a pixel.
    pub(super) across: bool,
    /// The table whose offsets depend on the means of what the pass gives: `(1 - gain) mean`.
    pub(super) means: Option<usize>,
    /// What it gives is the view.
    pub(super) last: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Action {
    Pass(Pass),
    /// The mean of the mapped bands, resampled: the first band of a gray view, or all of it.
    GrayNative {
        table: usize,
        /// Factors of a contrast that follows the table's maps.
        contrast: Option<usize>,
        last: bool,
    },
    /// Stage number so many of the graph, on the whole view.
    Stage(usize),
}

/// The actions of one view. The memory is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) actions: Vec<Action>,
    pub(super) steps: Vec<Step>,
    /// Tables of one map a band.
    pub(super) maps: Vec<Affine>,
    /// A blur that is part of the resampling.
    pub(super) blur: Option<HalfKernel>,
    bands: usize,
}

impl Program {
    /// Takes memory for any view of so many operations and bands.
    pub(super) fn reserve(&mut self, operations: usize, bands: usize) {
        // A jitter has four steps, each of which may begin a pass and need a table.
        let most = 8 * operations + 8;
        super::scratch::reserve(&mut self.actions, most);
        super::scratch::reserve(&mut self.steps, most);
        super::scratch::reserve(&mut self.maps, Self::most_maps(operations, bands));
    }

    /// Maps of any view of so many operations and bands, at most.
    pub(super) fn most_maps(operations: usize, bands: usize) -> usize {
        (8 * operations + 8) * bands
    }

    pub(super) fn table(&self, table: usize) -> &[Affine] {
        &self.maps[table * self.bands..][..self.bands]
    }

    pub(super) fn table_mut(&mut self, table: usize) -> &mut [Affine] {
        &mut self.maps[table * self.bands..][..self.bands]
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.actions.capacity() * size_of::<Action>()
            + self.steps.capacity() * size_of::<Step>()
            + self.maps.capacity() * size_of::<Affine>()
    }

    /// Draws the operations of one view.
    ///
    /// `normalise` is the first map of every band; `means` gives the means of the bands of the resampled
    /// view before it, into a slice of one value a band. `takes_blur` says of a blur's radius whether the resampling can
    /// take it in.
    pub(super) fn draw(
        &mut self,
        stages: &[Stage],
        key: ViewKey,
        side: usize,
        normalise: impl Iterator<Item = Affine>,
        means: impl FnMut(&mut [Affine]),
        takes_blur: impl Fn(usize) -> bool,
    ) {
        self.actions.clear();
        self.steps.clear();
        self.maps.clear();
        self.blur = None;
        self.maps.extend(normalise);
        self.bands = self.maps.len();
        let mut draft = Draft::new(self, means, takes_blur);
        for (number, stage) in stages.iter().enumerate() {
            match stage {
                Stage::Values(op_number, op) => draft.values(op, OpKey::new(key, *op_number), side),
                Stage::Reframe(_) | Stage::Custom(_) => draft.whole(number),
            }
        }
        draft.finish();
    }
}
