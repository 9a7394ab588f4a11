//! One division of rows, one solver and one strength for every line of a probe's table.

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::probe::{ProbeConfig, ProbeSplit, RowCounts, Scores};
use ndarray::{Array2, Axis};

use super::ProbeError;
use super::linear::{Linear, Standardiser, best_classes};
use super::split::{Parts, SplitError, SplitRow, divide};
use super::targets::{ProbeTarget, TargetRows, Truth};
use super::{knn, scores};

/// Above it a label counts as predicted.
const THRESHOLD: f64 = 0.5;

/// The rows of a probe, divided.
#[derive(Debug, Clone)]
pub(super) struct Division {
    rows: TargetRows,
    parts: Parts,
    classes: usize,
    /// Positions of train and test rows, ascending: the rows that features are needed for.
    used: Vec<usize>,
}

/// Features of the train and the test rows, `[row, feature]`.
#[derive(Debug, Clone)]
pub(super) struct Table {
    train: Array2<f64>,
    test: Array2<f64>,
}

impl Division {
    /// Divides the rows of a store that a target is known for.
    pub(super) fn of(
        table: &[PatchRow],
        target: &ProbeTarget,
        config: &ProbeConfig,
    ) -> Result<Self, ProbeError> {
        check_name(target.name())?;
        let rows = TargetRows::of(table, target)?;
        if rows.rows.is_empty() {
            return Err(nothing_known(table, target, &rows));
        }
        let looked_at: Vec<SplitRow<'_>> = (0..rows.rows.len())
            .filter_map(|i| Some(split_row(table.get(rows.rows[i] as usize)?, &rows.truth, i)))
            .collect();
        let parts = divide(&looked_at, config.split, config.seed)
            .map_err(|e| without_split(e, config.split, &looked_at))?;
        let mut used = [&parts.train[..], &parts.test[..]].concat();
        used.sort_unstable();
        let division = Self {
            classes: target.classes().len(),
            rows,
            parts,
            used,
        };
        division.check_classes(target)?;
        Ok(division)
    }

    /// A task whose class cannot be learnt is no task; of many labels, some may be absent.
    fn check_classes(&self, target: &ProbeTarget) -> Result<(), ProbeError> {
        let names = target.classes();
        let has_row = |class: usize| {
            self.parts
                .train
                .iter()
                .any(|&i| self.rows.truth.has(i, class))
        };
        let absent: Vec<&str> = (0..self.classes)
            .filter(|&class| !has_row(class))
            .map(|class| names[class].as_str())
            .collect();
        if absent.is_empty() {
            return Ok(());
        }
        if matches!(self.rows.truth, Truth::Multi(_)) {
            tracing::warn!(classes = absent.join(", "), "no train row has these labels");
            return Ok(());
        }
        Err(ProbeError::ClassWithoutTrainRow {
            target: target.name(),
            classes: absent.join(", "),
            train: self.parts.train.len(),
        })
    }

    pub(super) fn counts(&self) -> RowCounts {
        RowCounts {
            train: self.parts.train.len() as u64,
            validation: self.parts.validation.len() as u64,
            test: self.parts.test.len() as u64,
            several_classes: self.rows.several,
            unknown: self.rows.unknown + self.parts.unknown.len() as u64,
        }
    }

    /// Whether each row has exactly one class.
    pub(super) fn is_single_label(&self) -> bool {
        matches!(self.rows.truth, Truth::Single(_))
    }

    /// Rows of the store that features are needed for, ascending.
    pub(super) fn used_rows(&self) -> Vec<u32> {
        self.used.iter().map(|&i| self.rows.rows[i]).collect()
    }

    /// Train rows of the store, ascending.
    pub(super) fn train_rows(&self) -> Vec<u32> {
        let row = |&i: &usize| self.rows.rows[i];
        self.parts.train.iter().map(row).collect()
    }

    pub(super) const fn classes(&self) -> usize {
        self.classes
    }

    /// 1 for the classes of some rows of the store, else 0: `[row, class]`, row-major. Rows that the
    /// target is not known for have none.
    pub(super) fn indicators(&self, rows: &[u32]) -> Vec<f32> {
        let known = |row: &u32| self.rows.rows.binary_search(row).ok();
        let has = |row, class| known(row).is_some_and(|i| self.rows.truth.has(i, class));
        let one = |row| (0..self.classes).map(move |class| f32::from(u8::from(has(row, class))));
        rows.iter().flat_map(one).collect()
    }

    /// Test rows of the store, ascending, and their classes.
    pub(super) fn tested(&self) -> (Vec<u32>, Vec<LabelSet>) {
        let of = |&i: &usize| (self.rows.rows[i], self.rows.truth.classes(i));
        self.parts.test.iter().map(of).unzip()
    }

    /// Sorts features of [`Self::used_rows`], `[row, dim]`, into train and test.
    pub(super) fn table(&self, dim: usize, values: &[f32]) -> Table {
        let part = |positions: &[usize]| {
            let mut out = Array2::zeros((positions.len(), dim));
            for (mut row, position) in out.rows_mut().into_iter().zip(positions) {
                let at = self.used.partition_point(|used| used < position) * dim;
                row.iter_mut()
                    .zip(&values[at..at + dim])
                    .for_each(|(to, &from)| *to = f64::from(from));
            }
            out
        };
        Table {
            train: part(&self.parts.train),
            test: part(&self.parts.test),
        }
    }

