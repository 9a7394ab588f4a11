//! Reports of whole, odd and broken run folders.

use std::fs;
use std::path::Path;

use chipmill_report::{ReportError, RunFolder, html, write_report};
use chipmill_schemas::config::{LossKind, PretrainConfig, WeightGradient};
use chipmill_schemas::probe::{Choose, Chosen, Intervals, ProbeEntry, Scores};
use chipmill_schemas::run::{InitialWeights, MetricsRow, RunState};

use crate::{drawing, made};

/// Writes the report and gives it back, every drawing in it checked.
fn report(run: &Path) -> String {
    let page = fs::read_to_string(write_report(run).unwrap()).unwrap();
    drawing::check_all(&page);
    for entry in fs::read_dir(run.join("plots")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "svg" {
            drawing::check(&fs::read_to_string(path).unwrap());
        }
    }
    page
}

/// The text of the first paragraph of the summary and after, without markup.
fn words(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.replace('\u{a0}', " ").chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text
}

#[test]
fn a_whole_run_is_summed_up_in_sentences_to_quote() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("small-seed-3");
    made::write_whole(&run).unwrap();
    let text = words(&report(&run));
    for sentence in [
        "A small encoder of width 16 was pretrained with SimCLR's loss (temperature 0.1) on 3,040 \
         patches for 2,000 steps of 64 pairs (43 epochs), 5 min 13 s on cpu; its views are 64 px \
         wide, of all 12 bands, with the notes preset's augmentations.",
        "On notes4, a linear classifier of its frozen features has an accuracy of 85.3 % (95 % \
         interval 80.9 to 88.9) on 300 test patches: 19.3 points above a random encoder (66.0 %), \
         10.7 points above band statistics (74.7 %) and 41.7 points above the majority class \
         (43.7 %).",
        "On the 19-class labels, a linear classifier of its frozen features has a macro AP of",
        "optimiser steps (dotted: resumed)",
        "chipmill pretrain --store data/sample-v1.zarr --config runs/small-seed-3/config.toml \
         --run runs/small-seed-3-again --device cpu",
        "chipmill probe --run runs/small-seed-3-again --store data/sample-v1.zarr --task notes4 \
         --split i_mod_3",
        "--labels 19 --split official --choose fixed --set c=0.5",
        "Left out: 17 with several of the classes.",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
    let names: Vec<String> = [
        "loss",
        "embedding_std",
        "probe-notes4",
        "confusion-notes4",
        "ap-labels-19",
    ]
    .map(|n| format!("plots/{n}.svg"))
    .to_vec();
    for name in names
        .iter()
        .map(String::as_str)
        .chain(["plots/metrics.csv"])
    {
        assert!(run.join(name).exists(), "{name}");
    }
}

#[test]
fn a_report_needs_nothing_from_anywhere_else() {
    let folder = tempfile::tempdir().unwrap();
    made::write_whole(folder.path()).unwrap();
    let page = report(folder.path());
    let page = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for forbidden in ["http:", "https:", "<script", "src=", "url(", "@import"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let runs = ["a/run", "b/c/run"].map(|name| folder.path().join(name));
    let read = |run: &Path| {
        made::write_whole(run).unwrap();
        write_report(run).unwrap();
        write_report(run).unwrap();
        let mut files: Vec<_> = fs::read_dir(run.join("plots"))
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        files.sort();
        files.push(run.join("report.html"));
        let names: Vec<_> = files
            .iter()
            .map(|f| f.file_name().unwrap().to_owned())
            .collect();
        let bytes: Vec<Vec<u8>> = files.iter().map(|f| fs::read(f).unwrap()).collect();
        (names, bytes)
    };
    assert!(read(&runs[0]) == read(&runs[1]));
}

#[test]
fn a_collapsed_run_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    made::write_collapsed(folder.path()).unwrap();
    let text = words(&report(folder.path()));
    for part in [
        "Collapsed: at step 1,000 the projections' standard deviation is 1.96e\u{2212}5",
        "Failed after 1,000 of 2,000 steps: checkpoints/step-1000: No space left on device. The \
         newest checkpoint is of step 1,000.",
        "Training waited for data 41.0 % of its time",
        "The encoder has not been probed, so nothing is known yet of its features.",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
}

#[test]
fn a_healthy_run_is_not_called_collapsed() {
    let folder = tempfile::tempdir().unwrap();
    made::write_whole(folder.path()).unwrap();
    assert!(!report(folder.path()).contains("Collapsed"));
}

#[test]
fn a_run_with_one_row_and_no_environment_renders() {
    let folder = tempfile::tempdir().unwrap();
    let status = made::status(RunState::Interrupted, 10);
    let row = made::row(10, 0);
    made::write(
        folder.path(),
        &made::config(),
        None,
        Some(&status),
        &[row],
        &[],
    )
    .unwrap();
    let text = words(&report(folder.path()));
    assert!(
        text.contains("Interrupted on request after 10 of 2,000 steps. There is no checkpoint.")
    );
    assert!(text.contains("Not recorded: there is no environment.json."));
    assert!(folder.path().join("plots/loss.svg").exists());
}

#[test]
fn a_run_that_wrote_only_its_configuration_renders() {
    let folder = tempfile::tempdir().unwrap();
    made::write(folder.path(), &made::config(), None, None, &[], &[]).unwrap();
    let text = words(&report(folder.path()));
    assert!(text.contains("was to be pretrained"), "{text}");
    assert!(text.contains("There is no status.json"));
    assert!(text.contains("No metrics were logged, so there are no curves."));
}

#[test]
fn a_run_that_diverged_is_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let diverge = |k: u64| MetricsRow {
        loss: if k < 5 { 4.0 } else { f64::NAN },
        gradient_norm: f64::INFINITY,
        embedding_std: f64::NAN,
        ..made::row(k, 0)
    };
    let rows: Vec<MetricsRow> = (1..20).map(diverge).collect();
    let status = made::status(RunState::Running, 19);
    made::write(
        folder.path(),
        &made::config(),
        None,
        Some(&status),
        &rows,
        &[],
    )
    .unwrap();
    let text = words(&report(folder.path()));
    assert!(text.contains("Diverged: the loss is not a number from the row at step 5 on."));
    assert!(text.contains("no finite value was logged"));
    assert!(text.contains("Not finished: running, or killed"));
}

