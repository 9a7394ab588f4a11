//! Three sentences to quote: what was asked, what came out, and what it is worth.

use chipmill_schemas::comparison::{
    ComparisonReport, ComparisonResult, Estimate, Interval, PredictionOutcome, RunStanding, Verdict,
};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};

use super::read::ComparisonFolder;
use crate::number::{counted, fixed, float, grouped};

/// Names of runs that a remark spells out.
const NAMED_RUNS: usize = 6;
/// Comparisons without a difference that a sentence spells out.
const NAMED_LEVEL: usize = 3;

pub(super) fn sentences(folder: &ComparisonFolder, report: &ComparisonReport) -> Vec<String> {
    vec![
        asked(folder),
        came_out(&folder.experiment, report),
        worth(&folder.experiment, report),
    ]
}

fn asked(folder: &ComparisonFolder) -> String {
    let experiment = &folder.experiment;
    let random = experiment.arms.iter().filter(|a| a.random_encoder).count();
    let trained = experiment.arms.len() - random;
    let arms = counted(trained as u64, "arm was", "arms were");
    let beside = match random {
        0 => "",
        _ => ", beside the encoder as it was initialised",
    };
    let families: Vec<&str> = experiment.families.iter().map(|f| f.title()).collect();
    let environment = |r: &super::ComparisonRun| r.folder.as_ref()?.environment.clone();
    let patches = folder
        .runs
        .iter()
        .filter_map(environment)
        .map(|e| e.patches)
        .max();
    let patches = match patches.filter(|&p| p > 0) {
        Some(patches) => format!(" on {}", counted(patches, "patch", "patches")),
        None => String::new(),
    };
    let steps = folder
        .runs
        .iter()
        .map(super::ComparisonRun::max_steps)
        .max();
    let target = match experiment.probe.target() {
        Some(labels) if labels.starts_with("labels-") => {
            format!("the {}-class labels", labels.trim_start_matches("labels-"))
        }
        Some(task) => task,
        None => experiment.probe.task.clone().unwrap_or_default(),
    };
    format!(
        "{} To find out, {arms} pretrained{patches} for {} with {} each, at {}{beside}, and judged by the \
         {} of a classifier of frozen features on {target} (split {}) {}.",
        question(&experiment.question),
        counted(steps.unwrap_or(0), "step", "steps"),
        counted(experiment.seeds.len() as u64, "seed", "paired seeds"),
        and(&families),
        experiment.endpoints.primary.title(),
        experiment.probe.split.name(),
        when(experiment),
    )
}

fn question(text: &str) -> String {
    let text = text.trim();
    match text.ends_with(['?', '.', '!']) {
        true => text.to_owned(),
        false => format!("{text}?"),
    }
}

fn when(experiment: &ExperimentConfig) -> String {
    match experiment.endpoints.primary {
        Endpoint::EarlyArea => format!(
            "over the first {} of the steps",
            crate::number::percent(experiment.endpoints.early_share)
        ),
        _ => "at the last checkpoint".to_owned(),
    }
}

fn came_out(experiment: &ExperimentConfig, report: &ComparisonReport) -> String {
    let counted_runs = report
        .runs
        .iter()
        .filter(|r| r.standing == RunStanding::Counted)
        .count() as u64;
    let all = report.runs.len() as u64;
    let parts: Vec<String> = report
        .families
        .iter()
        .filter_map(|f| {
            let of_primary = f
                .comparisons
                .iter()
                .filter(|c| c.endpoint == report.primary);
            let words = family_words(experiment, &of_primary.collect::<Vec<_>>())?;
            let title = experiment.family(&f.name).map_or("", |f| f.title());
            Some(format!("at {title}, {words}"))
        })
        .collect();
    let what = if parts.is_empty() {
        "no comparison can be judged yet".to_owned()
    } else {
        parts.join("; ")
    };
    if report.complete {
        format!("{}.", capital(&what))
    } else {
        format!(
            "So far {} of {} are finished and scored; {what}.",
            grouped(counted_runs),
            counted(all, "run", "runs")
        )
    }
}

