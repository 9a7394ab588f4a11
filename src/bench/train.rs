//! `chipmill bench train`

use std::path::PathBuf;

use chipmill_schemas::config::PretrainConfig;
use chipmill_train::workload::{LayerShape, LayerWork, Workload, layers, use_threads};
use serde::Serialize;

use super::clock::Clock;
use super::machine::{Machine, peak_memory, resident_memory};
use super::median;
use crate::exit::Outcome;
use crate::output;

/// Views of an image in a step.
const VIEWS: usize = 2;

/// Training steps per second on made-up views in memory: no store, no loader, so this is the most that
/// pretraining can give. A step is two forward passes of `loader.batch_size` images, the loss, the
/// backward pass and the update. `images` counts views: two a pair.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill bench train --set loader.batch_size=16                    ResNet-18, 12 bands, 120 px\n  \
    chipmill bench train --config configs/dcl.toml --threads 1 --layers\n  \
    chipmill bench train --device cuda --set loader.batch_size=128 --set encoder.kind=resnet50\n\n\
    The first step, which compiles and tunes kernels on a GPU, is told apart from the others. --dump\n\
    writes weights and views, so that another program can do the same steps and compare losses.")]
pub(crate) struct Args {
    /// A TOML file as for `pretrain`: encoder, view, batch size, loss, optimiser, seed.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One more setting, such as view.side=64, over those of the file.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// cpu, cuda or cuda:N.
    #[arg(long, default_value = "cpu")]
    device: String,

    /// Threads of the work on the CPU; all cores without it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,

    /// Steps that count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,

    /// Steps before them, the first one included.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    warmup: u32,

    /// Each layer of a ResNet-18 by itself as well, forward and backward.
    #[arg(long)]
    layers: bool,

