//! `chipmill bench augment`

use std::path::PathBuf;

use chipmill_pipeline::{Augmenter, Element, SimdPath, bf16, f16};
use chipmill_schemas::augment::Preset;
use chipmill_schemas::config::{Normalise, ViewConfig};
use serde::Serialize;

use super::bandwidth::{Bandwidth, bandwidth};
use super::chips::Chips;
use super::machine::Machine;
use super::rendering::{Moments, Renderer, Round};
use super::roofline::{Roofline, ns_per_normal, roofline};
use super::{BandsArg, SCALAR, TypeArg, median, simd_path};
use crate::exit::Outcome;
use crate::output;

/// Augmented views per second from patches in memory: no reading and no queue, so this is the most
/// that a loader's augmentation can give. Each thread renders into a ring of 64 views, as a loader
/// does into its batches, so that what is written is in no cache.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill bench augment                              policy peers, 12 bands, 120 pixels\n  \
    chipmill bench augment --policy notes --bands rgb   the notes' experiment\n  \
    chipmill bench augment --store ben.zarr --threads 2 real patches, two threads\n\n\
    The table says what a view would cost less without an operation: operations share passes over\n\
    the pixels, so the parts need not add up to the whole.\n\n\
    The least that a view could take is the time of its bytes at the bandwidth, and of its counted\n\
    additions and multiplications at the fastest rate of fused ones, both measured in the same run.")]
pub(crate) struct Args {
    /// Which augmentations: notes, simclr, peers or none.
    #[arg(long, default_value_t = Preset::Peers, alias = "preset")]
    policy: Preset,

    /// The bands of a view.
    #[arg(long, value_enum, default_value_t = BandsArg::All)]
    bands: BandsArg,

    /// Side of a view in pixels.
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(8..=240))]
    side: u32,

    /// Type of the values.
    #[arg(long, value_enum, default_value_t = TypeArg::F32)]
    dtype: TypeArg,

    /// Vector instructions: auto, avx512, avx2 or scalar. All give the same bytes.
    #[arg(long, default_value = "auto", value_name = "PATH")]
    simd: String,

    /// Rendering threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,

    /// Take the first 64 patches of this store; without one, 64 synthetic chips.
    #[arg(long)]
    store: Option<PathBuf>,

    /// How long a round lasts at least.
    #[arg(long, default_value_t = 0.5, value_name = "S")]
    seconds: f64,

    /// Rounds; everything is measured once a round, so that what disturbs one disturbs all.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=1000))]
    repeats: u16,

    /// Seed of the augmentations.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Leave out the table of operations.
    #[arg(long)]
    no_operations: bool,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The JSON document. Rates and times are medians over the rounds.
#[derive(Debug, Serialize)]
struct Measured {
    views_per_s: f64,
    views_per_cpu_s: f64,
    us_per_view: f64,
    policy: Preset,
    bands: usize,
    side: u32,
    dtype: TypeArg,
    simd: &'static str,
    threads: u16,
    seed: u64,
    chips: String,
    view_bytes: usize,
    /// Mean and standard deviation of all pixels of some hundred views: equal for all who do the
    /// same work.
    #[serde(flatten)]
    moments: Moments,
    operations: Vec<Operation>,
    bandwidth: Bandwidth,
    roofline: Roofline,
    /// What a normal number of noise takes, without memory.
    ns_per_normal: f64,
    rounds: Vec<Round>,
    machine: Machine,
    version: &'static str,
}

/// What a view would cost less without an operation, in microseconds of processor time.
#[derive(Debug, Serialize)]
struct Operation {
    op: &'static str,
    us_per_view: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    match args.dtype {
        TypeArg::F32 => run_in::<f32>(args),
        TypeArg::F16 => run_in::<f16>(args),
        TypeArg::Bf16 => run_in::<bf16>(args),
    }
}

fn run_in<E: Element>(args: &Args) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        args.seconds.is_finite() && args.seconds >= 0.0,
        "--seconds is {}, expected a number that is not negative",
        args.seconds
    );
    let machine = Machine::this();
    let chips = match &args.store {
        Some(path) => Chips::of_store(path)?,
        None => Chips::synthetic(),
    };
    let mut candidates = candidates::<E>(args, &chips)?;
    let (rounds, memory) = rounds(args, &chips, &mut candidates)?;
    let measured = Measured::of(args, &chips, candidates, &rounds, memory, machine)?;
    if args.json {
        output::json(&measured)?;
    } else {
        output::result(&measured.text())?;
    }
    Ok(Outcome::Done)
}

/// The policy and, for the table, the policy without each of its operations.
struct Candidate<E> {
    left_out: Option<&'static str>,
    renderer: Renderer<E>,
}

