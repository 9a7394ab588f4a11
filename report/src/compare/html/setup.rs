//! The runs, how they were judged, where they were made, and how to repeat them.

use chipmill_schemas::comparison::{ComparisonReport, RunResult, RunStanding};
use chipmill_schemas::experiment::{ExperimentConfig, StatisticsConfig};
use maud::{Markup, html};

use super::super::read::ComparisonFolder;
use crate::html::setup::{facts, shell, value_of};
use crate::number::{duration, grouped, percent, short};

pub(super) fn runs(folder: &ComparisonFolder, report: &ComparisonReport) -> Markup {
    let primary = report.primary;
    html! {
        section {
            h2 { "Runs" }
            details open[!report.complete] {
                summary { "All " (grouped(report.runs.len() as u64)) " planned runs" }
                div.scroll {
                    table.dense {
                        thead {
                            tr {
                                th scope="col" { "Run" }
                                th.number scope="col" { "Seed" }
                                th scope="col" { "Standing" }
                                th.number scope="col" { "Steps" }
                                th.number scope="col" { (primary.title()) }
                                th.number scope="col" { "Training" }
                                th.number scope="col" { "Pairs/s" }
                                th.number scope="col" { "Data wait" }
                                th scope="col" { "Configuration" }
                            }
                        }
                        tbody { @for run in &report.runs { (run_row(run, report)) } }
                    }
                }
            }
            p.remark {
                "Training: seconds behind the logged rows. Data wait: share of that time spent waiting \
                 for the loader. Configuration: the beginning of the digest of " code { "config.toml" }
                "; runs of " (folder.experiment.name) " with the same one are the same run."
            }
        }
    }
}

fn run_row(run: &RunResult, report: &ComparisonReport) -> Markup {
    let (class, words) = standing(run.standing);
    let digest: String = run
        .config_digest
        .iter()
        .flat_map(|d| d.chars().take(10))
        .collect();
    let value = run.values.get(&report.primary);
    html! {
        tr {
            th scope="row" {
                (run.folder)
                @if let Some(message) = &run.message { span.what { (message) } }
            }
            td.number { (run.seed) }
            td { span.(class).nowrap { (words) } }
            td.number { (grouped(run.step)) " / " (grouped(run.max_steps)) }
            td.number { @if let Some(value) = value { (percent(*value)) } }
            td.number { @if let Some(seconds) = run.seconds { (duration(seconds)) } }
            td.number { @if let Some(rate) = run.pairs_per_s { (short(rate)) } }
            td.number { @if let Some(wait) = run.data_wait { (percent(wait)) } }
            td { code { (digest) } }
        }
    }
}

const fn standing(standing: RunStanding) -> (&'static str, &'static str) {
    match standing {
        RunStanding::Counted => ("good", "counted"),
        RunStanding::Missing => ("so-so", "missing"),
        RunStanding::Running => ("so-so", "at work, or killed"),
        RunStanding::Interrupted => ("so-so", "interrupted"),
        RunStanding::Failed => ("bad", "failed"),
        RunStanding::NotScored => ("so-so", "not scored"),
        RunStanding::Different => ("bad", "another configuration"),
    }
}

pub(super) fn statistics(experiment: &ExperimentConfig) -> Markup {
    let StatisticsConfig {
        alpha,
        resamples,
        key,
    } = experiment.statistics;
    html! {
        section {
            h2 { "How it was judged" }
            p {
                "The unit of replication is the seed: test patches are not replicates of training. Runs \
                 of one seed share initial weights, order of patches and augmentations, and differences \
                 are taken seed by seed, of the last checkpoint. p is that of the two-sided sign-flip \
                 permutation test of the mean, corrected by Holm over the comparisons of the family; a \
                 difference counts as detected when the corrected p is at most " (alpha) ". Intervals \
                 are Student's t of the paired differences; beside them the BCa bootstrap ("
                (grouped(resamples.into())) " resamples, key " (key) "), which covers less than it says \
                 with few seeds. \u{201c}No difference detected\u{201d} is no proof of none: the interval \
                 says what remains possible. What the seeds can resolve comes from the noncentral t \
                 distribution and the standard deviation observed."
            }
        }
    }
}

pub(super) fn environments(report: &ComparisonReport) -> Markup {
    html! {
        section {
            h2 { "Environment" }
            @if report.environments.is_empty() {
                p.remark { "Not recorded yet: no run has an environment.json." }
            }
            @for environment in &report.environments {
                dl.facts {
                    @for (name, value) in facts(environment) {
                        @if name != "Parameters" { div { dt { (name) } dd { (value) } } }
                    }
                }
            }
        }
    }
}

pub(super) fn repeat(folder: &ComparisonFolder, report: &ComparisonReport) -> Markup {
    let called = folder
        .runs
        .iter()
        .filter_map(|r| Some(&r.folder.as_ref()?.environment.as_ref()?.command))
        .find(|c| !c.is_empty());
    let called = called.map_or(&[][..], Vec::as_slice);
    let store = value_of(called, &["--store"]).unwrap_or_else(|| "STORE".to_owned());
    let again = |rest: &[&str]| {
        let words = ["chipmill", "compare", "experiment.toml", "--store", &store];
        let all: Vec<String> = words.iter().chain(rest).map(|w| (*w).to_owned()).collect();
        shell(&all)
    };
    html! {
        section {
            h2 { "How to repeat it" }
            @if !called.is_empty() {
                p.remark { "A run of it was started by" }
                pre { code { (shell(called)) } }
            }
            p.remark {
                "All of it once more, from the experiment kept in this folder. What is finished is not \
                 done again; parts can be done by several machines that share the folder:"
            }
            pre { code {
                (again(&["--out", "again"])) "\n"
                (again(&["--out", "again", "--seed", "0"])) "\n"
                (shell(&["chipmill", "report", "again"].map(str::to_owned)))
            } }
            @if let Some(first) = report.environments.first().filter(|e| !e.store_digest.is_empty()) {
                p.remark {
                    "It is the same only on the same store: its digest is " code { (first.store_digest) }
                    "."
                }
            }
            details {
                summary { "experiment.toml" }
                pre { code { (toml::to_string_pretty(&folder.experiment).unwrap_or_default()) } }
            }
        }
    }
}
