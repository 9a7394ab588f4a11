//! Pages, tables and files of comparisons.

use std::fs;
use std::path::Path;

use chipmill_report::ReportError;
use chipmill_report::compare::{ComparisonFolder, judge, render, write_comparison};
use chipmill_schemas::comparison::ComparisonReport;
use chipmill_schemas::run::RunState;

use crate::compare::{experiment, read};
use crate::{compared, drawing};

/// Writes the report and gives its page back, every drawing checked.
pub(crate) fn report_page(out: &Path) -> String {
    let page = fs::read_to_string(write_comparison(out).unwrap().0).unwrap();
    drawing::check_all(&page);
    for entry in fs::read_dir(out.join("plots")).unwrap() {
        drawing::check(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    page
}

#[test]
fn the_whole_report_has_every_part_and_needs_nothing_from_anywhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    compared::write_complete(out, &experiment()).unwrap();
    compared::write_extras(out).unwrap();
    let page = report_page(out);
    for part in [
        "DCL is above SimCLR by 3.",
        "no difference was detected between DCLW stop and DCLW pass",
        "Of 5 predictions written down beforehand, 4 were met and 1 was left open",
        "Smooth the lines",
        "id=\"curve-b32\"",
        "id=\"differences-b32-probe_accuracy\"",
        "id=\"q-b32\"",
        "id=\"rank-me-b128\"",
        "id=\"confusion-b32-dclw-stop\"",
        "id=\"gradients-q\"",
        "id=\"features-b32-simclr-s0\"",
        "data:image/png;base64,",
        "chipmill compare experiment.toml --store data/sample-v1.zarr",
        "AMD EPYC 7R13",
        "Band statistics",
    ] {
        assert!(page.contains(part), "{part}");
    }
    let own = page
        .replace("xmlns=\"http://www.w3.org/2000/svg\"", "")
        .replace("src=\"data:image/png;base64,", "");
    for forbidden in ["http:", "https:", "<script", "src=", "url(", "@import"] {
        assert!(!own.contains(forbidden), "{forbidden}");
    }
    for file in [
        "comparison.json",
        "runs.csv",
        "comparisons.csv",
        "curves.csv",
        "plots/curve-b32.svg",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    let json = fs::read_to_string(out.join("comparison.json")).unwrap();
    let written: ComparisonReport = serde_json::from_str(&json).unwrap();
    assert_eq!(written, judge::judge(&read(out)));
}

#[test]
fn the_markdown_has_whole_tables_and_pictures_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    compared::write_complete(out, &experiment()).unwrap();
    compared::write_extras(out).unwrap();
    let report = write_comparison(out).unwrap().1;
    let text = fs::read_to_string(out.join("results.md")).unwrap();
    let pictures = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let pictures: Vec<&str> = pictures.map(|(path, _)| path).collect();
    assert!(pictures.len() >= 6, "{pictures:?}");
    for picture in pictures {
        assert!(out.join(picture).is_file(), "{picture}");
    }
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with('|')).collect();
    for table in rows.chunk_by(|a, b| a.matches('|').count() == b.matches('|').count()) {
        assert!(
            table.len() >= 3 && table[1].starts_with("|---"),
            "{table:?}"
        );
    }
    let compared: usize = report.families.iter().map(|f| f.comparisons.len()).sum();
    let verdicts = ["| above |", "| below |", "| no difference detected |"];
    let judged = verdicts.map(|v| text.matches(v).count());
    assert_eq!(judged.iter().sum::<usize>(), compared);
    for part in [
        "*Band statistics* | 72.0 % (0.0)",
        "left open",
        "AMD EPYC 7R13",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn tables_have_one_line_each_and_the_same_cells() {
    let folder = tempfile::tempdir().unwrap();
    compared::write_partial(folder.path(), &experiment()).unwrap();
    let rendered = render(&read(folder.path()));
    let table = |name: &str| {
        let file = rendered.files.iter().find(|f| f.0 == name).unwrap();
        String::from_utf8(file.1.clone()).unwrap()
    };
    for (name, lines) in [("runs.csv", 72), ("comparisons.csv", (4 + 2) * 4)] {
        let text = table(name);
        assert_eq!(text.lines().count(), 1 + lines, "{name}");
    }
    for name in ["comparisons.csv", "curves.csv"] {
        let text = table(name);
        let cells = text.lines().next().unwrap().matches(',').count();
        assert!(
            text.lines().all(|l| l.matches(',').count() == cells),
            "{name}"
        );
    }
}

#[test]
fn the_same_comparison_gives_the_same_bytes_wherever_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let render = |name: &str| {
        let out = folder.path().join(name);
        compared::write_complete(&out, &experiment()).unwrap();
        compared::write_extras(&out).unwrap();
        write_comparison(&out).unwrap();
        // A second report does not read what the first has written.
        write_comparison(&out).unwrap();
        let rendered = render(&read(&out));
        for (file, bytes) in &rendered.files {
            assert!(fs::read(out.join(file)).unwrap() == *bytes, "{file}");
        }
        rendered
    };
    assert!(render("a/comparison") == render("b/c/d"));
}

#[test]
fn a_comparison_without_a_single_run_renders() {
    let folder = tempfile::tempdir().unwrap();
    compared::write_experiment(folder.path(), &experiment()).unwrap();
    let page = report_page(folder.path());
    assert!(page.contains("So far 0 of 72 runs are finished and scored"));
    assert!(page.contains("No run was probed during training."));
}

#[test]
fn one_seed_renders_without_intervals() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.seeds = vec![5];
    experiment
        .families
        .iter_mut()
        .for_each(|f| f.verdicts = false);
    compared::write_complete(folder.path(), &experiment).unwrap();
    let page = report_page(folder.path());
    assert!(page.contains("made-up"));
    let report = judge::judge(&read(folder.path()));
    assert!(
        report.families[0]
            .comparisons
            .iter()
            .all(|c| c.estimate.is_none())
    );
}

