//! Comparisons that are whole, partial, odd and broken; the differences put into them are known.

use std::fs;
use std::path::Path;

use chipmill_report::compare::{ComparisonFolder, judge};
use chipmill_schemas::comparison::{
    ComparisonReport, ComparisonResult, ControlResult, PredictionOutcome, RunStanding, Verdict,
};
use chipmill_schemas::experiment::{Endpoint, ExperimentConfig};

use crate::compare_page::report_page;
use crate::compared;

pub(crate) fn experiment() -> ExperimentConfig {
    compared::experiment().unwrap()
}

pub(crate) fn read(out: &Path) -> ComparisonFolder {
    ComparisonFolder::read(out).unwrap()
}

fn complete(change: impl FnOnce(&mut ExperimentConfig)) -> ComparisonReport {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    change(&mut experiment);
    compared::write_complete(folder.path(), &experiment).unwrap();
    judge::judge(&read(folder.path()))
}

fn result<'a>(
    report: &'a ComparisonReport,
    family: &str,
    a: &str,
    b: &str,
    endpoint: Endpoint,
) -> &'a ComparisonResult {
    let family = report.families.iter().find(|f| f.name == family).unwrap();
    let same = |c: &&ComparisonResult| c.arms.a == a && c.arms.b == b && c.endpoint == endpoint;
    family.comparisons.iter().find(same).unwrap()
}

#[test]
fn known_differences_are_found_and_what_is_level_is_not() {
    let report = complete(|_| {});
    assert!(
        report.complete && report.remarks.is_empty(),
        "{:?}",
        report.remarks
    );
    let verdict = |family, a, b| result(&report, family, a, b, Endpoint::ProbeAccuracy).verdict;
    assert_eq!(verdict("b32", "dcl", "simclr"), Verdict::Above);
    assert_eq!(verdict("b32", "simclr", "random"), Verdict::Above);
    assert_eq!(
        verdict("b32", "dclw-stop", "dclw-pass"),
        Verdict::NoDifference
    );
    let dcl = result(&report, "b32", "dcl", "simclr", Endpoint::ProbeAccuracy);
    let estimate = dcl.estimate.as_ref().unwrap();
    for difference in &estimate.differences {
        let expected = compared::accuracy("b32", "dcl", difference.seed)
            - compared::accuracy("b32", "simclr", difference.seed);
        assert!((difference.difference - expected).abs() < 1e-12);
    }
    assert_eq!(
        (estimate.p, dcl.p_holm),
        (2.0 / 256.0, Some(4.0 * 2.0 / 256.0))
    );
    assert!(estimate.t_interval.low < 0.03 && estimate.t_interval.high > 0.03);
    let wide = dcl.simultaneous_interval.unwrap();
    assert!(wide.low < estimate.t_interval.low && wide.high > estimate.t_interval.high);
}

#[test]
fn controls_stand_beside_the_arms_and_are_named_where_no_arm_reaches_them() {
    let report = complete(|_| {});
    let control = |name: &str, endpoint| {
        let same = |c: &&ControlResult| c.control == name && c.endpoint == endpoint;
        report.controls.iter().find(same)
    };
    let bands = control("band_statistics", Endpoint::ProbeAccuracy).unwrap();
    assert_eq!((bands.runs, bands.std), (8, Some(0.0)));
    assert!((bands.mean - compared::BAND_STATISTICS).abs() < 1e-12);
    assert!(control("majority", Endpoint::ProbeBalancedAccuracy).is_some());
    // kNN and early area are the encoder's alone, and the random encoder is an arm already.
    assert!(control("band_statistics", Endpoint::ProbeKnn).is_none());
    assert!(control("random_encoder", Endpoint::ProbeAccuracy).is_none());

    let folder = tempfile::tempdir().unwrap();
    compared::write_complete(folder.path(), &experiment()).unwrap();
    for seed in 0..8 {
        let path = folder
            .path()
            .join(format!("runs/b32-random-s{seed}/probe/notes4.json"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("0.72", "0.93")).unwrap();
    }
    let beaten = judge::judge(&read(folder.path()));
    let [remark] = &beaten.remarks[..] else {
        panic!("{:?}", beaten.remarks)
    };
    assert!(
        remark.starts_with(
            "No arm reaches band statistics (93.0\u{a0}%): the best, DCL, has a mean accuracy of"
        ),
        "{remark}"
    );

    // That labels help is no remark on the arms.
    for seed in 0..8 {
        let run = format!("runs/b32-random-s{seed}/probe/notes4.json");
        let path = folder.path().join(run);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("band_statistics", "supervised")).unwrap();
    }
    let beaten = judge::judge(&read(folder.path()));
    assert!(beaten.remarks.is_empty(), "{:?}", beaten.remarks);
    let is_shown = |c: &ControlResult| c.control == "supervised" && c.mean > 0.92;
    assert!(beaten.controls.iter().any(is_shown));
}