    /// Write model.safetensors and views.safetensors of the beginning into this folder.
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,

    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

/// The JSON document. Times are seconds; rates and `step_*` are medians over the steps that count.
#[derive(Debug, Serialize)]
struct Measured {
    images_per_s: f64,
    images_per_cpu_s: f64,
    step_s: f64,
    step_cpu_s: f64,
    first_step_s: f64,
    images: usize,
    bands: usize,
    side: u32,
    encoder: chipmill_schemas::config::EncoderConfig,
    parameters: usize,
    device: String,
    threads: usize,
    /// Of all steps, those before the counted ones included.
    losses: Vec<f32>,
    steps: Vec<Step>,
    /// Of the process, the made-up data included.
    peak_bytes: Option<u64>,
    /// What the device's allocator holds after the warm-up and at the end, where it tells.
    device_bytes: [Option<u64>; 2],
    /// The same of what the process has resident.
    resident_bytes: [Option<u64>; 2],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<Layer>,
    machine: Machine,
    version: &'static str,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Step {
    wall_s: f64,
    cpu_s: f64,
}

/// CPU seconds of all layers of a shape in a step: forward and backward of both views.
#[derive(Debug, Serialize)]
struct Layer {
    #[serde(flatten)]
    shape: LayerShape,
    step_cpu_s: f64,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let config = crate::pretrain::pretrain_config(args.config.as_deref(), &args.set)?;
    let machine = Machine::this();
    if let Some(threads) = args.threads {
        use_threads(threads.into()).map_err(|e| anyhow::anyhow!("--threads: {e}"))?;
    }
    let measured = measure(args, &config, machine)?;
    if args.json {
        output::json(&measured)?;
    } else {
        output::result(&measured.text())?;
    }
    Ok(Outcome::Done)
}

fn measure(args: &Args, config: &PretrainConfig, machine: Machine) -> anyhow::Result<Measured> {
    let mut work = Workload::new(config, &args.device)?;
    if let Some(folder) = &args.dump {
        work.dump(folder)?;
    }
    let mut losses = Vec::new();
    let mut step = |work: &mut Workload| -> anyhow::Result<Step> {
        let clock = Clock::start();
        losses.push(work.step()?);
        Ok(Step {
            wall_s: clock.wall(),
            cpu_s: clock.cpu(),
        })
    };
    let first = step(&mut work)?;
    for _ in 1..args.warmup {
        step(&mut work)?;
    }
    let (warm, resident) = (work.device_bytes(), resident_memory());
    let steps: Vec<Step> = (0..args.steps)
        .map(|_| step(&mut work))
        .collect::<Result<_, _>>()?;
    let images = VIEWS * config.loader.batch_size as usize;
    let (step_s, step_cpu_s) = (
        median(steps.iter().map(|s| s.wall_s)),
        median(steps.iter().map(|s| s.cpu_s)),
    );
    let count = f64::from(u32::try_from(images)?);
    Ok(Measured {
        images_per_s: count / step_s,
        images_per_cpu_s: count / step_cpu_s,
        step_s,
        step_cpu_s,
        first_step_s: first.wall_s,
        images,
        bands: config.view.bands.bands().len(),
        side: config.view.side,
        encoder: config.encoder,
        parameters: work.parameters(),
        device: args.device.clone(),
        threads: args.threads.map_or(machine.cores, usize::from),
        losses,
        steps,
        peak_bytes: peak_memory(),
        device_bytes: [warm, work.device_bytes()],
        resident_bytes: [resident, resident_memory()],
        layers: if args.layers {
            by_layer(args, config)?
        } else {
            Vec::new()
        },
        machine,
        version: env!("CARGO_PKG_VERSION"),
    })
}

/// Median of some runs of each layer on a batch of one view, times layers and views.
fn by_layer(args: &Args, config: &PretrainConfig) -> anyhow::Result<Vec<Layer>> {
    const RUNS: usize = 3;
    let images = config.loader.batch_size as usize;
    let of = |shape: LayerShape| -> anyhow::Result<Layer> {
        let work = LayerWork::new(&shape, images, &args.device)?;
        work.run()?;
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            let clock = Clock::start();
            work.run()?;
            runs.push(clock.cpu());
        }
        let times = u32::try_from(VIEWS * shape.count)?;
        Ok(Layer {
            step_cpu_s: median(runs) * f64::from(times),
            shape,
        })
    };
    let layers = layers(config);
    anyhow::ensure!(
        !layers.is_empty(),
        "--layers knows encoder.kind = resnet18 with the standard stem"
    );
    layers.into_iter().map(of).collect()
}

impl Measured {
    fn text(&self) -> String {
        let encoder = self.encoder;
        let mut lines = vec![
            format!(
                "work       {:?} of width {}, {} x {side} x {side}, {} images a step, {}",
                encoder.kind,
                encoder.width,
                self.bands,
                self.images,
                self.device,
                side = self.side
            ),
            format!("machine    {}", self.machine.text()),
            String::new(),
            format!("images per second      {:>10.1}", self.images_per_s),
            format!("images per CPU-second  {:>10.1}", self.images_per_cpu_s),
            format!("a step                 {:>10.3} s", self.step_s),
            format!("CPU time of a step     {:>10.3} s", self.step_cpu_s),
            format!("the first step         {:>10.3} s", self.first_step_s),
        ];
        if let Some(bytes) = self.peak_bytes {
            lines.push(format!(
                "peak memory            {:>10} MB",
                bytes / 1_000_000
            ));
        }
        if !self.layers.is_empty() {
            lines.push(String::new());
            lines.push("layers                              CPU seconds of a step".to_owned());
            let row = |l: &Layer| {
                let s = &l.shape;
                let name = format!(
                    "{} x {} {}-{} at {}",
                    s.count, s.kind, s.input, s.output, s.side
                );
                format!("{name:<36}{:>8.3}", l.step_cpu_s)
            };
            lines.extend(self.layers.iter().map(row));
        }
        lines.join("\n")
    }
}
