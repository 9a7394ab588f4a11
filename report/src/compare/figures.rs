//! Which figures a comparison has.

use chipmill_schemas::comparison::{
    ComparisonReport, FamilyResult, FeatureMap, Interval, RunResult, Verdict,
};
use chipmill_schemas::experiment::{Arm, Colour, Endpoint, ExperimentConfig, Family};
use chipmill_schemas::probe::Scores;

use super::read::{ComparisonFolder, ComparisonRun};
use super::sentences::{bracketed, level_of, p_text, signed, title};
use super::{endpoint, gradients, monitors};
use crate::figures::{Figure, file_part};
use crate::number::{counted, fixed, float, grouped, percent};
use crate::plot::arms::{ArmChart, ArmSeries};
use crate::plot::heat::HeatMap;
use crate::plot::lines::Include;
use crate::plot::rows::{Row, RowChart};
use crate::plot::scale::{Label, Spread};
use crate::plot::scatter::{Cloud, Scatter};

/// The figures of one family.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FamilyDrawings {
    /// Its name in files.
    pub(super) name: String,
    /// Its name for readers.
    pub(super) title: String,
    /// Scores over steps.
    pub(super) curve: Option<Figure>,
    /// Paired differences, the primary endpoint's first.
    pub(super) differences: Vec<Figure>,
    /// Arms beside each other, the primary endpoint's first.
    pub(super) arms: Vec<Figure>,
    /// Loss and monitors over steps.
    pub(super) monitors: Vec<Figure>,
    /// Confusion matrices, one an arm.
    pub(super) confusion: Vec<Figure>,
}

impl FamilyDrawings {
    fn all(&self) -> impl Iterator<Item = &Figure> {
        let lists = [
            &self.differences,
            &self.arms,
            &self.monitors,
            &self.confusion,
        ];
        self.curve.iter().chain(lists.into_iter().flatten())
    }
}

/// All figures.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drawings {
    pub(super) families: Vec<FamilyDrawings>,
    pub(super) gradients: Vec<Figure>,
    pub(super) features: Vec<Figure>,
}

impl Drawings {
    pub(super) fn of(folder: &ComparisonFolder, report: &ComparisonReport) -> Self {
        let results = folder.experiment.families.iter().zip(&report.families);
        let family = |(family, result): (&Family, &FamilyResult)| FamilyDrawings {
            name: family.name.clone(),
            title: family.title().to_owned(),
            curve: score_curve(folder, family),
            differences: differences(&folder.experiment, family, result),
            arms: arms(&folder.experiment, family, result, &report.runs),
            monitors: monitors::figures(folder, family),
            confusion: confusion(folder, family),
        };
        let features = folder.features.iter();
        Self {
            families: results.map(family).collect(),
            gradients: gradients::figures(folder),
            features: features.map(|(name, map)| feature_map(name, map)).collect(),
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        self.families
            .iter()
            .flat_map(FamilyDrawings::all)
            .chain(&self.gradients)
            .chain(&self.features)
    }
}

/// The class of an arm's colour. Arms without a colour take those that no arm asks for, in order; when
/// none is left, they begin again and are dashed.
pub(super) fn class(experiment: &ExperimentConfig, arm: &Arm) -> String {
    if let Some(colour) = arm.colour {
        return colour_class(colour).to_owned();
    }
    let asked: Vec<Colour> = experiment.arms.iter().filter_map(|a| a.colour).collect();
    let free: Vec<Colour> = Colour::ALL
        .into_iter()
        .filter(|c| !asked.contains(c))
        .collect();
    let without = experiment.arms.iter().filter(|a| a.colour.is_none());
    let index = without.take_while(|a| a.name != arm.name).count();
    let all = [&free[..], &Colour::ALL].concat();
    let dashed = if index >= free.len() { " dashed" } else { "" };
    format!("{}{dashed}", colour_class(all[index % all.len()]))
}

const fn colour_class(colour: Colour) -> &'static str {
    match colour {
        Colour::Orange => "k-orange",
        Colour::Blue => "k-blue",
        Colour::Red => "k-red",
        Colour::Green => "k-green",
        Colour::Violet => "k-violet",
        Colour::Teal => "k-teal",
        Colour::Brown => "k-brown",
        Colour::Grey => "k-grey",
    }
}

