//! Which figures a run has.

use chipmill_schemas::probe::{MultiLabelScores, ProbeEntry, ProbeReport, Scores};
use chipmill_schemas::run::MetricsRow;

use crate::health;
use crate::number;
use crate::plot::bars::{Bar, BarChart, Shade};
use crate::plot::curve::{Curve, bandwidth};
use crate::plot::heat::HeatMap;
use crate::plot::lines::{Include, LineChart, Reference, Series};
use crate::plot::scale::{Label, Spread};
use crate::plot::svg::Svg;
use crate::read::RunFolder;
use crate::score;
use crate::table::or_nan;

/// A drawing with its file name and what to see in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// File name without extension.
    pub name: String,
    /// The drawing.
    pub svg: Svg,
    /// What is drawn and how to read it.
    pub caption: String,
}

/// A figure made of one column of the metrics.
struct Monitor {
    name: &'static str,
    title: &'static str,
    value: fn(&MetricsRow) -> f64,
    label: Label,
    include: Include,
    caption: &'static str,
}

const MONITORS: [Monitor; 10] = [
    Monitor {
        name: "loss",
        title: "Loss",
        value: |r| r.loss,
        label: Label::Plain,
        include: Include::Points,
        caption: "The contrastive loss of each logged batch.",
    },
    Monitor {
        name: "contrastive_accuracy",
        title: "Contrastive accuracy",
        value: |r| r.contrastive_accuracy,
        label: Label::Percent,
        include: Include::Share,
        caption: "Share of views whose partner is more similar than every other view of the batch.",
    },
    Monitor {
        name: "alignment",
        title: "Alignment",
        value: |r| r.alignment,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Mean squared distance between the two views of a patch: 0 when they coincide, about \
                  2 when they are unrelated. Lower is better while uniformity holds.",
    },
    Monitor {
        name: "uniformity",
        title: "Uniformity",
        value: |r| r.uniformity,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Log of the mean of exp(-2 d\u{b2}) over pairs of projections: 0 when all coincide, \
                  near \u{2212}4 when they are spread evenly. Lower is better.",
    },
    Monitor {
        name: "embedding_std",
        title: "Standard deviation of projections",
        value: |r| r.embedding_std,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Mean over dimensions, unit projections. Near the dashed line: well spread. Near 0: \
                  collapsed.",
    },
    Monitor {
        name: "weight_norm",
        title: "Norm of the weights",
        value: |r| r.weight_norm,
        label: Label::Plain,
        include: Include::Points,
        caption: "All parameters of encoder and projection head together.",
    },
    Monitor {
        name: "gradient_norm",
        title: "Norm of the gradients",
        value: |r| r.gradient_norm,
        label: Label::Plain,
        include: Include::Zero,
        caption: "All gradients together, before the optimiser.",
    },
    Monitor {
        name: "learning_rate",
        title: "Learning rate",
        value: |r| r.learning_rate,
        label: Label::Plain,
        include: Include::Zero,
        caption: "As the schedule gave it.",
    },
    Monitor {
        name: "throughput",
        title: "Throughput, pairs a second",
        value: |r| r.pairs_per_s,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Patches a second, two augmented views each.",
    },
    Monitor {
        name: "data_wait",
        title: "Time spent waiting for data",
        value: |r| r.data_wait,
        label: Label::Percent,
        include: Include::Zero,
        caption: "Share of wall time in which training waited for the loader.",
    },
];

/// What only some runs measure.
const OPTIONAL: [Monitor; 5] = [
    Monitor {
        name: "probe",
        title: "Probe during training",
        value: |r| or_nan(r.probe_accuracy.or(r.probe_macro_ap)),
        label: Label::Percent,
        include: Include::Points,
        caption: "Accuracy, or macro average precision, of a linear classifier on the frozen features \
                  of the encoder as it was at each step.",
    },
    Monitor {
        name: "probe_knn",
        title: "kNN probe during training",
        value: |r| or_nan(r.probe_knn),
        label: Label::Percent,
        include: Include::Points,
        caption: "The same, by a weighted vote of the nearest neighbours.",
    },
    Monitor {
        name: "q",
        title: "q, the negatives' share of the denominator",
        value: |r| or_nan(r.q_mean),
        label: Label::Plain,
        include: Include::Share,
        caption: "Mean over anchors. SimCLR's gradient is q times DCL's: near 1 the two are the same.",
    },
    Monitor {
        name: "w",
        title: "w, 5th percentile of the weights",
        value: |r| or_nan(r.w_p5),
        label: Label::Plain,
        include: Include::Points,
        caption: "Weights of weighted DCL have mean 1; below 0 a pair is pushed apart.",
    },
    Monitor {
        name: "rank_me",
        title: "RankMe",
        value: |r| or_nan(r.rank_me),
        label: Label::Plain,
        include: Include::Zero,
        caption: "Effective rank of the projections: 1 is collapse, their width is an even spread.",
    },
];

