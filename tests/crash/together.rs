//! Many processes on one store.

use std::process::{Child, Stdio};

use super::{Case, Form};

fn code(child: &mut Child) -> Option<i32> {
    child.wait().unwrap().code()
}

#[test]
fn of_many_ingests_of_one_plan_one_does_each_unit_and_all_succeed() {
    for (form, processes) in [(Form::Folder, 2), (Form::Folder, 8), (Form::Shuffled, 8)] {
        let case = Case::new(form);
        let store = case.path("store");
        let start = |_| case.ingest(&store, 1).spawn().unwrap();
        let mut children: Vec<_> = (0..processes).map(start).collect();
        let codes: Vec<_> = children.iter_mut().map(code).collect();
        assert_eq!(codes, vec![Some(0); processes], "{form:?}");
        case.assert_whole(&store, &format!("{processes} processes, {form:?}"));
        let units = std::path::Path::new(&store).join(".ingest/units");
        let records = std::fs::read_dir(units).unwrap();
        let records = records.filter(|e| {
            let path = e.as_ref().unwrap().path();
            path.extension().is_some_and(|e| e == "json")
        });
        assert_eq!(records.count(), 8, "one record for each unit");
    }
}

#[test]
fn one_that_waits_goes_on_when_the_working_one_is_killed() {
    let case = Case::new(Form::Archive);
    let store = case.path("store");
    let mut first = case.ingest(&store, 1).spawn().unwrap();
    let mut second = case.ingest(&store, 1).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(60));
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!(code(&mut second), Some(0));
    case.assert_whole(&store, "after the first was killed");
}

#[test]
fn of_ingests_of_different_plans_one_wins_and_the_others_are_refused_by_what_differs() {
    let case = Case::new(Form::Folder);
    for round in 0..4 {
        let store = case.path(&format!("store-{round}"));
        let start = |codec: &str| {
            let mut command = case.ingest(&store, 1);
            command.args(["--codec", codec]).stderr(Stdio::piped());
            command.spawn().unwrap()
        };
        let children = ["lz4", "zstd", "lz4", "zstd"].map(start);
        let ends = children.map(|c| c.wait_with_output().unwrap());
        let codes: Vec<_> = ends.iter().map(|e| e.status.code()).collect();
        let by_winner = [[0, 2, 0, 2], [2, 0, 2, 0]].map(|c| c.map(Some).to_vec());
        assert!(by_winner.contains(&codes), "{codes:?}");
        for end in ends.iter().filter(|e| !e.status.success()) {
            let text = String::from_utf8_lossy(&end.stderr);
            assert!(text.contains("another plan (codec was"), "{text}");
        }
        if codes[0] == Some(0) {
            case.assert_whole(&store, "the winner's store");
        }
        let report = crate::support::json(&["verify", &store, "--json"], 0);
        assert_eq!(report["patches"], 60);
    }
}
