//! The sentences at the head of a report, for quoting.

use chipmill_schemas::config::{
    BandChoice, EncoderKind, LossKind, NamedBands, PretrainConfig, WeightGradient,
};
use chipmill_schemas::probe::ProbeReport;
use chipmill_schemas::run::RunState;

use crate::number::{counted, duration, fixed, float, grouped, percent};
use crate::read::RunFolder;
use crate::score;

/// Probes that the summary speaks of; the others stand below it.
const PROBES: usize = 2;

/// Two or three sentences: what was trained on what and for how long, and how good its features are
/// beside the controls.
#[must_use]
pub fn summary(run: &RunFolder) -> Vec<String> {
    let mut sentences = vec![training(run)];
    if run.probes.is_empty() {
        sentences.push(
            "The encoder has not been probed, so nothing is known yet of its features.".to_owned(),
        );
    }
    sentences.extend(run.probes.iter().filter_map(probe).take(PROBES));
    sentences
}

fn training(run: &RunFolder) -> String {
    let config = &run.config;
    let patches = match &run.environment {
        Some(e) if e.patches > 0 => counted(e.patches, "patch", "patches"),
        _ => "the selected patches".to_owned(),
    };
    let steps = steps_done(run);
    let mut sentence = format!(
        "{} {} with {} on {patches}{}",
        encoder(config),
        if steps == 0 {
            "was to be pretrained"
        } else {
            "was pretrained"
        },
        loss(config),
        length(run, steps)
    );
    if let Some(seconds) = training_seconds(run) {
        sentence += &format!(", {}", duration(seconds));
        if let Some(device) = run
            .environment
            .as_ref()
            .map(|e| &e.device)
            .filter(|d| !d.is_empty())
        {
            sentence += &format!(" on {device}");
        }
    }
    sentence += &format!(
        "; its views are {} px wide, of {}, with {} augmentations.",
        config.view.side,
        bands(config),
        augmentations(config)
    );
    sentence
}

fn length(run: &RunFolder, steps: u64) -> String {
    let all = run.config.max_steps;
    let pairs = grouped(run.config.loader.batch_size.into());
    let finished = run
        .status
        .as_ref()
        .is_some_and(|s| s.state == RunState::Finished);
    let count = match steps {
        0 => return format!(", and no step of {} is recorded", grouped(all)),
        _ if finished || steps >= all => counted(steps, "step", "steps"),
        _ => format!("{} of {}", grouped(steps), counted(all, "step", "steps")),
    };
    format!(" for {count} of {pairs} pairs{}", epochs(run, steps))
}

pub(crate) fn steps_done(run: &RunFolder) -> u64 {
    let logged = run.metrics.last().map_or(0, |r| r.step);
    run.status.as_ref().map_or(logged, |s| s.step)
}

fn epochs(run: &RunFolder, steps: u64) -> String {
    let patches = run.environment.as_ref().map_or(0, |e| e.patches);
    // The last, smaller batch of an epoch is dropped.
    let batches = patches / u64::from(run.config.loader.batch_size.max(1));
    if batches == 0 || steps == 0 {
        return String::new();
    }
    let epochs = float(steps) / float(batches);
    let decimals = usize::from(epochs < 10.0 && !steps.is_multiple_of(batches));
    let text = fixed(epochs, decimals);
    let noun = if text == "1" { "epoch" } else { "epochs" };
    format!(" ({text} {noun})")
}

/// Seconds of training behind the rows, from each row's throughput and the steps since the row
/// before; rows without a throughput count nothing.
pub(crate) fn training_seconds(run: &RunFolder) -> Option<f64> {
    let pairs = f64::from(run.config.loader.batch_size);
    let mut before = 0;
    let mut seconds = 0.0;
    for row in &run.metrics {
        if row.pairs_per_s > 0.0 {
            seconds += float(row.step - before) * pairs / row.pairs_per_s;
        }
        before = row.step;
    }
    (seconds > 0.0).then_some(seconds)
}

fn encoder(config: &PretrainConfig) -> String {
    let name = match config.encoder.kind {
        EncoderKind::Small => return format!("A small encoder of width {}", config.encoder.width),
        EncoderKind::Resnet18 => "A ResNet-18",
        EncoderKind::Resnet34 => "A ResNet-34",
        EncoderKind::Resnet50 => "A ResNet-50",
    };
    match config.encoder.width {
        64 => name.to_owned(),
        width => format!("{name} of width {width}"),
    }
}

pub(crate) fn loss(config: &PretrainConfig) -> String {
    let loss = &config.loss;
    let temperature = format!("temperature {}", loss.temperature);
    match loss.kind {
        LossKind::NtXent => format!("SimCLR's loss ({temperature})"),
        LossKind::Dcl => format!("DCL ({temperature})"),
        LossKind::Dclw => {
            let gradient = match loss.weight_gradient {
                WeightGradient::Stop => "stopped at the weight",
                WeightGradient::Pass => "passed through the weight",
            };
            let sigma = loss.sigma;
            format!("weighted DCL ({temperature}, sigma {sigma}, gradient {gradient})")
        }
    }
}

fn bands(config: &PretrainConfig) -> String {
    let bands = config.view.bands.bands();
    match (&config.view.bands, bands.as_slice()) {
        (BandChoice::Named(NamedBands::All), all) => format!("all {} bands", all.len()),
        (_, [band]) => format!("the band {band}"),
        (_, few @ ([_, _] | [_, _, _] | [_, _, _, _])) => {
            let names: Vec<String> = few.iter().map(ToString::to_string).collect();
            format!("the bands {}", names.join(", "))
        }
        (_, many) => format!("{} bands", many.len()),
    }
}

fn augmentations(config: &PretrainConfig) -> String {
    match &config.view.augment {
        Some(list) => format!("{} listed", list.len()),
        None if config.view.operations().is_empty() => "no".to_owned(),
        None => format!("the {} preset's", config.view.preset),
    }
}

fn probe(report: &ProbeReport) -> Option<String> {
    let subject = score::subject(report)?;
    let value = subject.scores.headline();
    let interval = score::interval(report, subject)
        .map(|(low, high)| {
            format!(
                " (95\u{a0}% interval {} to {})",
                fixed(low * 100.0, 1),
                fixed(high * 100.0, 1)
            )
        })
        .unwrap_or_default();
    let mut sentence = format!(
        "On {}, a linear classifier of its frozen features has {} of {}{interval} on {}",
        score::target(report),
        article(subject.scores.headline_name()),
        percent(value),
        counted(report.rows.test, "test patch", "test patches"),
    );
    let against: Vec<String> = score::controls(report)
        .map(|c| {
            let other = c.scores.headline();
            let name = match c.name.as_str() {
                "majority" => "the majority class".to_owned(),
                "random_encoder" => "a random encoder".to_owned(),
                "supervised" => "the same encoder trained with labels".to_owned(),
                _ => score::label(&c.name).to_lowercase(),
            };
            format!(
                "{} {name} ({})",
                score::distance(value - other),
                percent(other)
            )
        })
        .collect();
    match against.split_last() {
        None => sentence.push('.'),
        Some((last, [])) => sentence += &format!(": {last}."),
        Some((last, rest)) => sentence += &format!(": {} and {last}.", rest.join(", ")),
    }
    Some(sentence)
}

fn article(name: &str) -> String {
    let vowel = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if vowel { "an" } else { "a" })
}
