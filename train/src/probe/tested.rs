//! What an encoder makes of the probe's test rows, for pictures of it: maps and neighbours. No score is
//! computed here.

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::probe::ProbeConfig;

use super::fair::Division;
use super::run::Probe;
use super::targets::ProbeTarget;
use crate::device::parse_device;
use crate::error::TrainError;
use crate::features::{Features, trained_encoder};
use crate::run_dir::RunDir;

/// The test rows of a probe, with their classes and features.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Rows of the store, ascending.
    pub rows: Vec<u32>,
    /// Their classes, by number in [`ProbeTarget::classes`]: one of a task's, any number of labels.
    pub classes: Vec<LabelSet>,
    /// Their features, in the order of `rows`, not standardised.
    pub features: Features,
}

impl Probe<'_> {
    /// Features of the rows that the probe tests on: by the run's newest checkpoint, or, of a run that
    /// trains nothing, by the encoder that [`Probe::score_untrained`] scores.
    ///
    /// # Errors
    /// As [`Probe::score`].
    pub fn tested(&self, target: &ProbeTarget, config: &ProbeConfig) -> Result<Tested, TrainError> {
        config.validate()?;
        let run = RunDir::open(self.run)?;
        let pretrain = run.config()?;
        let device = parse_device(self.device)?;
        let division = Division::of(&self.store.table().to_rows(), target, config)?;
        let extraction = self.extraction(&pretrain, config, &device);
        let trains_nothing = run.status()?.is_some_and(|status| status.max_steps == 0);
        let encoder = if trains_nothing {
            extraction.random_encoder(&division.train_rows())?
        } else {
            trained_encoder(&run, &pretrain, &device)?.0
        };
        let (rows, classes) = division.tested();
        Ok(Tested {
            features: extraction.features(&encoder, &rows)?,
            rows,
            classes,
        })
    }
}

impl Tested {
    /// The `count` rows nearest to row `i` of these by the cosine of their features, itself left out:
    /// places in `rows`, and cosines. Of equal ones the earlier.
    #[must_use]
    pub fn nearest(&self, i: usize, count: usize) -> Vec<(usize, f64)> {
        let query = self.features.row(i);
        let others = (0..self.rows.len()).filter(|&j| j != i);
        let mut found: Vec<(usize, f64)> = others
            .map(|j| (j, cosine(query, self.features.row(j))))
            .collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        found.truncate(count);
        found
    }
}

/// 0 where either is zero.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let product = |(x, y): (&f32, &f32)| f64::from(*x) * f64::from(*y);
        a.iter().zip(b).map(product).sum()
    };
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_come_nearest_first_without_the_row_itself() {
        let tested = Tested {
            rows: vec![3, 5, 8, 9],
            classes: vec![LabelSet::default(); 4],
            features: Features {
                dim: 2,
                values: vec![1.0, 0.0, 0.0, 2.0, 9.0, 1.0, 5.0, 0.0],
            },
        };
        let nearest = tested.nearest(0, 2);
        assert_eq!(nearest[0], (3, 1.0));
        assert_eq!(nearest[1].0, 2);
        assert!((nearest[1].1 - 9.0 / 82f64.sqrt()).abs() < 1e-12);
        assert_eq!(tested.nearest(0, 9).len(), 3);
    }
}