/// What the comparisons of one family say; `None` when none can be judged yet.
fn family_words(experiment: &ExperimentConfig, results: &[&ComparisonResult]) -> Option<String> {
    let mut words: Vec<String> = Vec::new();
    let mut level: Vec<String> = Vec::new();
    for result in results {
        let Some(estimate) = &result.estimate else {
            continue;
        };
        let (a, b) = (
            title(experiment, &result.arms.a),
            title(experiment, &result.arms.b),
        );
        let interval = range(estimate.t_interval);
        match result.verdict {
            Verdict::Above | Verdict::Below => words.push(format!(
                "{a} is {} {b} by {} points ({}\u{a0}% interval {interval}{})",
                if estimate.mean > 0.0 {
                    "above"
                } else {
                    "below"
                },
                fixed((estimate.mean * 100.0).abs(), 1),
                level_of(experiment),
                p_words(result),
            )),
            Verdict::NoDifference => level.push(level_words(
                experiment,
                (a, b),
                result,
                estimate,
                level.is_empty(),
            )),
            Verdict::EstimateOnly => words.push(format!(
                "{a} minus {b} is {} points ({}\u{a0}% interval {interval}, not judged)",
                signed(estimate.mean),
                level_of(experiment),
            )),
            Verdict::Incomplete => {}
        }
    }
    match level.len() {
        0 => {}
        few if few <= NAMED_LEVEL => words.push(format!(
            "no difference was detected between {}",
            level.join(", nor between ")
        )),
        many => words.push(format!(
            "no difference was detected in {} comparisons, whose {}\u{a0}% intervals lie within {}",
            grouped(many as u64),
            level_of(experiment),
            hull(results)
        )),
    }
    (!words.is_empty()).then(|| and(&words.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// The range of all intervals without a detected difference.
fn hull(results: &[&ComparisonResult]) -> String {
    let level = results
        .iter()
        .filter(|r| r.verdict == Verdict::NoDifference);
    let intervals = level.filter_map(|r| Some(r.estimate.as_ref()?.t_interval));
    let hull = intervals.reduce(|a, b| Interval {
        low: a.low.min(b.low),
        high: a.high.max(b.high),
    });
    hull.map(range).unwrap_or_default()
}

/// Two arms without a detected difference, and what remains possible. An interval that excludes 0 is
/// that of one comparison alone; it needs the word that the correction does not bear it out.
fn level_words(
    experiment: &ExperimentConfig,
    (a, b): (&str, &str),
    result: &ComparisonResult,
    estimate: &Estimate,
    first: bool,
) -> String {
    let interval = estimate.t_interval;
    let name = match first {
        true => format!("{}\u{a0}% interval ", level_of(experiment)),
        false => String::new(),
    };
    let alone = interval.is_above_zero() || interval.is_below_zero();
    let but = if alone {
        p_words(result)
    } else {
        String::new()
    };
    format!("{a} and {b} ({name}{}{but})", range(interval))
}

fn worth(experiment: &ExperimentConfig, report: &ComparisonReport) -> String {
    let mut parts = Vec::new();
    let all = report.predictions.len() as u64;
    if all > 0 {
        let count = |outcome| {
            let same = |p: &&_| -> bool {
                let p: &chipmill_schemas::comparison::PredictionResult = p;
                p.outcome == outcome
            };
            report.predictions.iter().filter(same).count() as u64
        };
        let outcomes = [
            (PredictionOutcome::Met, "met"),
            (PredictionOutcome::Contradicted, "contradicted"),
            (PredictionOutcome::Unresolved, "left open"),
            (PredictionOutcome::Incomplete, "not judged yet"),
        ];
        let said: Vec<String> = outcomes
            .into_iter()
            .filter(|(outcome, _)| count(*outcome) > 0)
            .map(|(outcome, word)| format!("{} {word}", counted(count(outcome), "was", "were")))
            .collect();
        parts.push(format!(
            "of {} written down beforehand, {}",
            counted(all, "prediction", "predictions"),
            and(&said.iter().map(String::as_str).collect::<Vec<_>>())
        ));
    }
    if !report.complete {
        parts.push("what the seeds can resolve is known when all runs are there".to_owned());
    } else if let Some(alone) = median_resolvable(report) {
        parts.push(format!(
            "{} find a true difference of {} points in one comparison four times out of five (median \
             over the comparisons), so that a smaller one may well exist where none was detected",
            counted(experiment.seeds.len() as u64, "seed", "seeds"),
            fixed(alone * 100.0, 1)
        ));
    }
    format!("{}.", capital(&parts.join("; ")))
}

/// The middle one of what the primary comparisons can resolve alone.
fn median_resolvable(report: &ComparisonReport) -> Option<f64> {
    let of_primary = report
        .families
        .iter()
        .flat_map(|f| &f.comparisons)
        .filter(|c| c.endpoint == report.primary);
    let mut found: Vec<f64> = of_primary.filter_map(|c| Some(c.power?.alone)).collect();
    found.sort_by(f64::total_cmp);
    let upper = *found.get(found.len() / 2)?;
    Some(f64::midpoint(found[(found.len() - 1) / 2], upper))
}

pub(super) fn title<'a>(experiment: &'a ExperimentConfig, arm: &'a str) -> &'a str {
    experiment.arm(arm).map_or(arm, |a| a.title())
}

/// The level of the intervals in percent.
pub(super) fn level_of(experiment: &ExperimentConfig) -> String {
    let percent = (1.0 - experiment.statistics.alpha) * 100.0;
    let decimals = usize::from((percent - percent.round()).abs() > 1e-9);
    fixed(percent, decimals)
}

/// A difference in points with its sign.
pub(super) fn signed(difference: f64) -> String {
    crate::number::points(difference)
}

/// `−0.5 to +1.9`
pub(super) fn range(interval: Interval) -> String {
    format!("{} to {}", signed(interval.low), signed(interval.high))
}

/// The interval of a difference as the report's tables have it.
pub(super) fn bracketed(interval: Interval) -> String {
    format!("[{}, {}]", signed(interval.low), signed(interval.high))
}

/// p with as many digits as it has.
pub(super) fn p_text(p: f64) -> String {
    match p {
        p if p < 1e-4 => crate::number::short(p),
        p if p < 0.1 => fixed(p, 4),
        p => fixed(p, 3),
    }
}

fn p_words(result: &ComparisonResult) -> String {
    let corrected = result
        .p_holm
        .map(|p| format!(", corrected p = {}", p_text(p)));
    corrected.unwrap_or_default()
}

/// What an estimate says in one phrase, for the table of predictions.
pub(super) fn estimate_words(estimate: &Estimate) -> String {
    format!(
        "{} {}",
        signed(estimate.mean),
        bracketed(estimate.t_interval)
    )
}

pub(super) fn listed_runs(names: &[&str], words: &str) -> String {
    let shown = names.iter().take(NAMED_RUNS).copied().collect::<Vec<_>>();
    let rest = names.len() - shown.len();
    let more = match rest {
        0 => String::new(),
        rest => format!(" and {} more", grouped(rest as u64)),
    };
    let verb = match (names.len(), words.split_once(' ')) {
        (1, Some(("are", rest))) => format!("is {rest}"),
        (1, Some(("were", rest))) => format!("was {rest}"),
        (1, Some(("have", rest))) => format!("has {rest}"),
        _ => words.to_owned(),
    };
    let noun = counted(names.len() as u64, "run", "runs");
    format!("{noun} {verb}: {}{more}.", shown.join(", "))
}

/// `a, b and c`
pub(super) fn and(words: &[&str]) -> String {
    match words.split_last() {
        None => String::new(),
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + chars.as_str()
    })
}

/// Median of some seconds, for what a run takes.
pub(super) fn median_seconds(report: &ComparisonReport) -> Option<f64> {
    let mut seconds: Vec<f64> = report.runs.iter().filter_map(|r| r.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let upper = *seconds.get(seconds.len() / 2)?;
    Some(f64::midpoint(seconds[(seconds.len() - 1) / 2], upper))
}

/// Seconds of training of all runs together.
pub(super) fn total_seconds(report: &ComparisonReport) -> Option<f64> {
    let seconds: Vec<f64> = report.runs.iter().filter_map(|r| r.seconds).collect();
    let total: f64 = seconds.iter().sum();
    (float(seconds.len() as u64) > 0.0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::comparison::{PairedDifference, SignFlip};
    use chipmill_schemas::experiment::Comparison;

    fn result(low: f64, high: f64) -> ComparisonResult {
        let interval = Interval { low, high };
        ComparisonResult {
            arms: Comparison {
                a: "a".to_owned(),
                b: "b".to_owned(),
            },
            endpoint: Endpoint::ProbeAccuracy,
            estimate: Some(Estimate {
                differences: vec![PairedDifference {
                    seed: 0,
                    difference: low,
                }],
                mean: f64::midpoint(low, high),
                std: 0.01,
                t_interval: interval,
                bca_interval: interval,
                p: 0.04,
                p_method: SignFlip::Exact,
            }),
            simultaneous_interval: None,
            p_holm: Some(0.16),
            verdict: Verdict::NoDifference,
            power: None,
        }
    }

    fn experiment() -> ExperimentConfig {
        let text = "name = \"n\"\nquestion = \"q\"\nseeds = [0]\n[probe]\ntask = \"notes4\"\n\
                    [[arm]]\nname = \"a\"\n[[arm]]\nname = \"b\"\n[[family]]\nname = \"f\"\n";
        toml::from_str(text).unwrap()
    }

    #[test]
    fn an_interval_that_excludes_zero_alone_is_not_passed_off_as_level() {
        let experiment = experiment();
        let words = |result: &ComparisonResult| {
            family_words(&experiment, &[result])
                .unwrap()
                .replace('\u{a0}', " ")
        };
        assert_eq!(
            words(&result(0.001, 0.009)),
            "no difference was detected between a and b (95 % interval +0.1 to +0.9, corrected p = 0.160)"
        );
        assert_eq!(
            words(&result(-0.001, 0.009)),
            "no difference was detected between a and b (95 % interval \u{2212}0.1 to +0.9)"
        );
    }

    #[test]
    fn lists_of_runs_read_well() {
        assert_eq!(
            listed_runs(&["x"], "were interrupted"),
            "1 run was interrupted: x."
        );
        let many = ["a", "b", "c", "d", "e", "f", "g", "h"];
        assert_eq!(
            listed_runs(&many, "are finished but not scored"),
            "8 runs are finished but not scored: a, b, c, d, e, f and 2 more."
        );
    }
}
