//! `SimCLR`'s and DCL's gradients beside each other over temperatures: measured, and in theory.
//!
//! The gradient of `SimCLR`'s term of an anchor is `q` times that of DCL's, with `q = U / (e^(s/T) + U)`,
//! `U` the sum over its `2 B - 2` negatives and `s` the cosine of its positive (C.-H. Yeh et al., arXiv
//! 2110.06848). Where q is near 1 for every anchor the two losses give the same step.

use chipmill_schemas::comparison::{GradientRow, GradientStudy};
use chipmill_schemas::experiment::Family;

use super::read::ComparisonFolder;
use crate::figures::Figure;
use crate::number::{counted, float};
use crate::plot::arms::{ArmChart, ArmSeries};
use crate::plot::lines::Include;
use crate::plot::scale::{Label, Spread};

const COLOURS: [&str; 5] = ["k-blue", "k-orange", "k-green", "k-violet", "k-teal"];

/// q for negatives like random directions in `dimensions` dimensions, whose cosines are nearly normal
/// with variance `1 / dimensions`: `U = (2 B - 2) exp(1 / (2 D T²))`.
#[must_use]
pub(super) fn typical_q(batch: u32, dimensions: u32, temperature: f64, positive: f64) -> f64 {
    let negatives = 2.0 * f64::from(batch) - 2.0;
    let log_u = negatives.ln() + (2.0 * f64::from(dimensions) * temperature * temperature).recip();
    1.0 / (1.0 + (positive / temperature - log_u).exp())
}

pub(super) fn figures(folder: &ComparisonFolder) -> Vec<Figure> {
    let Some(study) = &folder.gradients else {
        return Vec::new();
    };
    let note = format!(
        "{} a point, encoder not trained",
        counted(study.batches.into(), "batch", "batches")
    );
    let figure = |name: &str, title: &str, series, caption: &str| Figure {
        name: format!("gradients-{name}"),
        svg: ArmChart {
            title: title.to_owned(),
            note: note.clone(),
            x: "temperature".to_owned(),
            x_spread: Spread::Log,
            x_label: Label::Plain,
            label: Label::Plain,
            include: Include::Points,
            series,
        }
        .draw(),
        caption: caption.to_owned(),
    };
    let mut figures = vec![
        figure(
            "cosine",
            "Cosine between SimCLR's and DCL's gradients",
            each(folder, study, |r| r.cosine, |_| Vec::new()),
            "Gradients with respect to all projections of a batch. At 1 the two losses pull in the \
             same direction.",
        ),
        figure(
            "norm",
            "Length of SimCLR's gradient over DCL's",
            each(folder, study, |r| r.norm_ratio, |_| Vec::new()),
            "At 1 the two losses take the same step even without an optimiser that rescales it.",
        ),
        figure(
            "q",
            "q, the negatives' share of the denominator",
            each(folder, study, |r| r.q_mean, |rows| theory(study, rows)),
            "Line: mean over anchors; band: 5th to 95th percentile; dotted: theory, for the mean \
             cosine of the positives and negatives like random directions.",
        ),
    ];
    figures.extend(histograms(folder, study, &note));
    figures
}

/// Anchors by q, one figure a family: which temperatures leave a spread for a loss to act on.
fn histograms(folder: &ComparisonFolder, study: &GradientStudy, note: &str) -> Vec<Figure> {
    let draw = |family: &Family| {
        let mut rows: Vec<&GradientRow> = rows_of(study, family);
        rows.retain(|r| r.q_histogram.iter().sum::<u64>() > 0);
        let classes = COLOURS.into_iter().chain(["k-red", "k-brown", "k-grey"]);
        let series = rows
            .iter()
            .zip(classes.cycle())
            .map(|(row, class)| ArmSeries {
                label: format!("T = {}", row.temperature),
                class: class.to_owned(),
                line: shares(&row.q_histogram),
                ..ArmSeries::default()
            });
        let series: Vec<ArmSeries> = series.collect();
        (!series.is_empty()).then(|| Figure {
            name: format!("gradients-histogram-{}", family.name),
            svg: ArmChart {
                title: format!("{}: anchors by q", family.title()),
                note: note.to_owned(),
                x: "q".to_owned(),
                x_spread: Spread::Linear,
                x_label: Label::Plain,
                label: Label::Percent,
                include: Include::Zero,
                series,
            }
            .draw(),
            caption: "Share of the anchors in each bin of q. All at the right end: nothing \
                      distinguishes the two losses."
                .to_owned(),
        })
    };
    folder.experiment.families.iter().filter_map(draw).collect()
}

fn rows_of<'a>(study: &'a GradientStudy, family: &Family) -> Vec<&'a GradientRow> {
    let mine = |r: &&GradientRow| r.family == family.name;
    let mut rows: Vec<&GradientRow> = study.rows.iter().filter(mine).collect();
    rows.sort_by(|a, b| a.temperature.total_cmp(&b.temperature));
    rows
}

/// The middle of each bin and its share.
fn shares(bins: &[u64]) -> Vec<(f64, f64)> {
    let total = float(bins.iter().sum());
    let count = float(bins.len() as u64);
    let share = |(k, bin): (u64, &u64)| ((float(k) + 0.5) / count, float(*bin) / total);
    (0..).zip(bins).map(share).collect()
}

fn each(
    folder: &ComparisonFolder,
    study: &GradientStudy,
    value: fn(&GradientRow) -> f64,
    theory: impl Fn(&[&GradientRow]) -> Vec<(f64, f64)>,
) -> Vec<ArmSeries> {
    let families = folder
        .experiment
        .families
        .iter()
        .zip(COLOURS.into_iter().cycle());
    let series = |(family, class): (&Family, &str)| {
        let rows = rows_of(study, family);
        let line: Vec<(f64, f64)> = rows.iter().map(|r| (r.temperature, value(r))).collect();
        let theory = theory(&rows);
        let band = rows.iter().map(|r| (r.temperature, r.q_p5, r.q_p95));
        (!line.is_empty()).then(|| ArmSeries {
            label: family.title().to_owned(),
            class: class.to_owned(),
            points: line.clone(),
            line,
            band: if theory.is_empty() {
                Vec::new()
            } else {
                band.collect()
            },
            theory,
            ..ArmSeries::default()
        })
    };
    families.filter_map(series).collect()
}

fn theory(study: &GradientStudy, rows: &[&GradientRow]) -> Vec<(f64, f64)> {
    let of = |r: &&GradientRow| {
        let q = typical_q(
            r.batch_size,
            study.dimensions,
            r.temperature,
            r.positive_cosine,
        );
        (r.temperature, q)
    };
    rows.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typical_q_is_that_of_the_table_in_the_docs() {
        for (batch, temperature, positive, expected) in [
            (8, 0.1, 0.5, 0.103),
            (128, 0.1, 0.5, 0.675),
            (128, 0.1, 0.8, 0.094),
            (32, 0.2, 0.95, 0.360),
            (128, 1.0, 0.95, 0.990),
        ] {
            let q = typical_q(batch, 256, temperature, positive);
            assert!(
                (q - expected).abs() < 5.1e-4,
                "{batch} {temperature} {positive}: {q}"
            );
        }
    }
}
