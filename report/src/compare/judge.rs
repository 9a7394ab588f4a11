//! From runs to estimates and verdicts. The rules stand in `docs/comparison.md`.

use std::collections::BTreeMap;

use chipmill_schemas::comparison::{
    ArmResult, ComparisonReport, ComparisonResult, Estimate, FamilyResult, PairedDifference,
    PowerNote, RunResult, RunStanding, Verdict,
};
use chipmill_schemas::experiment::{
    Comparison, Endpoint, ExperimentConfig, Family, StatisticsConfig, smallest_p,
};
use chipmill_schemas::run::Environment;

use super::read::{ComparisonFolder, ComparisonRun};
use super::{controls, endpoint, predict, sentences};
use crate::health;
use crate::statistics::random::Random;
use crate::statistics::{bootstrap, holm, mean, power, sign_flip, std, student};
use crate::summary;

/// Version of `comparison.json`.
const FORMAT: u32 = 1;
/// The power that notes speak of.
const POWER: f64 = 0.8;
/// Seeds asked for beyond this are not named.
const MOST_SEEDS: usize = 1_000;

/// Values by family, arm, endpoint and seed.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<(String, String, Endpoint), BTreeMap<u64, f64>>);

impl Values {
    fn of(runs: &[RunResult]) -> Self {
        let mut values = Self::default();
        for run in runs {
            for (&endpoint, &value) in &run.values {
                let key = (run.family.clone(), run.arm.clone(), endpoint);
                values.0.entry(key).or_default().insert(run.seed, value);
            }
        }
        values
    }

    fn arm(&self, family: &str, arm: &str, endpoint: Endpoint) -> BTreeMap<u64, f64> {
        let key = (family.to_owned(), arm.to_owned(), endpoint);
        self.0.get(&key).cloned().unwrap_or_default()
    }

    /// `a - b` for every seed that both have.
    pub(super) fn differences(
        &self,
        family: &str,
        arms: &Comparison,
        endpoint: Endpoint,
    ) -> Vec<PairedDifference> {
        let (a, b) = (
            self.arm(family, &arms.a, endpoint),
            self.arm(family, &arms.b, endpoint),
        );
        let pair = |(seed, value): (&u64, &f64)| {
            let difference = value - b.get(seed)?;
            Some(PairedDifference {
                seed: *seed,
                difference,
            })
        };
        a.iter().filter_map(pair).collect()
    }
}

/// Judges a comparison as it stands.
#[must_use]
pub fn judge(folder: &ComparisonFolder) -> ComparisonReport {
    let experiment = &folder.experiment;
    let runs: Vec<RunResult> = folder
        .runs
        .iter()
        .map(|r| run_result(r, experiment))
        .collect();
    let values = Values::of(&runs);
    let families: Vec<FamilyResult> = experiment
        .families
        .iter()
        .map(|f| family_result(experiment, f, &values))
        .collect();
    let predictions = predict::predictions(experiment, &families, &values);
    let mut report = ComparisonReport {
        format: FORMAT,
        program: format!("chipmill {}", env!("CARGO_PKG_VERSION")),
        name: experiment.name.clone(),
        question: experiment.question.clone(),
        complete: runs.iter().all(|r| r.standing == RunStanding::Counted),
        sentences: Vec::new(),
        primary: experiment.endpoints.primary,
        statistics: experiment.statistics.clone(),
        families,
        controls: controls::controls(folder),
        predictions,
        remarks: remarks(folder, &runs),
        environments: environments(folder),
        runs,
    };
    // Of a part of the runs it would speak too early.
    if report.complete {
        report.remarks.extend(controls::remark(experiment, &report));
    }
    report.sentences = sentences::sentences(folder, &report);
    report
}

