//! Classifiers of a division's rows: fitted on the train rows, their settings fixed or chosen on rows
//! that are not tested on.

use chipmill_schemas::probe::{Chosen, ProbeConfig};
use ndarray::{Array2, Axis};

use super::ProbeError;
use super::fair::{Division, Table};
use super::judged::Judged;
use super::knn;
use super::linear::{FitError, Linear, Standardiser, best_classes};

/// Above it a label counts as predicted.
const THRESHOLD: f64 = 0.5;

/// A classifier's predictions on the test rows.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) judged: Judged,
    /// How its settings were found, where they were not fixed.
    pub(super) chosen: Option<Chosen>,
}

impl From<Judged> for Found {
    fn from(judged: Judged) -> Self {
        Self {
            judged,
            chosen: None,
        }
    }
}

/// Rows that settings are chosen with: fitted on some, scored on others, none of them test rows.
/// Positions in the division's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trial {
    pub(super) fit: Vec<usize>,
    pub(super) judge: Vec<usize>,
}

/// Features and positions of rows.
struct Part<'a> {
    features: Array2<f64>,
    at: &'a [usize],
}

impl Division {
    /// Logistic regression on features standardised on the rows it is fitted on: the softmax for rows
    /// of one class, one regression a class for rows of many labels.
    pub(super) fn linear(
        &self,
        table: &Table<'_>,
        config: &ProbeConfig,
    ) -> Result<Found, ProbeError> {
        if !self.is_single_label() {
            return self.one_vs_rest(table, config);
        }
        self.regression(table, config, |fit, on, c| {
            let truth = self.single_truth(fit.at);
            let fitted = Linear::multinomial(fit.features.view(), &truth, self.classes(), c)?;
            let predicted = fitted.predict(on.features.view());
            Ok(self.single(on.at, predicted))
        })
    }

    /// One logistic regression a class on standardised features; of rows of one class the most probable
    /// class wins, which is the notes' form.
    pub(super) fn one_vs_rest(
        &self,
        table: &Table<'_>,
        config: &ProbeConfig,
    ) -> Result<Found, ProbeError> {
        self.regression(table, config, |fit, on, c| {
            let truth = self.truth(fit.at);
            let fitted = Linear::one_vs_rest(fit.features.view(), truth.view(), c)?;
            Ok(self.judged(on.at, &fitted.probabilities(on.features.view())))
        })
    }

    /// Weighted nearest neighbours by cosine of the features as they are.
    pub(super) fn neighbours(
        &self,
        table: &Table<'_>,
        config: &ProbeConfig,
    ) -> Result<Found, ProbeError> {
        let fixed = (config.neighbours, config.knn_temperature);
        let with = |count| ProbeConfig::KNN_TEMPERATURE_GRID.map(|t| (count, t));
        let grid: Vec<(u32, f64)> = ProbeConfig::NEIGHBOURS_GRID
            .into_iter()
            .flat_map(with)
            .collect();
        self.choose(fixed, &grid, of_neighbours, |settings, fit, on| {
            let truth = self.truth(fit).mapv(|t| f64::from(u8::from(t)));
            let (train, rows) = (table.part(fit), table.part(on));
            let votes = knn::votes_for_each(train.view(), truth.view(), rows.view(), settings);
            Ok(votes.iter().map(|votes| self.judged(on, votes)).collect())
        })
    }

    /// Every test row is given the classes' shares of the train rows.
    pub(super) fn majority(&self) -> Judged {
        let [train, test] = [&self.parts().train, &self.parts().test];
        let truth = self.truth(train).mapv(|t| f64::from(u8::from(t)));
        let shares = truth.sum_axis(Axis(0)) / train.len() as f64;
        let shape = (test.len(), self.classes());
        self.judged(test, &Array2::from_shape_fn(shape, |(_, k)| shares[k]))
    }

    fn regression(
        &self,
        table: &Table<'_>,
        config: &ProbeConfig,
        fitted: impl Fn(&Part<'_>, &Part<'_>, f64) -> Result<Judged, FitError>,
    ) -> Result<Found, ProbeError> {
        self.choose(
            config.c,
            &ProbeConfig::C_GRID,
            of_strength,
            |strengths, fit, on| {
                let train = table.part(fit);
                let standardiser = Standardiser::fit(train.view());
                let part = |features: Array2<f64>, at| Part {
                    features: standardiser.apply(features.view()),
                    at,
                };
                let (fit, on) = (part(train, fit), part(table.part(on), on));
                strengths.iter().map(|&c| fitted(&fit, &on, c)).collect()
            },
        )
    }

    /// Fits on the train rows with settings that are fixed, or, where rows were set aside for that, the
    /// first of a grid with the largest headline score on those; then predicts the test rows, once.
    fn choose<S: Copy>(
        &self,
        fixed: S,
        grid: &[S],
        told: impl Fn(S) -> Chosen,
        predicted: impl Fn(&[S], &[usize], &[usize]) -> Result<Vec<Judged>, FitError>,
    ) -> Result<Found, ProbeError> {
        let (mut settings, mut chosen) = (fixed, None);
        if let Some(trial) = self.trial() {
            let candidates = predicted(grid, &trial.fit, &trial.judge)?;
            let mut best = f64::NEG_INFINITY;
            for (&candidate, judged) in grid.iter().zip(&candidates) {
                let score = judged.plain().headline();
                if score > best {
                    (best, settings) = (score, candidate);
                }
            }
            chosen = Some(Chosen {
                rows: trial.judge.len() as u64,
                score: best,
                ..told(settings)
            });
        }
        let parts = self.parts();
        let mut judged = predicted(&[settings], &parts.train, &parts.test)?;
        Ok(Found {
            judged: judged.swap_remove(0),
            chosen,
        })
    }

    fn judged(&self, at: &[usize], scores: &Array2<f64>) -> Judged {
        if self.is_single_label() {
            self.single(at, best_classes(scores.view()))
        } else {
            Judged::multi(self.truth(at), scores, THRESHOLD)
        }
    }

    fn single(&self, at: &[usize], predicted: Vec<usize>) -> Judged {
        Judged::single(self.single_truth(at), predicted, self.classes())
    }
}

fn of_strength(c: f64) -> Chosen {
    Chosen {
        c: Some(c),
        ..Chosen::default()
    }
}

fn of_neighbours((neighbours, temperature): (u32, f64)) -> Chosen {
    Chosen {
        neighbours: Some(neighbours),
        knn_temperature: Some(temperature),
        ..Chosen::default()
    }
}
