//! `chipmill bench`: what this machine makes of a store, stage by stage. One file a measurement.

mod augment;
mod bandwidth;
mod cache;
mod chips;
mod clock;
mod large;
mod machine;
mod open;
mod read;
mod reading;
mod rendering;

use clap::Subcommand;

use crate::exit::Outcome;

/// Measure this machine on a store of yours. Every figure is a median over repeats, and comes with
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
    Open(open::Args),
    Large(large::Args),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match &args.what {
        What::Read(args) => read::run(args),
        What::Augment(args) => augment::run(args),
        What::Open(args) => open::run(args),
        What::Large(args) => large::run(args),
    }
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