/// Curves over the steps of a run: none when nothing was logged.
#[must_use]
pub fn curves(run: &RunFolder) -> Vec<Figure> {
    if run.metrics.is_empty() {
        return Vec::new();
    }
    let varies = |m: &&Monitor| m.name != "learning_rate" || rate_varies(&run.metrics);
    let draw = |m: &Monitor| Figure {
        name: m.name.to_owned(),
        svg: chart(run, m).draw(),
        caption: m.caption.to_owned(),
    };
    let measured = |m: &&Monitor| run.metrics.iter().any(|r| (m.value)(r).is_finite());
    let always = MONITORS.iter().filter(varies);
    let some = OPTIONAL.iter().filter(measured);
    always.chain(some).map(draw).collect()
}

fn rate_varies(rows: &[MetricsRow]) -> bool {
    rows.windows(2)
        .any(|w| w[0].learning_rate != w[1].learning_rate)
}

fn chart(run: &RunFolder, monitor: &Monitor) -> LineChart {
    let rows = &run.metrics;
    let steps: Vec<f64> = rows.iter().map(|r| number::float(r.step)).collect();
    let values = rows.iter().map(monitor.value);
    let curve = Curve::new(steps.iter().copied().zip(values.clone()), bandwidth(&steps));
    let spread = spread(monitor, values);
    let references = match monitor.name {
        "embedding_std" => vec![Reference {
            value: health::even_spread(run),
            label: format!("even spread, 1/\u{221a}{}", run.config.projection.output),
        }],
        _ => Vec::new(),
    };
    LineChart {
        title: monitor.title.to_owned(),
        note: note(run, monitor, !curve.smooth.is_empty(), bandwidth(&steps)),
        x: "optimiser steps".to_owned(),
        label: monitor.label,
        spread,
        include: match spread {
            Spread::Log => Include::Points,
            Spread::Linear => monitor.include,
        },
        series: vec![Series {
            label: monitor.title.to_owned(),
            curve,
        }],
        references,
        events: resumes(rows),
        event: "resumed".to_owned(),
    }
}

/// Norms of gradients may span decades; then, and when all are above 0, a logarithm shows more.
fn spread(monitor: &Monitor, values: impl Iterator<Item = f64> + Clone) -> Spread {
    let finite = values.filter(|v| v.is_finite());
    let low = finite.clone().fold(f64::INFINITY, f64::min);
    let high = finite.fold(0.0, f64::max);
    if monitor.name == "gradient_norm" && low > 0.0 && high > 30.0 * low {
        Spread::Log
    } else {
        Spread::Linear
    }
}

fn note(run: &RunFolder, monitor: &Monitor, smoothed: bool, bandwidth: f64) -> String {
    let Some(last) = run.metrics.last() else {
        return String::new();
    };
    let value = (monitor.value)(last);
    let value = match monitor.label {
        Label::Percent => number::percent(value),
        Label::Points => number::points(value),
        Label::Count | Label::Plain => number::short(value),
    };
    let mut note = format!("last: {value}");
    if monitor.name == "contrastive_accuracy" {
        let others = 2 * u64::from(run.config.loader.batch_size) - 1;
        note += &format!(" (chance {})", number::percent(1.0 / number::float(others)));
    }
    if smoothed {
        note += &format!("; line smoothed over {} steps", number::fixed(bandwidth, 0));
    }
    note
}

fn resumes(rows: &[MetricsRow]) -> Vec<f64> {
    let resumed = rows.windows(2).filter(|w| w[0].attempt != w[1].attempt);
    resumed.map(|w| number::float(w[0].step)).collect()
}

