//! Which patches of a store a run uses, decided on the table before any pixel is read.

use std::borrow::Borrow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::label::{LabelSet, Nomenclature};
use crate::patch::{PatchRow, Split};
use crate::task::{CompiledTask, Membership, Task, TaskError};

/// A selection of patches; the default takes all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// Only these official splits; empty means all, patches without a split included.
    pub splits: Vec<Split>,
    /// Only these countries, as the v2 tables name them; empty means all, unknown ones included.
    pub countries: Vec<String>,
    /// Only patches that carry one of these 43- or 19-class labels; empty means all.
    pub labels_any: Vec<String>,
    /// Leave out every patch with any class of this task (by name), so that a probe on it is fair.
    pub exclude_task: Option<String>,
    /// Leave out patches flagged with seasonal snow.
    pub exclude_snow: bool,
    /// Leave out patches flagged with cloud or shadow.
    pub exclude_cloud: bool,
    /// Keep only the first so many of the selected rows; 0 means all.
    pub limit: usize,
}

impl Selection {
    /// The selected row numbers, ascending.
    ///
    /// `tasks` resolves a task name, so that tasks from files are known here as well.
    ///
    /// # Errors
    /// [`TaskError`] when `exclude_task` or a label is not known.
    pub fn rows(
        &self,
        table: impl IntoIterator<Item: Borrow<PatchRow>>,
        tasks: impl Fn(&str) -> Result<Task, TaskError>,
    ) -> Result<Vec<u32>, TaskError> {
        let compiled = self.compile(tasks)?;
        let limit = if self.limit == 0 {
            usize::MAX
        } else {
            self.limit
        };
        let rows = (0u32..)
            .zip(table)
            .filter(|(_, row)| compiled.keeps(row.borrow()))
            .map(|(i, _)| i);
        Ok(rows.take(limit).collect())
    }

    /// The selection as a question that can be asked of each patch; `limit` is no part of it.
    ///
    /// # Errors
    /// [`TaskError`] when `exclude_task` or a label is not known.
    pub fn compile(
        &self,
        tasks: impl Fn(&str) -> Result<Task, TaskError>,
    ) -> Result<CompiledSelection, TaskError> {
        let excluded = match &self.exclude_task {
            Some(name) => Some(tasks(name)?.compile()?),
            None => None,
        };
        Ok(CompiledSelection {
            selection: self.clone(),
            excluded,
            labels: self.labels()?,
        })
    }

    fn labels(&self) -> Result<Option<(LabelSet, LabelSet)>, TaskError> {
        if self.labels_any.is_empty() {
            return Ok(None);
        }
        let mut sets = (LabelSet::default(), LabelSet::default());
        for label in &self.labels_any {
            let clc = Nomenclature::Clc43.index_of(label);
            let nineteen = Nomenclature::Nineteen.index_of(label);
            if clc.is_none() && nineteen.is_none() {
                let all = Nomenclature::ALL
                    .into_iter()
                    .flat_map(Nomenclature::classes);
                return Err(TaskError::UnknownLabel {
                    task: "selection".to_owned(),
                    class: "labels_any".to_owned(),
                    label: label.clone(),
                    nomenclature: Nomenclature::Clc43,
                    nearest: crate::nearest(label, all).unwrap_or_default(),
                });
            }
            clc.into_iter().for_each(|i| sets.0.insert(i));
            nineteen.into_iter().for_each(|i| sets.1.insert(i));
        }
        Ok(Some(sets))
    }
}

/// A selection whose names were understood.
#[derive(Debug, Clone)]
pub struct CompiledSelection {
    selection: Selection,
    excluded: Option<CompiledTask>,
    labels: Option<(LabelSet, LabelSet)>,
}

impl CompiledSelection {
    /// Whether a patch is selected. What is not known of a patch never selects it and never leaves
    /// it out: an unknown country is none of those wanted, an unknown flag is not set.
    #[must_use]
    pub fn keeps(&self, row: &PatchRow) -> bool {
        let wanted = &self.selection;
        let in_task = self.excluded.as_ref().is_some_and(|t| {
            matches!(
                t.membership(row),
                Membership::Class(_) | Membership::Several
            )
        });
        let in_split =
            wanted.splits.is_empty() || row.split.is_some_and(|s| wanted.splits.contains(&s));
        let in_country = wanted.countries.is_empty()
            || (row.country.as_ref()).is_some_and(|c| wanted.countries.contains(c));
        let has_label = self.labels.is_none_or(|(clc, nineteen)| {
            row.labels_43.is_some_and(|l| l.intersects(clc))
                || row.labels_19.is_some_and(|l| l.intersects(nineteen))
        });
        let flagged = (wanted.exclude_snow && row.snow == Some(true))
            || (wanted.exclude_cloud && row.cloud == Some(true));
        in_split && in_country && has_label && !in_task && !flagged
    }

    /// Whether labels decide over patches.
    #[must_use]
    pub fn asks_for_labels(&self) -> bool {
        self.labels.is_some() || self.excluded.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Vec<PatchRow> {
        let label = |name: &str| {
            let set: LabelSet = Nomenclature::Clc43.index_of(name).into_iter().collect();
            Some(set)
        };
        let row = |v: u8, name: &str, split| {
            let id = format!("S2A_MSIL2A_20170617T113321_4_{v}").parse().unwrap();
            PatchRow {
                labels_43: label(name),
                split,
                ..PatchRow::from_id(id)
            }
        };
        vec![
            row(0, "Pastures", Some(Split::Train)),
            row(1, "Airports", Some(Split::Train)),
            PatchRow {
                country: Some("Austria".to_owned()),
                ..row(2, "Rice fields", Some(Split::Test))
            },
            PatchRow {
                labels_43: None,
                snow: Some(true),
                ..row(3, "Pastures", None)
            },
        ]
    }

    fn rows(selection: &Selection) -> Vec<u32> {
        selection.rows(table(), Task::built_in).unwrap()
    }

    #[test]
    fn everything_but_the_tasks_patches_is_one_selection() {
        let selection = Selection {
            exclude_task: Some("notes4".to_owned()),
            ..Selection::default()
        };
        assert_eq!(rows(&selection), [0, 2, 3]);
    }

    #[test]
    fn splits_labels_flags_and_limit_narrow_the_rows() {
        assert_eq!(rows(&Selection::default()), [0, 1, 2, 3]);
        assert_eq!(
            rows(&Selection {
                splits: vec![Split::Train],
                ..Selection::default()
            }),
            [0, 1]
        );
        assert_eq!(
            rows(&Selection {
                exclude_snow: true,
                ..Selection::default()
            }),
            [0, 1, 2]
        );
        assert_eq!(
            rows(&Selection {
                countries: vec!["Austria".to_owned()],
                ..Selection::default()
            }),
            [2]
        );
        assert_eq!(
            rows(&Selection {
                limit: 2,
                ..Selection::default()
            }),
            [0, 1]
        );
        let labels_any = vec!["Rice fields".to_owned()];
        assert_eq!(
            rows(&Selection {
                labels_any,
                ..Selection::default()
            }),
            [2]
        );
    }

    #[test]
    fn an_unknown_label_is_an_error() {
        let labels_any = vec!["Rice field".to_owned()];
        let selection = Selection {
            labels_any,
            ..Selection::default()
        };
        let error = selection.rows(table(), Task::built_in).unwrap_err();
        assert!(error.to_string().contains("`Rice fields`"));
    }
}