/// One series an arm, from a curve of each of its runs.
pub(super) fn series<'a>(
    folder: &'a ComparisonFolder,
    family: &'a Family,
    with_points: bool,
    curve: impl Fn(&ComparisonRun) -> Vec<(f64, f64)> + 'a,
) -> impl Iterator<Item = ArmSeries> + 'a {
    let experiment = &folder.experiment;
    experiment.arms_of(family).map(move |arm| {
        let runs = folder.arm(&family.name, &arm.name);
        let seeds: Vec<Vec<(f64, f64)>> = runs.map(&curve).collect();
        ArmSeries::of_seeds(arm.title(), &class(experiment, arm), &seeds, with_points)
    })
}

fn score_curve(folder: &ComparisonFolder, family: &Family) -> Option<Figure> {
    let endpoint = endpoint::curve_endpoint(&folder.experiment);
    let steps = folder.runs.iter().map(ComparisonRun::max_steps).max();
    let all = series(folder, family, true, |run| {
        let mut points = endpoint::curve(run, endpoint);
        // What is not trained stays as it is.
        let flat = endpoint::values(run, &folder.experiment)
            .get(&endpoint)
            .copied();
        if let (true, Some(value)) = (run.random_encoder && points.is_empty(), flat) {
            points = vec![(0.0, value), (float(steps.unwrap_or(1)), value)];
        }
        points
    });
    let series: Vec<ArmSeries> = all.collect();
    if series.iter().all(|s| s.points.is_empty()) {
        return None;
    }
    let chart = ArmChart {
        title: format!("{}: {} of the probe", family.title(), endpoint.title()),
        note: "mean of the seeds, \u{b1} one standard deviation; dots: every seed".to_owned(),
        x: "optimiser steps".to_owned(),
        x_spread: Spread::Linear,
        x_label: Label::Count,
        label: Label::Percent,
        include: Include::Points,
        series,
    };
    Some(Figure {
        name: format!("curve-{}", family.name),
        svg: chart.draw(),
        caption: "Probes of the frozen encoder during training. Verdicts are about the last \
                  checkpoint alone."
            .to_owned(),
    })
}

fn ends(interval: Interval) -> (f64, f64) {
    (interval.low, interval.high)
}

fn differences(
    experiment: &ExperimentConfig,
    family: &Family,
    result: &FamilyResult,
) -> Vec<Figure> {
    if family.comparisons.is_empty() {
        return Vec::new();
    }
    let draw = |endpoint: Endpoint| Figure {
        name: format!("differences-{}-{}", family.name, endpoint.name()),
        svg: difference_chart(experiment, family, result, endpoint).draw(),
        caption: format!(
            "Dots: one seed each. Thick: {}\u{a0}% t interval of the mean. Thin: the interval that \
             holds for all {} comparisons at once.",
            level_of(experiment),
            family.comparisons.len()
        ),
    };
    experiment.endpoints.all().map(draw).collect()
}

fn difference_chart(
    experiment: &ExperimentConfig,
    family: &Family,
    result: &FamilyResult,
    endpoint: Endpoint,
) -> RowChart {
    let of_endpoint = result.comparisons.iter().filter(|c| c.endpoint == endpoint);
    let row = |c: &chipmill_schemas::comparison::ComparisonResult| {
        let estimate = c.estimate.as_ref();
        let mut text = estimate.map_or_else(
            || "no pairs yet".to_owned(),
            |e| format!("{} {}", signed(e.mean), bracketed(e.t_interval)),
        );
        if let Some(p) = c.p_holm {
            text += &format!(", p\u{a0}{}", p_text(p));
        }
        let decided = matches!(c.verdict, Verdict::Above | Verdict::Below);
        Row {
            label: format!(
                "{} \u{2212} {}",
                title(experiment, &c.arms.a),
                title(experiment, &c.arms.b)
            ),
            text,
            class: if decided { "k-blue" } else { "k-grey" }.to_owned(),
            points: estimate
                .iter()
                .flat_map(|e| e.differences.iter().map(|d| d.difference))
                .collect(),
            mean: estimate.map(|e| e.mean),
            interval: estimate.map(|e| ends(e.t_interval)),
            wide: c.simultaneous_interval.map(ends),
        }
    };
    RowChart {
        title: format!("{}: differences in {}", family.title(), endpoint.title()),
        note: "points (1 point = 0.01); blue: a difference was detected".to_owned(),
        label: Label::Points,
        about_zero: true,
        sides: Some((
            "\u{2190} second is higher".to_owned(),
            "first is higher \u{2192}".to_owned(),
        )),
        rows: of_endpoint.map(row).collect(),
    }
}