#[test]
fn every_loss_and_kind_of_view_has_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let mut config: PretrainConfig = toml::from_str(
        "[view]\nbands = [\"B04\", \"B03\"]\npreset = \"none\"\n[encoder]\nkind = \"resnet18\"",
    )
    .unwrap();
    config.loss.kind = LossKind::Dclw;
    config.loss.weight_gradient = WeightGradient::Pass;
    made::write(
        folder.path(),
        &config,
        Some(&made::environment()),
        None,
        &[made::row(1, 0)],
        &[],
    )
    .unwrap();
    let text = words(&report(folder.path()));
    let sentence = "A ResNet-18 was pretrained with weighted DCL (temperature 0.1, sigma 0.5, \
                    gradient passed through the weight) on 3,040 patches for 1 of 1,000 steps of 128 \
                    pairs";
    assert!(text.contains(sentence), "{text}");
    assert!(
        text.contains("of the bands B04, B03, with no augmentations."),
        "{text}"
    );
}

#[test]
fn intervals_and_chosen_settings_stand_beside_the_scores_they_belong_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = made::probe_notes4();
    let bounds = |entry: &ProbeEntry, behind| Intervals {
        resamples: 1_000,
        scores: entry
            .scores
            .named()
            .into_iter()
            .map(|(name, v)| (name.to_owned(), [v - 0.05, v + 0.03]))
            .collect(),
        ap_by_class: Vec::new(),
        behind,
    };
    probe.config.choose = Choose::Validation;
    for (place, entry) in probe.entries.iter_mut().enumerate() {
        entry.intervals = Some(bounds(entry, (place > 0).then_some([-0.011, 0.042])));
        entry.chosen = Some(Chosen {
            rows: 120,
            score: 0.875,
            c: Some(0.01),
            ..Chosen::default()
        });
    }
    let write = |environment| {
        made::write(
            folder.path(),
            &made::config(),
            environment,
            None,
            &[],
            &[probe.clone()],
        )
        .unwrap();
        words(&report(folder.path()))
    };
    let text = write(None);
    for sentence in [
        "an accuracy of 85.3 % (95 % interval 80.3 to 88.3) on 300 test patches",
        "C, and kNN's neighbours and temperature, were chosen on the validation rows.",
        "C = 0.01, chosen: 87.5 % on the rows for that.",
        "85.3 %80.3 to 88.3",
        "\u{2212}1.1 to +4.2",
        "1,000 resamples of the test patches",
        "--choose validation",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in {text}");
    }
    // Weights from elsewhere are part of how to repeat it.
    let mut environment = made::environment();
    environment.initial_weights = Some(InitialWeights {
        path: "resnet.safetensors".to_owned(),
        blake3: "ab".repeat(32),
    });
    let text = write(Some(&environment));
    assert!(
        text.contains("--weights resnet.safetensors --device cpu"),
        "{text}"
    );
}

#[test]
fn names_from_outside_cannot_break_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = made::probe_notes4();
    probe.classes[1] = "<script>alert(1)</script> & \"rock\"".to_owned();
    probe.entries[0].description = "</table><img src=x>".to_owned();
    let mut status = made::status(RunState::Failed, 3);
    status.message = Some("</p><script>".to_owned());
    made::write(
        folder.path(),
        &made::config(),
        None,
        Some(&status),
        &[],
        &[probe.clone()],
    )
    .unwrap();
    let page = report(folder.path());
    assert!(!page.contains("<script") && !page.contains("<img"));

    probe.target = "../../outside".to_owned();
    fs::write(
        folder.path().join("probe/notes4.json"),
        serde_json::to_string(&probe).unwrap(),
    )
    .unwrap();
    report(folder.path());
    assert!(folder.path().join("plots/probe-------outside.svg").exists());
}

