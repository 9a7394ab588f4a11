//! Band statistics as the store keeps them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::band::Band;
use crate::patch::Split;

/// Statistics of one band over all pixels of a set of patches, from an exact 16-bit histogram.
/// Unit: the raw digital number (reflectance x 10,000).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BandStatistics {
    /// The band.
    pub band: Band,
    /// Pixels.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Population standard deviation (divisor `count`).
    pub std: f64,
    /// Smallest value.
    pub min: u16,
    /// 1st percentile; all percentiles by linear interpolation between order statistics.
    pub p1: f64,
    /// 2nd percentile.
    pub p2: f64,
    /// Median.
    pub p50: f64,
    /// 98th percentile.
    pub p98: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest value.
    pub max: u16,
    /// Pixels that are exactly 0 (declared "no data" in v2 files).
    pub zeros: u64,
}

/// Statistics of all twelve bands over one set of patches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetStatistics {
    /// The split, or `None` for all patches.
    pub split: Option<Split>,
    /// Patches in the set.
    pub patches: u64,
    /// One entry a band, by wavelength; empty when the set is.
    pub bands: Vec<BandStatistics>,
}