    /// Logistic regression on features standardised on the train rows.
    pub(super) fn linear(&self, table: &Table, c: f64) -> Result<Scores, ProbeError> {
        let Truth::Single(truth) = &self.rows.truth else {
            return self.one_vs_rest(table, c);
        };
        let standardiser = Standardiser::fit(table.train.view());
        let train = standardiser.apply(table.train.view());
        let test = standardiser.apply(table.test.view());
        let truth: Vec<usize> = self.parts.train.iter().map(|&i| truth[i]).collect();
        let fitted = Linear::multinomial(train.view(), &truth, self.classes, c)?;
        Ok(self.single(&fitted.predict(test.view())))
    }

    /// One logistic regression a class on standardised features, the most probable class wins: the
    /// notes' form for rows of one class. Rows of many labels have no other form than this one.
    pub(super) fn one_vs_rest(&self, table: &Table, c: f64) -> Result<Scores, ProbeError> {
        let standardiser = Standardiser::fit(table.train.view());
        let train = standardiser.apply(table.train.view());
        let test = standardiser.apply(table.test.view());
        let truth = self.truth(&self.parts.train);
        let fitted = Linear::one_vs_rest(train.view(), truth.view(), c)?;
        Ok(self.scored(&fitted.probabilities(test.view())))
    }

    /// Weighted nearest neighbours by cosine of the features as they are.
    pub(super) fn neighbours(&self, table: &Table, config: &ProbeConfig) -> Scores {
        let votes = knn::votes(
            table.train.view(),
            self.truth(&self.parts.train)
                .mapv(|t| f64::from(u8::from(t)))
                .view(),
            table.test.view(),
            config.neighbours as usize,
            config.knn_temperature,
        );
        self.scored(&votes)
    }

    /// Every test row is given the classes' shares of the train rows.
    pub(super) fn majority(&self) -> Scores {
        let truth = self
            .truth(&self.parts.train)
            .mapv(|t| f64::from(u8::from(t)));
        let shares = truth.sum_axis(Axis(0)) / self.parts.train.len() as f64;
        let rows = self.parts.test.len();
        let everywhere = Array2::from_shape_fn((rows, self.classes), |(_, k)| shares[k]);
        self.scored(&everywhere)
    }

    fn scored(&self, scores: &Array2<f64>) -> Scores {
        if self.is_single_label() {
            self.single(&best_classes(scores.view()))
        } else {
            self.multi(scores)
        }
    }

    fn single(&self, predicted: &[usize]) -> Scores {
        let class = |i: usize| (0..self.classes).find(|&k| self.rows.truth.has(i, k));
        let truth: Vec<usize> = self.parts.test.iter().filter_map(|&i| class(i)).collect();
        Scores::SingleLabel(scores::single_label(&truth, predicted, self.classes))
    }

    fn multi(&self, given: &Array2<f64>) -> Scores {
        let truth = self.truth(&self.parts.test);
        Scores::MultiLabel(scores::multi_label(truth.view(), given.view(), THRESHOLD))
    }

    /// `[row, class]` for some positions.
    fn truth(&self, positions: &[usize]) -> Array2<bool> {
        let has = |(i, k): (usize, usize)| self.rows.truth.has(positions[i], k);
        Array2::from_shape_fn((positions.len(), self.classes), has)
    }
}

fn split_row<'a>(row: &'a PatchRow, truth: &Truth, i: usize) -> SplitRow<'a> {
    SplitRow {
        official: row.split,
        tile: row.tile.as_deref(),
        stratum: match truth {
            Truth::Single(classes) => classes[i] as u64,
            Truth::Multi(labels) => {
                let LabelSet(bits) = labels[i];
                bits
            }
        },
    }
}

/// Names of tasks come from files; none may lead out of the run folder.
fn check_name(name: String) -> Result<(), ProbeError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if !name.is_empty() && name.bytes().all(plain) {
        Ok(())
    } else {
        Err(ProbeError::Name { name })
    }
}

fn nothing_known(table: &[PatchRow], target: &ProbeTarget, rows: &TargetRows) -> ProbeError {
    if rows.unknown == table.len() as u64 {
        ProbeError::NoLabels {
            nomenclature: target.nomenclature(),
            patches: table.len(),
        }
    } else {
        ProbeError::NoRows {
            target: target.name(),
            patches: table.len(),
            several: rows.several,
            unknown: rows.unknown,
        }
    }
}

/// A store without any official split, as v1 is without its lists, has a remedy of its own.
fn without_split(error: SplitError, split: ProbeSplit, rows: &[SplitRow<'_>]) -> ProbeError {
    if split == ProbeSplit::Official && rows.iter().all(|r| r.official.is_none()) {
        ProbeError::NoOfficialSplit { rows: rows.len() }
    } else {
        ProbeError::Split(error)
    }
}