/// The figures of one probe: the headline figure beside the controls, then the confusion matrix or
/// the average precision by class.
#[must_use]
pub fn probe(report: &ProbeReport) -> Vec<Figure> {
    let Some(subject) = score::subject(report) else {
        return Vec::new();
    };
    let target = file_part(&report.target);
    let mut figures = vec![Figure {
        name: format!("probe-{target}"),
        svg: headline(report, subject).draw(),
        caption: headline_caption(report, subject),
    }];
    match &subject.scores {
        Scores::SingleLabel(scores) => figures.push(Figure {
            name: format!("confusion-{target}"),
            svg: HeatMap {
                title: "Confusion matrix of the encoder".to_owned(),
                note: format!("test rows: {}", number::grouped(report.rows.test)),
                classes: report.classes.clone(),
                counts: scores.confusion.clone(),
            }
            .draw(),
            caption: "Rows are the true class, columns the predicted one, in the same order; the \
                      shade is the share of the row."
                .to_owned(),
        }),
        Scores::MultiLabel(scores) => figures.push(Figure {
            name: format!("ap-{target}"),
            svg: by_class(report, subject, scores).draw(),
            caption: "Average precision on the test rows, best class first. Classes without a \
                      positive test row have none."
                .to_owned(),
        }),
    }
    figures
}

fn headline(report: &ProbeReport, subject: &ProbeEntry) -> BarChart {
    let bar = |e: &ProbeEntry| Bar {
        label: score::label(&e.name),
        value: Some(e.scores.headline()),
        interval: score::interval(report, e),
        shade: match e.name.as_str() {
            name if name == subject.name => Shade::Lead,
            name if name.starts_with("encoder") => Shade::Kin,
            _ => Shade::Control,
        },
        marks: Vec::new(),
    };
    BarChart {
        title: format!(
            "{}: {}",
            score::title(report),
            subject.scores.headline_name()
        ),
        note: format!("test rows: {}", number::grouped(report.rows.test)),
        without: "not a number".to_owned(),
        bars: report.entries.iter().map(bar).collect(),
        marks: Vec::new(),
    }
}

fn headline_caption(report: &ProbeReport, subject: &ProbeEntry) -> String {
    if let Some(intervals) = &subject.intervals {
        return format!(
            "Whiskers: 95 % bootstrap interval (BCa, {} resamples of the test patches). It speaks \
             of the choice of test patches only, not of other seeds.",
            number::grouped(intervals.resamples.into())
        );
    }
    match score::interval(report, subject) {
        Some(_) => {
            "Whiskers: 95 % interval of a share (Wilson), test rows taken as independent. It \
                    speaks of these test rows only, not of other seeds."
                .to_owned()
        }
        None => "Mean over classes of average precision on the test rows.".to_owned(),
    }
}

fn by_class(report: &ProbeReport, subject: &ProbeEntry, scores: &MultiLabelScores) -> BarChart {
    let intervals = subject.intervals.as_ref().map(|i| &i.ap_by_class[..]);
    let interval = |i: usize| {
        let [low, high] = intervals?.get(i).copied().flatten()?;
        Some((low, high))
    };
    let others: Vec<(&str, &MultiLabelScores)> = ["random_encoder", "band_statistics"]
        .into_iter()
        .filter_map(|name| {
            let entry = report.entries.iter().find(|e| e.name == name)?;
            match &entry.scores {
                Scores::MultiLabel(scores) => Some((name, scores)),
                Scores::SingleLabel(_) => None,
            }
        })
        .collect();
    let mut order: Vec<usize> = (0..report.classes.len()).collect();
    let of = |s: &MultiLabelScores, i: usize| s.ap_by_class.get(i).copied().flatten();
    order.sort_by(|&a, &b| {
        let value = |i| of(scores, i).unwrap_or(-1.0);
        value(b).total_cmp(&value(a)).then(a.cmp(&b))
    });
    let bar = |i: usize| Bar {
        label: report.classes[i].clone(),
        value: of(scores, i),
        interval: interval(i),
        shade: Shade::Lead,
        marks: others.iter().map(|(_, s)| of(s, i)).collect(),
    };
    BarChart {
        title: "Average precision by class".to_owned(),
        note: format!(
            "{} of {} classes scored",
            scores.scored_classes,
            report.classes.len()
        ),
        without: "no positive test row".to_owned(),
        bars: order.into_iter().map(bar).collect(),
        marks: others.iter().map(|(name, _)| score::label(name)).collect(),
    }
}

/// Letters, digits, `-` and `_` only: a task's name becomes part of a file name.
pub(crate) fn file_part(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    name.chars().map(plain).collect()
}
