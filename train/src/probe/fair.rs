//! One division of rows for every line of a probe's table.

use chipmill_schemas::label::LabelSet;
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::probe::{Choose, ProbeConfig, ProbeSplit, RowCounts};
use ndarray::Array2;

use super::ProbeError;
use super::methods::Trial;
use super::split::{Parts, SplitError, SplitRow, divide};
use super::targets::{ProbeTarget, TargetRows, Truth};

/// The rows of a probe, divided.
#[derive(Debug, Clone)]
pub(super) struct Division {
    rows: TargetRows,
    parts: Parts,
    classes: usize,
    /// Rows that settings are chosen with; `None` where they are fixed.
    trial: Option<Trial>,
    /// Positions of the rows that features are needed for, ascending.
    used: Vec<usize>,
}

/// Features of the rows that are used.
#[derive(Debug, Clone)]
pub(super) struct Table<'a> {
    /// Their positions, ascending.
    used: &'a [usize],
    dim: usize,
    /// `[row, feature]`, row-major.
    values: Vec<f32>,
}

impl Table<'_> {
    /// Features of some of the rows, `[row, feature]`, in the order asked for.
    pub(super) fn part(&self, positions: &[usize]) -> Array2<f64> {
        let mut out = Array2::zeros((positions.len(), self.dim));
        for (mut row, position) in out.rows_mut().into_iter().zip(positions) {
            let at = self.used.partition_point(|used| used < position) * self.dim;
            let values = &self.values[at..at + self.dim];
            row.iter_mut()
                .zip(values)
                .for_each(|(to, &from)| *to = f64::from(from));
        }
        out
    }
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
        let trial = trial(&parts, &looked_at, config)?;
        let chosen_on = trial.as_ref().map_or(&[][..], |trial| &trial.judge[..]);
        let mut used = [&parts.train[..], &parts.test[..], chosen_on].concat();
        used.sort_unstable();
        // Rows held out of the train rows are train rows.
        used.dedup();
        let division = Self {
            classes: target.classes().len(),
            rows,
            parts,
            trial,
            used,
        };
        division.check_classes(target)?;
        Ok(division)
    }

    /// A task whose class cannot be learnt is no task; of many labels, some may be absent.
    fn check_classes(&self, target: &ProbeTarget) -> Result<(), ProbeError> {
        let absent = self.absent(target, &self.parts.train);
        if matches!(self.rows.truth, Truth::Multi(_)) {
            if !absent.is_empty() {
                tracing::warn!(classes = absent, "no train row has these labels");
            }
            return Ok(());
        }
        if !absent.is_empty() {
            return Err(ProbeError::ClassWithoutTrainRow {
                target: target.name(),
                classes: absent,
                train: self.parts.train.len(),
            });
        }
        let Some(trial) = &self.trial else {
            return Ok(());
        };
        let absent = self.absent(target, &trial.fit);
        if absent.is_empty() {
            return Ok(());
        }
        Err(ProbeError::ClassHeldOut {
            target: target.name(),
            classes: absent,
            rows: trial.fit.len(),
        })
    }

    /// Names of the classes that none of some rows has.
    fn absent(&self, target: &ProbeTarget, positions: &[usize]) -> String {
        let has_row = |class: usize| positions.iter().any(|&i| self.rows.truth.has(i, class));
        let names = target.classes().into_iter().enumerate();
        let absent: Vec<String> = names
            .filter(|(class, _)| !has_row(*class))
            .map(|(_, name)| name)
            .collect();
        absent.join(", ")
    }

    pub(super) const fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(super) const fn trial(&self) -> Option<&Trial> {
        self.trial.as_ref()
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

    /// Features of [`Self::used_rows`], `[row, dim]`, row-major.
    pub(super) fn table(&self, dim: usize, values: Vec<f32>) -> Table<'_> {
        Table {
            used: &self.used,
            dim,
            values,
        }
    }

    /// The class of each of some positions, of a target of one class a row.
    pub(super) fn single_truth(&self, positions: &[usize]) -> Vec<usize> {
        let class = |&i: &usize| (0..self.classes).find(|&k| self.rows.truth.has(i, k));
        positions.iter().filter_map(class).collect()
    }

    /// `[row, class]` for some positions.
    pub(super) fn truth(&self, positions: &[usize]) -> Array2<bool> {
        let has = |(i, k): (usize, usize)| self.rows.truth.has(positions[i], k);
        Array2::from_shape_fn((positions.len(), self.classes), has)
    }
}

/// Rows to choose settings with, where they are not fixed.
fn trial(
    parts: &Parts,
    rows: &[SplitRow<'_>],
    config: &ProbeConfig,
) -> Result<Option<Trial>, ProbeError> {
    match config.choose {
        Choose::Fixed => Ok(None),
        Choose::Validation if parts.validation.is_empty() => Err(ProbeError::NoValidationRows {
            split: config.split.name(),
        }),
        Choose::Validation => Ok(Some(Trial {
            fit: parts.train.clone(),
            judge: parts.validation.clone(),
        })),
        Choose::Holdout => {
            let train: Vec<SplitRow<'_>> = parts.train.iter().map(|&i| rows[i]).collect();
            let split = match config.split {
                ProbeSplit::Official => ProbeSplit::Stratified,
                other => other,
            };
            let held = divide(&train, split, config.seed).map_err(ProbeError::Holdout)?;
            let positions = |part: Vec<usize>| part.into_iter().map(|i| parts.train[i]).collect();
            Ok(Some(Trial {
                fit: positions(held.train),
                judge: positions(held.test),
            }))
        }
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
