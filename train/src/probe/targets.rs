//! What a probe predicts, and for which rows of the store it is known.

use chipmill_schemas::label::{LabelSet, Nomenclature};
use chipmill_schemas::patch::PatchRow;
use chipmill_schemas::task::{Membership, Task, TaskError};

/// What a probe predicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// One of a task's classes a patch; multinomial logistic regression.
    Task(Task),
    /// Any number of labels a patch; one logistic regression a class.
    Labels(Nomenclature),
}

impl ProbeTarget {
    /// The task's name, or `labels-19` / `labels-43`; the stem of the result's file.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Task(task) => task.name.clone(),
            Self::Labels(nomenclature) => format!("labels-{nomenclature}"),
        }
    }

    /// Class names in order.
    #[must_use]
    pub fn classes(&self) -> Vec<String> {
        match self {
            Self::Task(task) => task.class_names().map(str::to_owned).collect(),
            Self::Labels(nomenclature) => nomenclature.classes().map(str::to_owned).collect(),
        }
    }

    /// The labels that it speaks of.
    #[must_use]
    pub fn nomenclature(&self) -> Nomenclature {
        match self {
            Self::Task(task) => task.nomenclature,
            Self::Labels(nomenclature) => *nomenclature,
        }
    }
}

/// The true classes, in the order of [`TargetRows::rows`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// One class a row.
    Single(Vec<usize>),
    /// A set of classes a row, possibly empty.
    Multi(Vec<LabelSet>),
}

impl Truth {
    /// Whether row `i` has class `class`.
    #[must_use]
    pub fn has(&self, i: usize, class: usize) -> bool {
        match self {
            Self::Single(truth) => truth[i] == class,
            Self::Multi(truth) => truth[i].contains(class),
        }
    }

    /// The classes of row `i`.
    #[must_use]
    pub fn classes(&self, i: usize) -> LabelSet {
        match self {
            Self::Single(truth) => std::iter::once(truth[i]).collect(),
            Self::Multi(truth) => truth[i],
        }
    }
}

/// The store's rows that a target is known for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetRows {
    /// Row numbers in the store, ascending.
    pub rows: Vec<u32>,
    /// Their classes.
    pub truth: Truth,
    /// Rows left out: two or more of the task's classes.
    pub several: u64,
    /// Rows left out: labels unknown.
    pub unknown: u64,
}

impl TargetRows {
    /// Sorts out a store's table.
    ///
    /// # Errors
    /// [`TaskError`] when a label of the task does not exist.
    pub fn of(table: &[PatchRow], target: &ProbeTarget) -> Result<Self, TaskError> {
        match target {
            ProbeTarget::Task(task) => Self::of_task(table, task),
            ProbeTarget::Labels(nomenclature) => Ok(Self::of_labels(table, *nomenclature)),
        }
    }

    fn of_task(table: &[PatchRow], task: &Task) -> Result<Self, TaskError> {
        let compiled = task.compile()?;
        let (mut rows, mut truth, mut several, mut unknown) = (Vec::new(), Vec::new(), 0, 0);
        for (i, row) in (0u32..).zip(table) {
            match compiled.membership(row) {
                Membership::Class(class) => {
                    rows.push(i);
                    truth.push(class);
                }
                Membership::Several => several += 1,
                Membership::Unknown => unknown += 1,
                Membership::Outside => {}
            }
        }
        Ok(Self {
            rows,
            truth: Truth::Single(truth),
            several,
            unknown,
        })
    }

    fn of_labels(table: &[PatchRow], nomenclature: Nomenclature) -> Self {
        let known = (0u32..)
            .zip(table)
            .filter_map(|(i, row)| Some((i, row.labels(nomenclature)?)));
        let (rows, truth): (Vec<u32>, Vec<LabelSet>) = known.unzip();
        let unknown = (table.len() - rows.len()) as u64;
        Self {
            rows,
            truth: Truth::Multi(truth),
            several: 0,
            unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<PatchRow> {
        let labels = [
            Some(vec!["Airports", "Pastures"]),
            None,
            Some(vec!["Airports", "Dump sites"]),
            Some(vec!["Pastures"]),
            Some(vec!["Dump sites"]),
        ];
        let set = |names: Vec<&str>| -> LabelSet {
            let index = |n| Nomenclature::Clc43.index_of(n).unwrap();
            names.into_iter().map(index).collect()
        };
        let row = |(v, names): (usize, Option<Vec<&str>>)| PatchRow {
            labels_43: names.map(set),
            ..PatchRow::from_id(format!("S2A_MSIL2A_20170617T113321_4_{v}").parse().unwrap())
        };
        labels.into_iter().enumerate().map(row).collect()
    }

    #[test]
    fn a_task_takes_rows_with_exactly_one_class_and_counts_the_others() {
        let rows = TargetRows::of(&table(), &ProbeTarget::Task(Task::notes4())).unwrap();
        assert_eq!(rows.rows, [0, 4]);
        assert_eq!(rows.truth, Truth::Single(vec![0, 3]));
        assert_eq!((rows.several, rows.unknown), (1, 1));
    }

    #[test]
    fn labels_take_every_row_whose_labels_are_known() {
        let target = ProbeTarget::Labels(Nomenclature::Clc43);
        let rows = TargetRows::of(&table(), &target).unwrap();
        assert_eq!(rows.rows, [0, 2, 3, 4]);
        assert_eq!((rows.several, rows.unknown), (0, 1));
        let airports = Nomenclature::Clc43.index_of("Airports").unwrap();
        let has: Vec<bool> = (0..4).map(|i| rows.truth.has(i, airports)).collect();
        assert_eq!(has, [true, true, false, false]);
        let none = TargetRows::of(&table(), &ProbeTarget::Labels(Nomenclature::Nineteen)).unwrap();
        assert_eq!((none.rows.len(), none.unknown), (0, 5));
    }

    #[test]
    fn names_are_those_of_the_result_files() {
        assert_eq!(ProbeTarget::Task(Task::notes4()).name(), "notes4");
        let labels = ProbeTarget::Labels(Nomenclature::Nineteen);
        assert_eq!(
            (labels.name().as_str(), labels.classes().len()),
            ("labels-19", 19)
        );
    }
}
