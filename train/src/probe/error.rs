//! Why a probe cannot be done.

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::task::TaskError;

use super::linear::FitError;
use super::split::SplitError;

/// A probe cannot be done on this store.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// A label of the task does not exist.
    #[error(transparent)]
    Task(#[from] TaskError),
    /// The task's name cannot name the result's file.
    #[error(
        "task name `{name}`: expected letters, digits, `_` and `-` alone, for it names the result's file"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// No patch has labels of the nomenclature.
    #[error(
        "none of the store's {patches} patches has {nomenclature}-class labels: ingest them with their \
         label files or metadata, or probe the other nomenclature"
    )]
    NoLabels {
        /// The nomenclature asked for.
        nomenclature: Nomenclature,
        /// Patches in the store.
        patches: usize,
    },
    /// No patch belongs to the task.
    #[error(
        "none of the store's {patches} patches has exactly one class of `{target}` ({several} have \
         several, {unknown} have no labels)"
    )]
    NoRows {
        /// The task.
        target: String,
        /// Patches in the store.
        patches: usize,
        /// Patches with two or more of its classes.
        several: u64,
        /// Patches without labels.
        unknown: u64,
    },
    /// The store was ingested without split lists.
    #[error(
        "none of the probe's {rows} patches has an official split: choose another one (`--split \
         i_mod_3`, the notes'; `stratified`; `by_tile`), or ingest with the split lists"
    )]
    NoOfficialSplit {
        /// Rows of the target.
        rows: usize,
    },
    /// A part is empty.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// Classes that cannot be learnt.
    #[error(
        "no train row of `{target}` has class {classes} ({train} train rows): use another split, or a \
         store with more patches"
    )]
    ClassWithoutTrainRow {
        /// The task.
        target: String,
        /// Names of the classes.
        classes: String,
        /// Train rows.
        train: usize,
    },
    /// Settings are to be chosen on rows that are not there.
    #[error(
        "split `{split}` has no validation rows to choose settings on: choose them on a held-out third \
         of the train rows (`--choose holdout`), or take the fixed ones (`--choose fixed`)"
    )]
    NoValidationRows {
        /// The split.
        split: &'static str,
    },
    /// The train rows cannot be divided once more.
    #[error(
        "no train rows can be held out to choose settings on (`--choose fixed` needs none): {0}"
    )]
    Holdout(#[source] SplitError),
    /// Classes that cannot be learnt from the rest of the train rows.
    #[error(
        "no row of class {classes} of `{target}` is left among the {rows} train rows that candidates \
         are fitted on: take fixed settings (`--choose fixed`), or a store with more patches"
    )]
    ClassHeldOut {
        /// The task.
        target: String,
        /// Names of the classes.
        classes: String,
        /// Train rows that are not held out.
        rows: usize,
    },
    /// A classifier cannot be fitted.
    #[error(transparent)]
    Fit(#[from] FitError),
}
