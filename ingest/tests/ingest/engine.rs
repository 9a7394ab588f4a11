//! Plan, work, finalize: what an engine calls gives what one process gives.

use std::path::Path;
use std::slice::from_ref;
use std::sync::atomic::AtomicBool;

use chipmill_ingest::{IngestError, IngestOptions, Silent, finalize, plan, work};
use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::{IngestSummary, PlanSummary, UnitSummary};

use crate::support::*;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn planned(options: &IngestOptions) -> Result<PlanSummary, IngestError> {
    plan(options, &GO_ON, &Silent)
}

fn worked(store: &Path, unit: u64) -> Result<UnitSummary, IngestError> {
    work(store, from_ref(&(unit..unit + 1)), 1, &GO_ON, &Silent).map(|mut done| done.remove(0))
}

fn finalized(store: &Path) -> Result<IngestSummary, IngestError> {
    finalize(store, 1, &GO_ON, &Silent)
}

#[test]
fn units_in_any_order_and_side_by_side_give_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &v2(23));
    let (summary, expected) = stored(&options(&at("raw"), &at("whole")));
    let plan = planned(&options(&at("raw"), &at("units"))).unwrap();
    assert_eq!((plan.units, plan.patches), (6, 23));
    let store = at("units");
    // Every unit twice, last ones first: each pair races for one record.
    std::thread::scope(|scope| {
        for unit in (0..6).rev().flat_map(|u| [u, u]) {
            let store = &store;
            scope.spawn(move || assert_eq!(worked(store, unit).unwrap().unit, unit));
        }
    });
    assert!(worked(&store, 5).unwrap().was_finished);
    assert_eq!(
        timeless(finalized(&store).unwrap()),
        timeless(summary.clone())
    );
    assert_same(&objects(&store), &expected);
    assert_eq!(timeless(finalized(&store).unwrap()), timeless(summary));
}

#[test]
fn late_defects_are_recorded_by_their_unit_and_dealt_with_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut patches = v2(13);
    patches[5].band(Band::B11).truncate(500);
    patches[9] = patches[9].clone().without(Band::B01);
    write_folder(&at("raw"), &patches);
    let (summary, expected) = stored(&options(&at("raw"), &at("whole")));
    let plan = planned(&options(&at("raw"), &at("units"))).unwrap();
    assert_eq!((plan.patches, plan.quarantined), (12, 1));
    for unit in 0..plan.units {
        let done = worked(&at("units"), unit).unwrap();
        assert_eq!(done.quarantined, u64::from(unit == 1));
    }
    let finalized = finalized(&at("units")).unwrap();
    assert_eq!(finalized.quarantined, 2);
    assert_eq!(timeless(finalized), timeless(summary));
    assert_same(&objects(&at("units")), &expected);
}

#[test]
fn steps_out_of_turn_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &v2(9));
    std::fs::write(at("archive"), tar(&v2(9))).unwrap();
    let store = at("store");
    let unplanned = worked(&store, 0).unwrap_err().to_string();
    assert!(unplanned.contains("ingest plan"), "{unplanned}");

    let first = planned(&options(&at("raw"), &store)).unwrap();
    assert_eq!(planned(&options(&at("raw"), &store)).unwrap(), first);
    worked(&store, 1).unwrap();
    match finalized(&store) {
        Err(IngestError::Unfinished { units }) => assert_eq!(units, [0, 2]),
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        worked(&store, 3),
        Err(IngestError::NoUnit { unit: 3, units: 3 })
    ));
    let other = IngestOptions {
        shard_patches: 5,
        ..options(&at("raw"), &store)
    };
    let refused = planned(&other).unwrap_err().to_string();
    assert!(refused.contains("shard_patches was 4, now 5"), "{refused}");

    let archive = planned(&options(&at("archive"), &at("other"))).unwrap_err();
    assert!(matches!(archive, IngestError::NoUnits { .. }), "{archive}");
    assert!(!at("other").exists());
    // One process may take over where an engine stopped.
    assert_eq!(run(&options(&at("raw"), &store)).unwrap().patches, 9);
}

#[test]
fn a_range_of_units_is_worked_on_with_one_reading_of_the_plan_and_may_reach_beyond_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &v2(23));
    let (_, expected) = stored(&options(&at("raw"), &at("whole")));
    planned(&options(&at("raw"), &at("units"))).unwrap();
    let store = at("units");
    let work = |units: &[std::ops::Range<u64>]| {
        let done = work(&store, units, 1, &GO_ON, &Silent)?;
        Ok::<_, IngestError>(done.into_iter().map(|u| u.unit).collect::<Vec<_>>())
    };
    assert!(matches!(
        work(&[0..2, 6..9]),
        Err(IngestError::NoUnit { unit: 6, units: 6 })
    ));
    assert!(
        !worked(&store, 0).unwrap().was_finished,
        "a wrong list is refused whole"
    );
    assert_eq!(work(&[4..8, 1..4]).unwrap(), [4, 5, 1, 2, 3]);
    finalized(&store).unwrap();
    assert_same(&objects(&store), &expected);
}

#[test]
fn a_plan_of_another_version_is_refused_by_name_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &v2(9));
    let store = at("store");
    planned(&options(&at("raw"), &store)).unwrap();
    let path = store.join(".ingest/plan.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let this = concat!("chipmill ", env!("CARGO_PKG_VERSION"));
    let signed = format!("\"writer\":\"{this}\"");
    assert!(text.contains(&signed), "{text}");
    let layout = "\"layout\":\"2\"";
    let others = [
        (
            text.replace(&signed, "\"writer\":\"chipmill 9.9.9\""),
            "chipmill 9.9.9",
        ),
        (
            text.replace(&format!("{signed},"), ""),
            "an earlier version",
        ),
        // Of another layout, nothing but its name is understood.
        (
            text.replace(layout, "\"layout\":\"3\"")
                .replace("\"folders\"", "\"trees\"")
                .replace(&signed, "\"writer\":\"chipmill 2.0.0\""),
            "chipmill 2.0.0",
        ),
    ];
    for (other, name) in others {
        assert_ne!(other, text);
        std::fs::write(&path, &other).unwrap();
        for refused in [
            worked(&store, 0).unwrap_err(),
            finalized(&store).unwrap_err(),
        ] {
            let said = refused.to_string();
            assert!(said.contains(name) && said.contains(this), "{said}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), other);
    }
    std::fs::write(&path, &text).unwrap();
    worked(&store, 0).unwrap();
}

#[test]
fn a_machine_that_does_not_see_the_source_quarantines_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    write_folder(&at("raw"), &v2(9));
    let store = at("store");
    planned(&options(&at("raw"), &store)).unwrap();
    std::fs::rename(at("raw"), at("away")).unwrap();
    let refused = worked(&store, 1).unwrap_err();
    assert!(
        matches!(refused, IngestError::NoSourceHere { .. }),
        "{refused}"
    );
    std::fs::rename(at("away"), at("raw")).unwrap();
    assert_eq!(worked(&store, 1).unwrap().quarantined, 0);
}
