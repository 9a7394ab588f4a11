//! How digital numbers become floats.

use chipmill_schemas::band::Band;
use chipmill_schemas::config::Normalise;
use chipmill_schemas::statistics::SetStatistics;

use super::error::AugmentError;
use super::resample::Affine;

/// The affine map of one band: `unit` takes the 1st percentile to 0 and the 99th to 1, `zscore` the
/// mean to 0 and one standard deviation to 1.
///
/// A band without spread (percentiles, or all values, equal) is only shifted to 0.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
pub(super) fn affine(
    normalise: Normalise,
    band: Band,
    statistics: &SetStatistics,
) -> Result<Affine, AugmentError> {
    if normalise == Normalise::None {
        return Ok(Affine::IDENTITY);
    }
    let found = statistics.bands.iter().find(|b| b.band == band);
    let found = found.ok_or(AugmentError::NoStatistics {
        band,
        patches: statistics.patches,
    })?;
    let (zero, spread) = match normalise {
        Normalise::Unit => (found.p1, found.p99 - found.p1),
        _ => (found.mean, found.std),
    };
    let spread = if spread > 0.0 { spread } else { 1.0 };
    Ok(Affine {
        gain: (1.0 / spread) as f32,
        offset: (-zero / spread) as f32,
    })
}
