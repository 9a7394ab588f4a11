//! Why a view configuration cannot be compiled.

use chipmill_schemas::band::Band;

/// A view configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AugmentError {
    /// A parameter out of its range.
    #[error("`{key}`{} is {found}, expected {expected}", of(*.op))]
    Parameter {
        /// The key, with its path; for a preset the path that an explicit list would have.
        key: String,
        /// The operation, where the key belongs to one.
        op: Option<&'static str>,
        /// The value found.
        found: String,
        /// What would do.
        expected: &'static str,
    },
    /// Hue and saturation in HSV need red, green and blue.
    #[error(
        "`{key}` is \"hsv\", which needs exactly three bands (red, green, blue), but the view has \
         {bands}; use model = \"bands\", or view.bands = \"rgb\""
    )]
    HsvBands {
        /// The key.
        key: String,
        /// Bands of the view.
        bands: usize,
    },
    /// The statistics lack a band that has to be normalised.
    #[error(
        "the statistics hold no band {band} ({patches} patches); `view.normalise` needs it: use a \
         store that holds patches, or view.normalise = \"none\""
    )]
    NoStatistics {
        /// The band.
        band: Band,
        /// Patches that the statistics cover.
        patches: u64,
    },
}

fn of(op: Option<&str>) -> String {
    op.map(|op| format!(" of `{op}`")).unwrap_or_default()
}