fn run_result(run: &ComparisonRun, experiment: &ExperimentConfig) -> RunResult {
    let folder = run.folder.as_ref();
    let metrics = folder.map_or(&[][..], |f| &f.metrics);
    let environment = folder.and_then(|f| f.environment.as_ref());
    RunResult {
        folder: run.name.clone(),
        family: run.family.clone(),
        arm: run.arm.clone(),
        seed: run.seed,
        standing: run.standing,
        step: folder.map_or(0, summary::steps_done),
        max_steps: run.max_steps(),
        config_digest: environment.map(|e| e.config_digest.clone()),
        seconds: folder.and_then(summary::training_seconds),
        pairs_per_s: health::mean(metrics, |r| positive(r.pairs_per_s)),
        data_wait: health::mean(metrics, |r| {
            if r.pairs_per_s > 0.0 {
                r.data_wait
            } else {
                f64::NAN
            }
        }),
        values: endpoint::values(run, experiment),
        message: run.message.clone(),
    }
}

/// A row of a probe alone has no throughput.
fn positive(rate: f64) -> f64 {
    if rate > 0.0 { rate } else { f64::NAN }
}

fn family_result(experiment: &ExperimentConfig, family: &Family, values: &Values) -> FamilyResult {
    let statistics = &experiment.statistics;
    let endpoints: Vec<Endpoint> = experiment.endpoints.all().collect();
    let of_arm = |arm: &str, endpoint| {
        let found = values.arm(&family.name, arm, endpoint);
        let found: Vec<f64> = found.into_values().collect();
        ArmResult {
            arm: arm.to_owned(),
            endpoint,
            runs: found.len() as u64,
            mean: mean(&found),
            std: std(&found),
            interval: student::interval(&found, 1.0 - statistics.alpha),
        }
    };
    let arms = experiment
        .arms_of(family)
        .flat_map(|arm| endpoints.iter().map(|&e| of_arm(&arm.name, e)));
    let compared = endpoints
        .iter()
        .flat_map(|&e| compared(experiment, family, e, values));
    FamilyResult {
        name: family.name.clone(),
        verdicts: family.verdicts,
        smallest_p: smallest_p(experiment.seeds.len(), statistics.resamples),
        arms: arms.collect(),
        comparisons: compared.collect(),
    }
}

/// The comparisons of a family on one endpoint, corrected together.
fn compared(
    experiment: &ExperimentConfig,
    family: &Family,
    endpoint: Endpoint,
    values: &Values,
) -> Vec<ComparisonResult> {
    let statistics = &experiment.statistics;
    let count = family.comparisons.len();
    let corrected_alpha = statistics.alpha / crate::statistics::float(count.max(1));
    let estimates: Vec<Option<Estimate>> = family
        .comparisons
        .iter()
        .map(|arms| {
            let differences = values.differences(&family.name, arms, endpoint);
            let name = format!("{}/{}/{}/{}", family.name, arms.a, arms.b, endpoint.name());
            estimate(differences, statistics, &name)
        })
        .collect();
    let seeds = experiment.seeds.len();
    let whole = |e: &Option<Estimate>| e.as_ref().is_some_and(|e| e.differences.len() == seeds);
    let complete = estimates.iter().all(whole);
    let p: Vec<f64> = estimates.iter().flatten().map(|e| e.p).collect();
    let corrected = if complete { holm::holm(&p) } else { Vec::new() };
    let mut corrected = corrected.into_iter();
    let result = |(arms, estimate): (&Comparison, Option<Estimate>)| {
        let p_holm = corrected.next();
        let numbers: Vec<f64> = estimate.iter().flat_map(numbers).collect();
        ComparisonResult {
            arms: arms.clone(),
            endpoint,
            simultaneous_interval: student::interval(&numbers, 1.0 - corrected_alpha),
            p_holm: p_holm.filter(|_| family.verdicts),
            verdict: verdict(family, estimate.as_ref(), p_holm, statistics.alpha),
            power: estimate
                .as_ref()
                .and_then(|e| power_note(e, statistics.alpha, corrected_alpha)),
            estimate,
        }
    };
    family
        .comparisons
        .iter()
        .zip(estimates)
        .map(result)
        .collect()
}

fn numbers(estimate: &Estimate) -> impl Iterator<Item = f64> {
    estimate.differences.iter().map(|d| d.difference)
}

