//! Loss and monitors over steps, all arms of a family in one figure.

use chipmill_schemas::experiment::Family;
use chipmill_schemas::run::MetricsRow;

use super::figures::series;
use super::read::{ComparisonFolder, ComparisonRun};
use crate::figures::Figure;
use crate::number::float;
use crate::plot::arms::{ArmChart, ArmSeries};
use crate::plot::lines::Include;
use crate::plot::scale::{Label, Spread};
use crate::table::or_nan;

/// A column of the metrics, drawn for all arms.
struct Monitor {
    name: &'static str,
    title: &'static str,
    value: fn(&MetricsRow) -> f64,
    label: Label,
    include: Include,
    caption: &'static str,
}

const MONITORS: [Monitor; 9] = [
    Monitor {
        name: "loss",
        title: "loss",
        value: |r| r.loss,
        label: Label::Plain,
        include: Include::Points,
        caption: "Losses of different arms are different functions: their heights cannot be compared.",
    },
    Monitor {
        name: "contrastive-accuracy",
        title: "contrastive accuracy",
        value: |r| r.contrastive_accuracy,
        label: Label::Percent,
        include: Include::Share,
        caption: "Share of views whose partner is more similar than every other view of the batch.",
    },
    Monitor {
        name: "alignment",
        title: "alignment",
        value: |r| r.alignment,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Mean squared distance between the two views of a patch; lower is better while \
                  uniformity holds.",
    },
    Monitor {
        name: "uniformity",
        title: "uniformity",
        value: |r| r.uniformity,
        label: Label::Plain,
        include: Include::Points,
        caption: "Log of the mean of exp(\u{2212}2 d\u{b2}) over pairs of projections; lower is better.",
    },
    Monitor {
        name: "q",
        title: "q, the negatives' share of the denominator",
        value: |r| or_nan(r.q_mean),
        label: Label::Plain,
        include: Include::Share,
        caption: "SimCLR's gradient of an anchor is q times DCL's. Near 1 the two are the same.",
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
        name: "weight-norm",
        title: "norm of the weights",
        value: |r| r.weight_norm,
        label: Label::Plain,
        include: Include::Points,
        caption: "All parameters of encoder and projection head together.",
    },
    Monitor {
        name: "rank-me",
        title: "RankMe",
        value: |r| or_nan(r.rank_me),
        label: Label::Plain,
        include: Include::Zero,
        caption: "Effective rank of the projections: 1 is collapse, their width is an even spread.",
    },
    Monitor {
        name: "embedding-std",
        title: "standard deviation of projections",
        value: |r| r.embedding_std,
        label: Label::Plain,
        include: Include::Zero,
        caption: "Mean over dimensions of unit projections; near 0 is collapse.",
    },
];

pub(super) fn figures(folder: &ComparisonFolder, family: &Family) -> Vec<Figure> {
    let draw = |monitor: &Monitor| {
        let all = series(folder, family, false, |run| column(run, monitor.value));
        let series: Vec<ArmSeries> = all.filter(|s| !s.line.is_empty()).collect();
        (!series.is_empty()).then(|| Figure {
            name: format!("{}-{}", monitor.name, family.name),
            svg: ArmChart {
                title: format!("{}: {}", family.title(), monitor.title),
                note: "mean of the seeds, \u{b1} one standard deviation".to_owned(),
                x: "optimiser steps".to_owned(),
                x_spread: Spread::Linear,
                x_label: Label::Count,
                label: monitor.label,
                include: monitor.include,
                series,
            }
            .draw(),
            caption: monitor.caption.to_owned(),
        })
    };
    MONITORS.iter().filter_map(draw).collect()
}

/// A column over steps. Row 0 is of a probe before training and has no monitors.
fn column(run: &ComparisonRun, value: fn(&MetricsRow) -> f64) -> Vec<(f64, f64)> {
    let rows = run.folder.as_ref().map_or(&[][..], |f| &f.metrics);
    let trained = rows.iter().filter(|r| r.step > 0);
    let points = trained.map(|r| (float(r.step), value(r)));
    points.filter(|p| p.1.is_finite()).collect()
}