#[test]
fn the_mirrored_comparison_has_the_mirrored_verdict() {
    let there = complete(|_| {});
    let back = complete(|e| {
        let swap = &mut e.families[0].comparisons[0];
        std::mem::swap(&mut swap.a, &mut swap.b);
    });
    let a = result(&there, "b32", "dcl", "simclr", Endpoint::ProbeAccuracy);
    let b = result(&back, "b32", "simclr", "dcl", Endpoint::ProbeAccuracy);
    let means = [a, b].map(|c| c.estimate.as_ref().unwrap().mean);
    assert!((means[0] + means[1]).abs() < 1e-12);
    assert_eq!((a.verdict, b.verdict), (Verdict::Above, Verdict::Below));
    assert_eq!(a.p_holm, b.p_holm);
    // The prediction speaks of DCL above SimCLR in both.
    assert_eq!(back.predictions[0].outcome, PredictionOutcome::Met);
}

#[test]
fn predictions_are_held_against_what_was_measured() {
    let outcomes = |report: &ComparisonReport| -> Vec<PredictionOutcome> {
        report.predictions.iter().map(|p| p.outcome).collect()
    };
    use PredictionOutcome::{Contradicted, Met, Unresolved};
    assert_eq!(
        outcomes(&complete(|_| {})),
        [Met, Met, Met, Met, Unresolved]
    );
    let turned = complete(|e| {
        use chipmill_schemas::experiment::Expectation::{Above, Below};
        for prediction in &mut e.predictions {
            prediction.expect = match prediction.expect {
                Above => Below,
                Below => Above,
                level => level,
            };
        }
        e.predictions[3].within = Some(0.0005);
    });
    assert_eq!(
        outcomes(&turned),
        [
            Contradicted,
            Contradicted,
            Contradicted,
            Unresolved,
            Unresolved
        ]
    );
}

#[test]
fn lagging_early_is_seen_in_the_area_and_not_at_the_end() {
    let report = complete(|_| {});
    let early = result(
        &report,
        "b32",
        "dclw-stop",
        "dclw-pass",
        Endpoint::EarlyArea,
    );
    let end = result(
        &report,
        "b32",
        "dclw-stop",
        "dclw-pass",
        Endpoint::ProbeAccuracy,
    );
    assert_eq!(
        (early.verdict, end.verdict),
        (Verdict::Above, Verdict::NoDifference)
    );
}

#[test]
fn nothing_is_judged_before_all_seeds_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment();
    compared::write_complete(folder.path(), &experiment).unwrap();
    fs::remove_dir_all(folder.path().join("runs/b32-simclr-s7")).unwrap();
    let report = judge::judge(&read(folder.path()));
    let dcl = result(&report, "b32", "dcl", "simclr", Endpoint::ProbeAccuracy);
    assert_eq!((dcl.verdict, dcl.p_holm), (Verdict::Incomplete, None));
    assert_eq!(dcl.estimate.as_ref().unwrap().differences.len(), 7);
    assert_eq!(report.predictions[0].outcome, PredictionOutcome::Incomplete);
    // The other family is whole.
    let other = result(&report, "b128", "dcl", "simclr", Endpoint::ProbeAccuracy);
    assert_eq!(other.verdict, Verdict::NoDifference);
}

#[test]
fn a_family_that_asks_for_estimates_alone_is_not_judged() {
    let report = complete(|e| e.families[0].verdicts = false);
    let dcl = result(&report, "b32", "dcl", "simclr", Endpoint::ProbeAccuracy);
    assert_eq!((dcl.verdict, dcl.p_holm), (Verdict::EstimateOnly, None));
    assert!(dcl.estimate.is_some());
    assert!(
        report.sentences[1].contains("not judged"),
        "{:?}",
        report.sentences
    );
}

#[test]
fn the_score_is_that_of_the_last_checkpoint_and_never_of_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment();
    compared::write_complete(folder.path(), &experiment).unwrap();
    let before = judge::judge(&read(folder.path()));
    // A row in the middle that is better than every other.
    let path = folder.path().join("runs/b32-simclr-s0/metrics.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().nth(15).unwrap();
    let score = line.split("\"probe_accuracy\":").nth(1).unwrap();
    let score = score.split([',', '}']).next().unwrap();
    fs::write(&path, text.replace(score, "0.999")).unwrap();
    let after = judge::judge(&read(folder.path()));
    let of =
        |r: &ComparisonReport| result(r, "b32", "dcl", "simclr", Endpoint::ProbeAccuracy).clone();
    assert_eq!(of(&before), of(&after));
}