#[test]
fn a_probe_without_finite_scores_renders() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = made::probe_nineteen();
    if let Scores::MultiLabel(scores) = &mut probe.entries[0].scores {
        scores.ap_by_class.iter_mut().for_each(|ap| *ap = None);
        scores.scored_classes = 0;
    }
    probe.entries.truncate(1);
    made::write(
        folder.path(),
        &made::config(),
        None,
        None,
        &[],
        &[probe.clone()],
    )
    .unwrap();
    assert!(words(&report(folder.path())).contains("no positive test row"));
    probe.entries.clear();
    made::write(folder.path(), &made::config(), None, None, &[], &[probe]).unwrap();
    report(folder.path());
}

#[test]
fn the_last_row_of_a_step_counts_and_a_resume_replaces_what_was_lost() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [(10, 0), (20, 0), (30, 0), (40, 0), (20, 1), (30, 1)].map(|(s, a)| made::row(s, a));
    made::write(folder.path(), &made::config(), None, None, &rows, &[]).unwrap();
    let read = RunFolder::read(folder.path()).unwrap();
    let kept: Vec<(u64, u32)> = read.metrics.iter().map(|r| (r.step, r.attempt)).collect();
    assert_eq!(kept, [(10, 0), (20, 1), (30, 1)]);
}

#[test]
fn a_torn_last_line_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    made::write(
        folder.path(),
        &made::config(),
        None,
        None,
        &[made::row(10, 0)],
        &[],
    )
    .unwrap();
    let path = folder.path().join("metrics.jsonl");
    let whole = fs::read(&path).unwrap();
    for cut in 1..whole.len() - 1 {
        fs::write(&path, [&whole[..], &whole[..cut]].concat()).unwrap();
        let read = RunFolder::read(folder.path()).unwrap();
        assert_eq!(
            (read.metrics.len(), read.torn_lines),
            (1, 1),
            "cut after {cut} bytes"
        );
    }
    assert!(words(&report(folder.path())).contains("1 line of metrics.jsonl was cut off"));
}

#[test]
fn a_folder_that_is_no_run_is_an_error_that_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| {
        let error = write_report(path).unwrap_err();
        assert!(matches!(error, ReportError::NotARun { .. }), "{error}");
        error.to_string()
    };
    assert!(message(folder.path()).contains("is an empty folder; expected a run folder"));
    assert!(message(&folder.path().join("nowhere")).contains("does not exist"));
    fs::write(folder.path().join("zarr.json"), "{}").unwrap();
    assert!(message(folder.path()).contains("has no config.toml (it holds zarr.json)"));
    assert!(message(&folder.path().join("zarr.json")).contains("is a file"));
}

#[test]
fn a_broken_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let broken = |file: &str, text: &str| {
        made::write_whole(folder.path()).unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        let error = write_report(folder.path()).unwrap_err().to_string();
        assert!(error.contains(file), "{error}");
        error
    };
    assert!(broken("config.toml", "seeed = 1").contains("did you mean `seed`"));
    assert!(broken("status.json", "{\"state\": \"done\"}").contains("expected the run's status"));
    assert!(broken("environment.json", "[").contains("expected the run's environment"));
    made::write_whole(folder.path()).unwrap();
    let row = serde_json::to_string(&made::row(1, 0)).unwrap();
    let error = broken("metrics.jsonl", &format!("{row}\nnot a row\n{row}\n"));
    assert!(error.contains("metrics.jsonl, line 2"), "{error}");
    assert!(broken("probe/notes4.json", "{}").contains("expected the result of a probe"));
}

#[test]
fn the_page_is_made_of_the_folder_alone() {
    let folder = tempfile::tempdir().unwrap();
    made::write_whole(folder.path()).unwrap();
    let read = RunFolder::read(folder.path()).unwrap();
    let before = html::page(&read);
    write_report(folder.path()).unwrap();
    assert_eq!(html::page(&RunFolder::read(folder.path()).unwrap()), before);
    assert!(!before.contains(&folder.path().parent().unwrap().display().to_string()));
}

#[test]
fn a_probe_before_training_is_no_divergence_and_probes_have_a_curve() {
    let folder = tempfile::tempdir().unwrap();
    let before = MetricsRow {
        probe_accuracy: Some(0.4),
        ..MetricsRow::unmeasured(0, 0)
    };
    let after = MetricsRow {
        probe_accuracy: Some(0.6),
        q_mean: Some(0.3),
        ..made::row(10, 0)
    };
    made::write(
        folder.path(),
        &made::config(),
        None,
        None,
        &[before, after],
        &[],
    )
    .unwrap();
    let text = words(&report(folder.path()));
    assert!(!text.contains("Diverged"), "{text}");
    assert!(text.contains("Probe during training") && text.contains("last: 60.0 %"));
    assert!(folder.path().join("plots/q.svg").exists());
    assert!(!folder.path().join("plots/rank_me.svg").exists());
}
