//! The operations of a configuration, checked and put into stages.

use chipmill_schemas::augment::Augment;

use super::check;
use super::custom::Custom;
use super::error::AugmentError;
use super::frame::{Geometric, GeometricRun};
use super::ops::Photometric;

/// One step of [`Graph`] after the pixels have been brought to the view.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    /// Geometric operations on the view.
    Reframe(GeometricRun),
    /// An operation on values, and its number in the configuration.
    Values(u32, Photometric),
    /// A custom operation, by its number among those.
    Custom(usize),
}

/// The operations in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Graph {
    /// Geometric operations that come first: done in one resampling from the native rasters.
    pub(super) source: GeometricRun,
    /// Everything after them.
    pub(super) stages: Vec<Stage>,
}

impl Graph {
    /// Checks the operations of a configuration, of views with so many bands.
    pub(super) fn check(operations: &[Augment], bands: usize) -> Result<(), AugmentError> {
        let mut all = operations.iter().enumerate();
        all.try_for_each(|(index, op)| check::operation(op, index, bands))
    }

    /// Operations of a configuration, and custom ones each before the operation of its place; those
    /// placed beyond the last come at the end.
    pub(super) fn new(operations: &[Augment], custom: &[Custom]) -> Self {
        let mut graph = Self::default();
        let end = operations.len();
        for (place, number) in (0..=end).zip(0_u32..) {
            for (index, custom) in custom.iter().enumerate() {
                if custom.before.min(end) == place {
                    graph.stages.push(Stage::Custom(index));
                }
            }
            match operations.get(place).map(kind) {
                Some(Kind::Geometric(op)) => graph.push_geometric(number, op),
                Some(Kind::Photometric(op)) => graph.stages.push(Stage::Values(number, op)),
                None => {}
            }
        }
        graph
    }

    /// Appends to the run that the operation follows on, unless that would give it a second zoom.
    fn push_geometric(&mut self, number: u32, op: Geometric) {
        let run = match self.stages.last_mut() {
            None => Some(&mut self.source),
            Some(Stage::Reframe(run)) => Some(run),
            Some(Stage::Values(..) | Stage::Custom(_)) => None,
        };
        let is_zoom = |op: &Geometric| matches!(op, Geometric::Zoom(_));
        match run {
            Some(run) if !(is_zoom(&op) && run.iter().any(|(_, op)| is_zoom(op))) => {
                run.push((number, op));
            }
            _ => self.stages.push(Stage::Reframe(vec![(number, op)])),
        }
    }
}

enum Kind {
    Geometric(Geometric),
    Photometric(Photometric),
}

fn kind(op: &Augment) -> Kind {
    match *op {
        Augment::FlipLeftRight(c) => Kind::Geometric(Geometric::FlipLeftRight(c.p)),
        Augment::FlipUpDown(c) => Kind::Geometric(Geometric::FlipUpDown(c.p)),
        Augment::Rot90(_) => Kind::Geometric(Geometric::Rot90),
        Augment::ZoomScale(zoom) => Kind::Geometric(Geometric::Zoom(zoom)),
        Augment::Jitter(jitter) => Kind::Photometric(Photometric::Jitter(jitter)),
        Augment::GaussianBlur(blur) => Kind::Photometric(Photometric::GaussianBlur(blur)),
        Augment::GaussianNoise(noise) => Kind::Photometric(Photometric::GaussianNoise(noise)),
        Augment::DropColor(chance) => Kind::Photometric(Photometric::DropColor(chance)),
        Augment::BandDrop(chance) => Kind::Photometric(Photometric::BandDrop(chance)),
        Augment::Clip(clip) => Kind::Photometric(Photometric::Clip(clip)),
    }
}