fn candidates<E: Element>(args: &Args, chips: &Chips) -> anyhow::Result<Vec<Candidate<E>>> {
    let operations = args.policy.operations();
    let simd = simd_path(&args.simd)?;
    let of = |augment, left_out| {
        let config = ViewConfig {
            bands: args.bands.choice(),
            side: args.side,
            normalise: Normalise::Unit,
            augment: Some(augment),
            ..ViewConfig::default()
        };
        let augmenter = Augmenter::compile(&config, chips.statistics())?.with_simd(simd)?;
        let renderer = Renderer::new(augmenter, args.seed, args.threads.into());
        anyhow::Ok(Candidate { left_out, renderer })
    };
    let mut candidates = vec![of(operations.clone(), None)?];
    if !args.no_operations {
        for (index, op) in operations.iter().enumerate() {
            let mut without = operations.clone();
            without.remove(index);
            candidates.push(of(without, Some(op.name()))?);
        }
    }
    Ok(candidates)
}

/// All candidates once a round, after one round that is not counted; rounds by candidate.
fn rounds<E: Element>(
    args: &Args,
    chips: &Chips,
    candidates: &mut [Candidate<E>],
) -> anyhow::Result<(Vec<Vec<Round>>, Bandwidth)> {
    let mut rounds = vec![Vec::new(); candidates.len()];
    for candidate in &mut *candidates {
        candidate.renderer.round(chips, args.seconds / 10.0)?;
    }
    for _ in 0..args.repeats {
        for (candidate, rounds) in candidates.iter_mut().zip(&mut rounds) {
            rounds.push(candidate.renderer.round(chips, args.seconds)?);
        }
    }
    Ok((rounds, bandwidth(args.repeats, args.threads)))
}

impl Measured {
    fn of<E: Element>(
        args: &Args,
        chips: &Chips,
        mut candidates: Vec<Candidate<E>>,
        rounds: &[Vec<Round>],
        bandwidth: Bandwidth,
        machine: Machine,
    ) -> anyhow::Result<Self> {
        let cost = |rounds: &[Round]| median(rounds.iter().map(Round::us_per_view));
        let whole = rounds.first().map_or(0.0, |rounds| cost(rounds));
        let operations = candidates
            .iter()
            .zip(rounds)
            .filter_map(|(candidate, rounds)| {
                let us_per_view = whole - cost(rounds);
                let op = candidate.left_out?;
                Some(Operation { op, us_per_view })
            });
        let operations = operations.collect();
        let own = rounds.first().cloned().unwrap_or_default();
        let renderer = &mut candidates[0].renderer;
        let view_bytes = renderer.augmenter().view_len() * size_of::<E>();
        let roofline = roofline(
            renderer.augmenter(),
            (args.seed, view_bytes),
            chips,
            &bandwidth,
            whole,
            args.repeats,
        )?;
        let ns_per_normal = ns_per_normal(renderer.augmenter().simd(), args.repeats)?;
        Ok(Self {
            views_per_s: median(own.iter().map(Round::per_second)),
            views_per_cpu_s: median(own.iter().map(Round::per_cpu_second)),
            us_per_view: whole,
            policy: args.policy,
            bands: renderer.augmenter().bands(),
            side: args.side,
            dtype: args.dtype,
            simd: renderer.augmenter().simd().name(),
            threads: args.threads,
            seed: args.seed,
            chips: chips.name().to_owned(),
            view_bytes,
            moments: renderer.moments(chips),
            operations,
            bandwidth,
            roofline,
            ns_per_normal,
            rounds: own,
            machine,
            version: env!("CARGO_PKG_VERSION"),
        })
    }

    fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "policy     {}, {} x {side} x {side} {}, {} thread(s), {}",
                self.policy,
                self.bands,
                self.dtype.choice().name(),
                self.threads,
                self.simd,
                side = self.side
            ),
            format!("chips      {}", self.chips),
            format!("machine    {}", self.machine.text()),
            String::new(),
            format!("views per second      {:>12.0}", self.views_per_s),
            format!("views per CPU-second  {:>12.0}", self.views_per_cpu_s),
            format!("CPU time a view       {:>12.1} us", self.us_per_view),
            String::new(),
            format!(
                "A view is {:.0} kB: {:.1} us to write with this machine's {:.1} GB/s, {:.1} us to \
                 copy.",
                self.view_bytes as f64 / 1e3,
                self.bandwidth.us_to_write(self.view_bytes),
                self.bandwidth.write_bytes_per_s / 1e9,
                self.bandwidth.us_to_copy(self.view_bytes),
            ),
            self.roofline.text(),
            format!(
                "A normal number of noise takes {:.2} ns.",
                self.ns_per_normal
            ),
        ];
        if self.simd == SimdPath::Scalar.name() {
            lines.push(String::new());
            lines.push(SCALAR.to_owned());
        }
        if !self.operations.is_empty() {
            lines.push(String::new());
            lines.push("without               us a view less".to_owned());
            let row = |op: &Operation| format!("{:<22}{:>14.1}", op.op, op.us_per_view);
            lines.extend(self.operations.iter().map(row));
        }
        lines.join("\n")
    }
}
