//! What is to be done to one view: its draws, put into as few passes over its pixels as can be.
//!
//! - Affine steps in a row become one, and those that come first become part of the resampling's weights.
//!   The contrast among them needs the view's mean, which is known beforehand: a resampling is linear.
//! - Steps on single values, and on the bands at a pixel, share a pass. A blur, a contrast whose mean
//!   depends on what was clipped, and a geometric or custom operation each begin a new one.
//! - From where all bands are equal (`drop_color`) only one is worked on, until they differ again. As long
//!   as everything was linear, their mean is taken before they are resampled.

use std::ops::Range;

use chipmill_schemas::augment::{Chance, ColorModel, Jitter};

use super::graph::Stage;
use super::ops::blur::{self, HalfKernel};
use super::ops::jitter::{Drawn, Step as Jittering};
use super::ops::pointwise::UNLIMITED;
use super::ops::{Photometric, band_drop, noise};
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
    /// view before it, into a slice of one value a band.
    pub(super) fn draw(
        &mut self,
        stages: &[Stage],
        key: ViewKey,
        side: usize,
        normalise: impl Iterator<Item = Affine>,
        means: impl FnMut(&mut [Affine]),
    ) {
        self.actions.clear();
        self.steps.clear();
        self.maps.clear();
        self.maps.extend(normalise);
        self.bands = self.maps.len();
        let mut draft = Draft {
            program: self,
            source: Source::Native { table: 0 },
            first_step: 0,
            pass_is_gray: false,
            gray: false,
            pending: Some(0),
            contrast: None,
            means,
            is_linear: true,
        };
        for (number, stage) in stages.iter().enumerate() {
            match stage {
                Stage::Values(op_number, op) => draft.values(op, OpKey::new(key, *op_number), side),
                Stage::Reframe(_) | Stage::Custom(_) => draft.whole(number),
            }
        }
        draft.finish();
    }
}

struct Draft<'a, M> {
    program: &'a mut Program,
    /// Of the pass that is being made.
    source: Source,
    first_step: usize,
    pass_is_gray: bool,
    /// All bands are equal here, and only the first is kept.
    gray: bool,
    /// The table of the last map, while more can be folded into it.
    pending: Option<usize>,
    /// The table with the factors of a contrast that comes after that map, while the means are not asked for: those of
    /// a gray view are told on the way.
    contrast: Option<usize>,
    means: M,
    /// Everything so far was an affine map of each band.
    is_linear: bool,
}