fn verdict(
    family: &Family,
    estimate: Option<&Estimate>,
    p_holm: Option<f64>,
    alpha: f64,
) -> Verdict {
    match (estimate, p_holm) {
        _ if !family.verdicts => Verdict::EstimateOnly,
        (Some(e), Some(p)) if p <= alpha && e.mean > 0.0 => Verdict::Above,
        (Some(e), Some(p)) if p <= alpha && e.mean < 0.0 => Verdict::Below,
        (Some(_), Some(_)) => Verdict::NoDifference,
        _ => Verdict::Incomplete,
    }
}

/// What paired differences say; `None` of fewer than two. `name` keys the resampling.
pub(super) fn estimate(
    differences: Vec<PairedDifference>,
    statistics: &StatisticsConfig,
    name: &str,
) -> Option<Estimate> {
    let numbers: Vec<f64> = differences.iter().map(|d| d.difference).collect();
    let level = 1.0 - statistics.alpha;
    let mut random = Random::named(statistics.key, name);
    let resamples = statistics.resamples;
    let bca_interval = bootstrap::bca_interval(&numbers, level, resamples, &mut random)?;
    let (p, p_method) = sign_flip::p_value(&numbers, resamples, &mut random);
    Some(Estimate {
        mean: mean(&numbers)?,
        std: std(&numbers)?,
        t_interval: student::interval(&numbers, level)?,
        bca_interval,
        p,
        p_method,
        differences,
    })
}

fn power_note(estimate: &Estimate, alpha: f64, corrected_alpha: f64) -> Option<PowerNote> {
    let seeds = estimate.differences.len();
    let resolvable = |alpha| Some(power::resolvable(seeds, alpha, POWER)? * estimate.std);
    let ratio = estimate.mean / estimate.std;
    let seeds_for_observed = if ratio.is_finite() {
        power::seeds_for(ratio, alpha, POWER, MOST_SEEDS).map(|n| n as u64)
    } else {
        None
    };
    Some(PowerNote {
        seeds: seeds as u64,
        power: POWER,
        alone: resolvable(alpha)?,
        in_family: resolvable(corrected_alpha)?,
        seeds_for_observed,
    })
}

/// The different places where runs were made.
fn environments(folder: &ComparisonFolder) -> Vec<Environment> {
    let mut found: Vec<Environment> = Vec::new();
    for environment in folder
        .runs
        .iter()
        .filter_map(|r| r.folder.as_ref()?.environment.as_ref())
    {
        let place = Environment {
            command: Vec::new(),
            config_digest: String::new(),
            parameters: 0,
            ..environment.clone()
        };
        // An arm that trains nothing selects no patches; that is no other place.
        let same = |known: &&mut Environment| {
            let untrained = known.patches == 0 || place.patches == 0;
            let patches = if untrained {
                known.patches
            } else {
                place.patches
            };
            **known
                == Environment {
                    patches,
                    ..place.clone()
                }
        };
        match found.iter_mut().find(same) {
            Some(known) => known.patches = known.patches.max(place.patches),
            None => found.push(place),
        }
    }
    found
}

fn remarks(folder: &ComparisonFolder, runs: &[RunResult]) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut stores: Vec<String> = environments(folder)
        .into_iter()
        .map(|e| e.store_digest)
        .collect();
    stores.sort();
    stores.dedup();
    if stores.len() > 1 {
        remarks.push(format!(
            "Runs were made on {} different stores, so that their differences are not of the arms \
             alone: make them again on one store.",
            stores.len()
        ));
    }
    let kinds = [
        (RunStanding::Failed, "failed"),
        (
            RunStanding::Different,
            "have another configuration than the experiment asks for",
        ),
        (RunStanding::NotScored, "are finished but not scored"),
        (RunStanding::Interrupted, "were interrupted"),
    ];
    for (standing, words) in kinds {
        let names: Vec<&str> = runs
            .iter()
            .filter(|r| r.standing == standing)
            .map(|r| r.folder.as_str())
            .collect();
        if !names.is_empty() {
            remarks.push(sentences::listed_runs(&names, words));
        }
    }
    remarks
}