#[test]
fn runs_that_are_missing_partial_failed_or_different_are_shown_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let experiment = experiment();
    compared::write_partial(out, &experiment).unwrap();
    let runs = out.join("runs");
    let config = runs.join("b32-simclr-s0/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(
        &config,
        text.replace("temperature = 0.1", "temperature = 1.0"),
    )
    .unwrap();
    fs::remove_dir_all(runs.join("b32-dcl-s0/probe")).unwrap();
    fs::write(runs.join("b32-dclw-stop-s0/status.json"), "{").unwrap();
    let probe = runs.join("b32-dclw-pass-s0/probe/notes4.json");
    let text = fs::read_to_string(&probe).unwrap();
    fs::write(&probe, text.replace("\"step\":400", "\"step\":200")).unwrap();
    let report = judge::judge(&read(out));
    let run = |name: &str| report.runs.iter().find(|r| r.folder == name).unwrap();
    for (name, standing, message) in [
        (
            "b32-simclr-s0",
            RunStanding::Different,
            "loss.temperature is 1.0, the experiment asks for 0.1",
        ),
        ("b32-dcl-s0", RunStanding::NotScored, "has not been probed"),
        ("b32-dclw-stop-s0", RunStanding::Failed, "status.json"),
        (
            "b32-dclw-pass-s0",
            RunStanding::NotScored,
            "of step 200, not of the last step 400",
        ),
    ] {
        let run = run(name);
        assert_eq!(run.standing, standing, "{name}");
        assert!(
            run.message.as_ref().unwrap().contains(message),
            "{:?}",
            run.message
        );
        assert!(run.values.is_empty(), "{name}");
    }
    assert_eq!(run("b32-simclr-s7").standing, RunStanding::Missing);
    assert_eq!(run("b32-random-s0").standing, RunStanding::Counted);
    let standings: Vec<RunStanding> = report.runs.iter().map(|r| r.standing).collect();
    assert!(
        standings.contains(&RunStanding::Running) && standings.contains(&RunStanding::Interrupted)
    );
    let page = report_page(out);
    for words in [
        "another configuration",
        "not scored",
        "at work, or killed",
        "27 of 72 runs",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains(&out.display().to_string()));
}

#[test]
fn different_stores_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    compared::write_complete(folder.path(), &experiment()).unwrap();
    let path = folder.path().join("runs/b32-simclr-s3/environment.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("9f2c1b7d", "00000000")).unwrap();
    let report = judge::judge(&read(folder.path()));
    assert!(
        report.remarks[0].contains("2 different stores"),
        "{:?}",
        report.remarks
    );
}

#[test]
fn a_family_more_does_not_change_the_figures_of_another() {
    let both = complete(|_| {});
    let one = complete(|e| {
        e.families.truncate(1);
        e.predictions
            .retain(|p| p.family == "b32" && p.than_in.is_none());
    });
    assert_eq!(both.families[0], one.families[0]);
}

#[test]
fn several_labels_a_patch_are_compared_by_average_precision() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    (experiment.probe.task, experiment.probe.labels) = (None, Some(19));
    experiment.probe.classifiers.truncate(1);
    experiment.endpoints.primary = Endpoint::ProbeMacroAp;
    experiment.endpoints.secondary = vec![Endpoint::ProbeMicroAp, Endpoint::ProbeMacroF1];
    experiment.predictions.retain(|p| p.endpoint.is_none());
    compared::write_complete(folder.path(), &experiment).unwrap();
    let page = report_page(folder.path());
    assert!(
        page.contains("judged by the macro AP of a classifier of frozen features on the 19-class")
    );
    let report = judge::judge(&read(folder.path()));
    let dcl = result(&report, "b32", "dcl", "simclr", Endpoint::ProbeMacroAp);
    assert_eq!(dcl.verdict, Verdict::Above);
}

#[test]
fn what_came_out_fits_into_a_sentence_however_many_comparisons_there_are() {
    let report = complete(|e| {
        for arm in &mut e.arms {
            arm.name = format!("{}-level", arm.name);
        }
        let names: Vec<String> = e.arms.iter().take(4).map(|a| a.name.clone()).collect();
        let pair = |(i, j): (usize, usize)| chipmill_schemas::experiment::Comparison {
            a: names[i].clone(),
            b: names[j].clone(),
        };
        e.families.truncate(1);
        e.families[0].comparisons = [(0, 1), (0, 2), (0, 3), (1, 2)].map(pair).to_vec();
        e.predictions.clear();
    });
    let sentence = &report.sentences[1];
    assert!(
        sentence.starts_with("At batch 32, no difference was detected in 4 comparisons, whose 95"),
        "{sentence}"
    );
}
