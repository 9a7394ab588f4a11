//! Tasks: labelled subsets with a single class a patch, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::label::{LabelSet, Nomenclature};
use crate::patch::PatchRow;

/// One class of a task: present when any of its labels is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TaskClass {
    /// Name shown in reports.
    pub name: String,
    /// Exact label names of the task's nomenclature.
    pub labels: Vec<String>,
}

/// A single-label task: the patches that carry exactly one of its classes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// Name, such as `notes4`.
    pub name: String,
    /// Which labels the classes speak of.
    pub nomenclature: Nomenclature,
    /// The classes; two or more.
    pub classes: Vec<TaskClass>,
}

/// What a task says of one patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// The labels are unknown.
    Unknown,
    /// None of the classes.
    Outside,
    /// Exactly this class.
    Class(usize),
    /// Two or more classes: counted, left out of the probe, and kept out of pretraining.
    Several,
}

/// A task is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// Fewer than two classes.
    #[error("task `{task}` has {found} class(es), expected two or more")]
    TooFewClasses {
        /// The task.
        task: String,
        /// How many it has.
        found: usize,
    },
    /// A label that the nomenclature does not have.
    #[error(
        "task `{task}`, class `{class}`: `{label}` is no class of the {nomenclature}-class \
         nomenclature; the nearest is `{nearest}`"
    )]
    UnknownLabel {
        /// The task.
        task: String,
        /// Its class.
        class: String,
        /// The text found.
        label: String,
        /// Where it was looked for.
        nomenclature: Nomenclature,
        /// The most similar known name.
        nearest: String,
    },
    /// Neither built in nor defined.
    #[error(
        "no task is named `{name}`; built in: {known}; others come from a TOML file (--task FILE.toml)"
    )]
    UnknownTask {
        /// The name asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
}

/// A task whose labels have been looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledTask {
    nomenclature: Nomenclature,
    classes: Vec<LabelSet>,
}

impl Task {
    /// The notes' four-class task. All four classes are among the 11 that the 19-class nomenclature
    /// dropped, so it needs 43-class labels.
    #[must_use]
    pub fn notes4() -> Self {
        let class = |name: &str, label: &str| TaskClass {
            name: name.to_owned(),
            labels: vec![label.to_owned()],
        };
        Self {
            name: "notes4".to_owned(),
            nomenclature: Nomenclature::Clc43,
            classes: vec![
                class("airports", "Airports"),
                class("bare_rock", "Bare rock"),
                class("burnt_areas", "Burnt areas"),
                class("dump_sites", "Dump sites"),
            ],
        }
    }

    /// The built-in task of that name.
    ///
    /// # Errors
    /// [`TaskError::UnknownTask`] with the names that exist.
    pub fn built_in(name: &str) -> Result<Self, TaskError> {
        match name {
            "notes4" => Ok(Self::notes4()),
            _ => Err(TaskError::UnknownTask {
                name: name.to_owned(),
                known: "notes4".to_owned(),
            }),
        }
    }

    /// Class names in order.
    pub fn class_names(&self) -> impl Iterator<Item = &str> {
        self.classes.iter().map(|c| c.name.as_str())
    }

    /// Looks every label up.
    ///
    /// # Errors
    /// [`TaskError`] for fewer than two classes or a label that does not exist.
    pub fn compile(&self) -> Result<CompiledTask, TaskError> {
        if self.classes.len() < 2 {
            return Err(TaskError::TooFewClasses {
                task: self.name.clone(),
                found: self.classes.len(),
            });
        }
        let classes = self
            .classes
            .iter()
            .map(|c| self.compile_class(c))
            .collect::<Result<_, _>>()?;
        Ok(CompiledTask {
            nomenclature: self.nomenclature,
            classes,
        })
    }

    fn compile_class(&self, class: &TaskClass) -> Result<LabelSet, TaskError> {
        let index = |label: &String| {
            self.nomenclature
                .index_of(label)
                .ok_or_else(|| TaskError::UnknownLabel {
                    task: self.name.clone(),
                    class: class.name.clone(),
                    label: label.clone(),
                    nomenclature: self.nomenclature,
                    nearest: crate::nearest(label, self.nomenclature.classes()).unwrap_or_default(),
                })
        };
        class.labels.iter().map(index).collect()
    }
}

impl CompiledTask {
    /// Where a patch stands.
    #[must_use]
    pub fn membership(&self, row: &PatchRow) -> Membership {
        let Some(labels) = row.labels(self.nomenclature) else {
            return Membership::Unknown;
        };
        let mut hits = (0..self.classes.len()).filter(|&c| self.classes[c].intersects(labels));
        match (hits.next(), hits.next()) {
            (None, _) => Membership::Outside,
            (Some(class), None) => Membership::Class(class),
            (Some(_), Some(_)) => Membership::Several,
        }
    }

    /// How many classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes.len()
    }

    /// The labels the classes speak of.
    #[must_use]
    pub fn nomenclature(&self) -> Nomenclature {
        self.nomenclature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(labels: &[&str]) -> PatchRow {
        let id = "S2A_MSIL2A_20170617T113321_4_55".parse().unwrap();
        let index = |l: &&str| Nomenclature::Clc43.index_of(l).unwrap();
        let labels_43 = Some(labels.iter().map(index).collect());
        PatchRow {
            labels_43,
            ..PatchRow::from_id(id)
        }
    }

    #[test]
    fn notes4_takes_patches_with_exactly_one_of_its_classes() {
        let task = Task::notes4().compile().unwrap();
        assert_eq!(
            task.membership(&row(&["Bare rock", "Pastures"])),
            Membership::Class(1)
        );
        assert_eq!(
            task.membership(&row(&["Airports", "Dump sites"])),
            Membership::Several
        );
        assert_eq!(task.membership(&row(&["Pastures"])), Membership::Outside);
        let unknown = PatchRow {
            labels_43: None,
            ..row(&[])
        };
        assert_eq!(task.membership(&unknown), Membership::Unknown);
    }

    #[test]
    fn a_misspelt_label_is_refused_with_the_nearest_name() {
        let mut task = Task::notes4();
        task.classes[0].labels[0] = "Airport".to_owned();
        let text = task.compile().unwrap_err().to_string();
        assert!(
            text.contains("`Airport`") && text.contains("`Airports`"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_task_names_the_known_ones() {
        assert!(
            Task::built_in("notes5")
                .unwrap_err()
                .to_string()
                .contains("notes4")
        );
    }
}