impl<M: FnMut(&mut [Affine])> Draft<'_, M> {
    fn values(&mut self, op: &Photometric, key: OpKey, side: usize) {
        match op {
            Photometric::Jitter(jitter) => self.jitter(jitter, key),
            Photometric::GaussianBlur(config) => {
                if let Some(sigma) = blur::sigma(config, key) {
                    let kernel = HalfKernel::new(sigma, blur::radius(side), config.border);
                    self.next_pass(Source::Blur(kernel));
                    self.is_linear = false;
                }
            }
            Photometric::GaussianNoise(config) => {
                if noise::is_done(config, key) {
                    self.spread();
                    self.step(Step::Noise {
                        std: config.std,
                        key,
                    });
                }
            }
            Photometric::DropColor(Chance { p }) => {
                if key.stream(0).chance(*p) {
                    self.drop_color();
                }
            }
            Photometric::BandDrop(Chance { p }) => self.map(|band| {
                let gain = f32::from(u8::from(!band_drop::drops(*p, band, key)));
                Affine { gain, offset: 0.0 }
            }),
            Photometric::Clip(clip) => self.limit([clip.min, clip.max]),
        }
    }

    fn jitter(&mut self, jitter: &Jitter, key: OpKey) {
        let drawn = Drawn::new(jitter, key);
        let range = jitter.clip.unwrap_or(UNLIMITED);
        for step in drawn.steps() {
            let factor = |band| drawn.factor(step, band);
            match (step, jitter.model) {
                (Jittering::Brightness, _) | (Jittering::Hue, ColorModel::Bands) => {
                    self.map(|band| Affine {
                        gain: factor(band),
                        offset: 0.0,
                    });
                }
                (Jittering::Contrast, _) => self.contrast(factor),
                (Jittering::Saturation, ColorModel::Bands) => {
                    let factor = factor(0);
                    self.across(Step::Blend { factor, range });
                }
                (Jittering::Saturation, ColorModel::Hsv) => {
                    let factor = factor(0);
                    self.across(Step::Saturate { factor, range });
                }
                (Jittering::Hue, ColorModel::Hsv) => {
                    let turn = factor(0);
                    self.across(Step::Rotate { turn, range });
                }
            }
            if let Some(range) = jitter.clip {
                self.limit(range);
            }
        }
    }

    /// An affine map of each band.
    fn map(&mut self, map: impl Fn(usize) -> Affine) {
        if self.gray && (1..self.program.bands).any(|band| map(band) != map(0)) {
            self.spread();
        }
        self.resolve();
        let table = self.pending.unwrap_or_else(|| self.new_table());
        self.pending = Some(table);
        for (band, own) in self.program.table_mut(table).iter_mut().enumerate() {
            *own = own.then(map(band));
        }
    }

    fn new_table(&mut self) -> usize {
        let (table, bands) = (
            self.program.maps.len() / self.program.bands,
            self.program.bands,
        );
        let grown = (table + 1) * bands;
        self.program.maps.resize(grown, Affine::IDENTITY);
        table
    }

    /// `m + factor (x - m)`, with `m` the mean of each band.
    fn contrast(&mut self, factor: impl Fn(usize) -> f32) {
        self.resolve();
        if self.is_linear && self.pending.is_some() {
            let table = self.new_table();
            for (band, own) in self.program.table_mut(table).iter_mut().enumerate() {
                own.gain = factor(band);
            }
            self.contrast = Some(table);
            return;
        }
        if self.gray && (1..self.program.bands).any(|band| factor(band) != factor(0)) {
            self.spread();
        }
        self.flush();
        let table = self.new_table();
        for (band, own) in self.program.table_mut(table).iter_mut().enumerate() {
            own.gain = factor(band);
        }
        self.close(Some(table), false);
        self.open(Source::Planes);
        self.program.steps.push(Step::Map {
            table,
            range: UNLIMITED,
        });
        self.is_linear = false;
    }

    /// Folds the contrast that is left open into the map before it.
    fn resolve(&mut self) {
        let (Some(contrast), Some(pending)) = (self.contrast.take(), self.pending) else {
            return;
        };
        (self.means)(self.program.table_mut(contrast));
        for band in 0..self.program.bands {
            let own = self.program.table(pending)[band];
            let contrast = self.program.table(contrast)[band];
            self.program.table_mut(pending)[band] = own.contrasted(contrast);
        }
    }

    /// Limits, as part of the map that they follow where there is one.
    fn limit(&mut self, [low, high]: [f32; 2]) {
        self.flush();
        self.is_linear = false;
        match self.program.steps[self.first_step..].last_mut() {
            Some(Step::Map { range, .. } | Step::Limit(range)) => {
                // Limits of limits: each in turn, as they were given.
                *range = range.map(|x| x.max(low).min(high));
            }
            Some(
                Step::Blend { range, .. }
                | Step::Saturate { range, .. }
                | Step::Rotate { range, .. },
            ) if *range == [low, high] => {}
            _ => self.program.steps.push(Step::Limit([low, high])),
        }
    }

    /// A step on all bands at a pixel. Bands that are equal stay so, and stay what they are.
    fn across(&mut self, step: Step) {
        self.is_linear = false;
        if self.gray {
            return;
        }
        self.flush();
        if !matches!(self.source, Source::Planes) {
            self.next_pass(Source::Planes);
        }
        self.program.steps.push(step);
    }

    fn drop_color(&mut self) {
        if self.gray {
            return;
        }
        if self.is_linear
            && let Some(table) = self.pending.take()
        {
            self.program.actions.push(Action::GrayNative {
                table,
                contrast: self.contrast.take(),
                last: false,
            });
            self.gray = true;
            self.is_linear = false;
            self.open(Source::Planes);
            return;
        }
        self.across(Step::Gray);
        self.gray = true;
    }

    fn step(&mut self, step: Step) {
        self.flush();
        self.is_linear = false;
        self.program.steps.push(step);
    }

    /// Makes all bands exist again.
    fn spread(&mut self) {
        if self.gray {
            self.next_pass(Source::Planes);
            self.program.steps.push(Step::Spread);
            self.gray = false;
        }
    }

    /// An operation on the whole view.
    fn whole(&mut self, stage: usize) {
        self.spread();
        self.flush();
        self.close(None, false);
        self.program.actions.push(Action::Stage(stage));
        self.open(Source::Planes);
        self.is_linear = false;
    }

    /// Ends the folding of maps: what is pending becomes a step, if it is not part of the resampling.
    fn flush(&mut self) {
        self.resolve();
        let Some(pending) = self.pending.take() else {
            return;
        };
        let is_source = matches!(self.source, Source::Native { table } if table == pending);
        if !is_source {
            self.program.steps.push(Step::Map {
                table: pending,
                range: UNLIMITED,
            });
        }
    }

    fn next_pass(&mut self, source: Source) {
        self.flush();
        self.close(None, false);
        self.open(source);
    }

    fn open(&mut self, source: Source) {
        self.source = source;
        self.first_step = self.program.steps.len();
        self.pass_is_gray = self.gray;
    }

    fn close(&mut self, means: Option<usize>, last: bool) {
        let steps = self.first_step..self.program.steps.len();
        let is_idle = matches!(self.source, Source::Planes) && steps.is_empty();
        if is_idle && means.is_none() && !last {
            return;
        }
        if let Some(Action::GrayNative { last: is_last, .. }) = self.program.actions.last_mut()
            && is_idle
            && last
        {
            *is_last = true;
            return;
        }
        let pass = Pass {
            source: self.source,
            gray: self.pass_is_gray,
            across: self.program.steps[steps.clone()]
                .iter()
                .any(Step::is_across),
            steps,
            means,
            last,
        };
        self.program.actions.push(Action::Pass(pass));
    }

    fn finish(&mut self) {
        self.flush();
        self.close(None, true);
    }
}