fn arms(
    experiment: &ExperimentConfig,
    family: &Family,
    result: &FamilyResult,
    runs: &[RunResult],
) -> Vec<Figure> {
    let draw = |endpoint: Endpoint| {
        let of_endpoint = result.arms.iter().filter(|a| a.endpoint == endpoint);
        let row = |a: &chipmill_schemas::comparison::ArmResult| Row {
            label: title(experiment, &a.arm).to_owned(),
            text: match (a.mean, a.std) {
                (Some(mean), Some(std)) => {
                    format!("{} (sd {})", percent(mean), fixed(std * 100.0, 1))
                }
                (Some(mean), None) => percent(mean),
                _ => "no run yet".to_owned(),
            },
            class: experiment
                .arm(&a.arm)
                .map_or_else(String::new, |arm| class(experiment, arm)),
            points: runs
                .iter()
                .filter(|r| r.family == family.name && r.arm == a.arm)
                .filter_map(|r| r.values.get(&endpoint).copied())
                .collect(),
            mean: a.mean,
            interval: a.interval.map(ends),
            wide: None,
        };
        Figure {
            name: format!("arms-{}-{}", family.name, endpoint.name()),
            svg: RowChart {
                title: format!("{}: {}", family.title(), endpoint.title()),
                note: format!(
                    "mean over seeds, {}\u{a0}% t interval",
                    level_of(experiment)
                ),
                label: Label::Percent,
                about_zero: false,
                sides: None,
                rows: of_endpoint.map(row).collect(),
            }
            .draw(),
            caption: "Each arm by itself. Seeds are paired: whether two arms differ is to be read \
                      from the differences, not from whether these intervals overlap."
                .to_owned(),
        }
    };
    experiment.endpoints.all().map(draw).collect()
}

/// Confusion matrices of the encoder's linear probe, summed over the seeds that count.
fn confusion(folder: &ComparisonFolder, family: &Family) -> Vec<Figure> {
    let draw = |arm: &Arm| {
        let mut counts: Vec<Vec<u64>> = Vec::new();
        let mut classes = Vec::new();
        let mut seeds = 0;
        for run in folder.arm(&family.name, &arm.name) {
            let Ok(probe) = endpoint::last_probe(run, &folder.experiment) else {
                continue;
            };
            let entry = probe.entries.iter().find(|e| e.name == "encoder");
            let Some(Scores::SingleLabel(scores)) = entry.map(|e| &e.scores) else {
                continue;
            };
            add(&mut counts, &scores.confusion);
            classes.clone_from(&probe.classes);
            seeds += 1;
        }
        (seeds > 0).then(|| Figure {
            name: format!("confusion-{}-{}", family.name, arm.name),
            svg: HeatMap {
                title: format!("{}, {}", arm.title(), family.title()),
                note: format!("test rows of {} together", counted(seeds, "seed", "seeds")),
                classes,
                counts,
            }
            .draw(),
            caption:
                "Rows are the true class, columns the predicted one; the shade is the share of \
                      the row."
                    .to_owned(),
        })
    };
    folder.experiment.arms_of(family).filter_map(draw).collect()
}

fn add(sum: &mut Vec<Vec<u64>>, more: &[Vec<u64>]) {
    if sum.is_empty() {
        *sum = more.to_vec();
        return;
    }
    for (row, other) in sum.iter_mut().zip(more) {
        row.iter_mut().zip(other).for_each(|(a, b)| *a += b);
    }
}

fn feature_map(name: &str, map: &FeatureMap) -> Figure {
    let cloud = |(number, label): (usize, &String)| {
        let of_class = map.points.iter().filter(|p| p.2 as usize == number);
        Cloud {
            label: label.clone(),
            class: colour_class(Colour::ALL[number % Colour::ALL.len()]).to_owned(),
            points: of_class.map(|&(x, y, _)| (x, y)).collect(),
        }
    };
    Figure {
        name: format!("features-{}", file_part(name)),
        svg: Scatter {
            title: map.title.clone(),
            note: map.method.clone(),
            clouds: map.classes.iter().enumerate().map(cloud).collect(),
        }
        .draw(),
        caption: format!(
            "{} patches; the few that lie far off are drawn on the border. Two dimensions show some of what \
             is near to what, and nothing of how far apart classes are.",
            grouped(map.points.len() as u64)
        ),
    }
}
