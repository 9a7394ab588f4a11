//! The drawing of a program: what is put together, and where a pass ends.

use chipmill_schemas::augment::{Border, Chance, ColorModel, Jitter};

use super::{Action, Pass, Program, Source, Step};
use crate::augment::ops::blur::{self, HalfKernel};
use crate::augment::ops::jitter::{Drawn, Step as Jittering};
use crate::augment::ops::pointwise::UNLIMITED;
use crate::augment::ops::{Photometric, band_drop, noise};
use crate::augment::resample::Affine;
use crate::rng::OpKey;

/// A program being drawn, operation by operation.
pub(super) struct Draft<'a, M, B> {
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
    takes_blur: B,
    /// Everything so far was an affine map of each band.
    is_linear: bool,
}

impl<'a, M: FnMut(&mut [Affine]), B: Fn(usize) -> bool> Draft<'a, M, B> {
    /// Of a program that has nothing but its first table.
    pub(super) fn new(program: &'a mut Program, means: M, takes_blur: B) -> Self {
        Self {
            program,
            source: Source::Native { table: 0 },
            first_step: 0,
            pass_is_gray: false,
            gray: false,
            pending: Some(0),
            contrast: None,
            means,
            takes_blur,
            is_linear: true,
        }
    }

    pub(super) fn values(&mut self, op: &Photometric, key: OpKey, side: usize) {
        match op {
            Photometric::Jitter(jitter) => self.jitter(jitter, key),
            Photometric::GaussianBlur(config) => {
                if let Some(sigma) = blur::sigma(config, key) {
                    self.blur(HalfKernel::new(sigma, blur::radius(side), config.border));
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

    /// A blur that mirrors changes places with affine maps: what is beyond the border is mapped as well, and weights add
    /// up to 1.
    fn blur(&mut self, kernel: HalfKernel) {
        let is_early = self.is_linear && kernel.border() == Border::Reflect;
        if is_early && (self.takes_blur)(kernel.radius()) {
            self.program.blur = Some(kernel);
        } else {
            self.next_pass(Source::Blur(kernel));
        }
        self.is_linear = false;
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
    pub(super) fn whole(&mut self, stage: usize) {
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

    pub(super) fn finish(&mut self) {
        self.flush();
        self.close(None, true);
    }
}
