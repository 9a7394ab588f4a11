//! `chipmill bench`: what this machine makes of a store, stage by stage. One file a measurement.

mod augment;
mod bandwidth;
mod cache;
mod chips;
mod clock;
mod large;
mod loader;
mod machine;
mod open;
mod read;
mod read_floor;
mod reading;
mod rendering;
mod roofline;
#[cfg(feature = "train")]
mod train;

use chipmill_pipeline::SimdPath;
use chipmill_schemas::config::{BandChoice, NamedBands, ViewType};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::exit::Outcome;

/// Measure this machine, mostly on a store of yours. Every figure is a median over repeats, and comes with
/// the machine it was taken on; compare figures of one sitting, and CPU time rather than wall time
/// where other work runs beside.
#[derive(Debug, clap::Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Read(read::Args),
    Augment(augment::Args),
    Loader(loader::Args),
    Open(open::Args),
    Large(large::Args),
    #[cfg(feature = "train")]
    Train(train::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Read(args) => read::run(args),
        What::Augment(args) => augment::run(args),
        What::Loader(args) => loader::run(args),
        What::Open(args) => open::run(args),
        What::Large(args) => large::run(args),
        #[cfg(feature = "train")]
        What::Train(args) => train::run(args),
    }
}

/// The bands of a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BandsArg {
    /// All twelve.
    All,
    /// B04 B03 B02.
    Rgb,
    /// B02 B03 B04 B08.
    TenMetre,
    /// Without the two 60 m bands.
    Ten,
}

impl BandsArg {
    pub(crate) fn choice(self) -> BandChoice {
        BandChoice::Named(match self {
            Self::All => NamedBands::All,
            Self::Rgb => NamedBands::Rgb,
            Self::TenMetre => NamedBands::TenMetre,
            Self::Ten => NamedBands::Ten,
        })
    }
}

/// The type of a view's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TypeArg {
    F32,
    F16,
    Bf16,
}

impl TypeArg {
    pub(crate) fn choice(self) -> ViewType {
        match self {
            Self::F32 => ViewType::F32,
            Self::F16 => ViewType::F16,
            Self::Bf16 => ViewType::Bf16,
        }
    }
}

/// What is said where views are computed without vector instructions.
const SCALAR: &str = "The path `scalar` is plain code for processors without AVX2 and FMA. Every fused product\n\
                      takes several steps there, so that its bits are those of the other paths: a view takes\n\
                      up to a hundred times as long.";

/// The path that `--simd` asks for; refused where this processor cannot take it.
fn simd_path(name: &str) -> anyhow::Result<SimdPath> {
    let path: SimdPath = name.parse()?;
    path.check()?;
    Ok(path)
}

/// The middle one, or the mean of the two in the middle; 0 of none.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.get(middle) {
        None => 0.0,
        Some(&upper) if sorted.len() % 2 == 1 => upper,
        Some(&upper) => f64::midpoint(sorted[middle - 1], upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_the_middle_and_no_outlier_moves_it() {
        assert_eq!(median([3.0, 1.0, 1000.0]), 3.0);
        assert_eq!(median([4.0, 1.0, 2.0, 1000.0]), 3.0);
        assert_eq!(median([]), 0.0);
    }
}