#[test]
fn words_from_outside_cannot_break_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut experiment = experiment();
    experiment.question = "</p><script>alert(1)</script>".to_owned();
    experiment.arms[0].label = Some("<img src=x>".to_owned());
    experiment.predictions[0].text = "</table><script>".to_owned();
    compared::write_complete(folder.path(), &experiment).unwrap();
    let page = report_page(folder.path());
    assert!(!page.contains("<script") && !page.contains("<img"));
}

#[test]
fn a_broken_experiment_or_extra_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let error = ComparisonFolder::read(out).unwrap_err();
    assert!(
        matches!(error, ReportError::NotAComparison { .. }),
        "{error}"
    );
    compared::write_partial(out, &experiment()).unwrap();
    let broken = |file: &str, text: &[u8], words: &str| {
        let path = out.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let before = fs::read(&path).ok();
        fs::write(&path, text).unwrap();
        let error = ComparisonFolder::read(out).unwrap_err().to_string();
        assert!(error.contains(words), "{file}: {error}");
        before
            .map_or_else(|| fs::remove_file(&path), |b| fs::write(&path, b))
            .unwrap();
    };
    broken("experiment.toml", b"nme = \"x\"", "did you mean `name`");
    broken("gradients.json", b"{}", "a study of gradients");
    broken("features/a.json", b"{\"titel\": 1}", "a map of features");
    broken("sheets/a.png", b"GIF89a", "does not begin as a PNG file");
    ComparisonFolder::read(out).unwrap();
}

#[test]
fn a_run_at_work_that_has_not_logged_yet_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let experiment = experiment();
    compared::write_experiment(folder.path(), &experiment).unwrap();
    let run = experiment.runs().next().unwrap();
    compared::write_run(folder.path(), &experiment, &run, RunState::Running, 0).unwrap();
    report_page(folder.path());
}
