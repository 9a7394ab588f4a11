//! Sentinel-1 beside Sentinel-2: the right radar patch in the right place, whatever form it comes in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::sync::atomic::AtomicBool;

use chipmill_ingest::sample::{ArchiveKind, SampleOptions, write};
use chipmill_ingest::{IngestError, IngestOptions, Silent};
use chipmill_schemas::band::Band;
use chipmill_schemas::ingest::IngestSummary;
use chipmill_schemas::patch_id::DatasetVersion;
use chipmill_schemas::s1::Polarisation;
use chipmill_store::{S1Pixels, StoreReader, verify};

use crate::resume::interrupted;
use crate::support::*;

const PATCHES: usize = 9;

fn sample(out: &Path, layout: DatasetVersion, archive: Option<ArchiveKind>) {
    write(&SampleOptions {
        out: out.to_owned(),
        layout,
        patches: PATCHES,
        seed: 3,
        archive,
        s1: true,
    })
    .unwrap();
}

fn with(sources: &[PathBuf], store: &Path) -> IngestOptions {
    IngestOptions {
        sources: sources.to_vec(),
        ..options(Path::new("unused"), store)
    }
}

/// The store and its summary without times, found sound.
fn sound(options: &IngestOptions) -> (IngestSummary, BTreeMap<PathBuf, Vec<u8>>) {
    let (summary, objects) = stored(options);
    let report = verify(&options.store, 1).unwrap();
    assert!(report.ok, "{:?}", report.defects);
    (timeless(summary), objects)
}

/// `[present, quarantined, missing, excluded]`
fn counts(summary: &IngestSummary) -> [u64; 4] {
    let s1 = summary.s1.as_ref().unwrap();
    [
        s1.s1_patches,
        s1.s1_quarantined,
        s1.s1_missing,
        s1.s1_excluded,
    ]
}

/// A folder of v2 patches and one of their Sentinel-1.
fn raw(dir: &Path, patches: &[Patch], s1: &[Patch]) -> [PathBuf; 2] {
    let folders = ["S2", "S1"].map(|name| dir.join(name));
    write_folder(&folders[0], patches);
    fs::create_dir_all(&folders[1]).unwrap();
    write_folder(&folders[1], s1);
    folders
}

fn archived(dir: &Path, name: &str, patches: &[Patch]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, tar(patches)).unwrap();
    path
}

#[test]
fn both_layouts_in_folders_and_archives_of_every_kind_give_byte_identical_stores() {
    for (layout, s2, s1) in [
        (
            DatasetVersion::V1,
            "BigEarthNet-v1.0",
            "BigEarthNet-S1-v1.0",
        ),
        (DatasetVersion::V2, "BigEarthNet-S2", "BigEarthNet-S1"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        sample(&at("folders"), layout, None);
        let tables = fs::read_dir(at("folders"))
            .unwrap()
            .map(|e| e.unwrap().path());
        let is_table = |p: &PathBuf| fs::metadata(p).is_ok_and(|m| m.is_file() && m.len() > 0);
        let tables: Vec<_> = tables.filter(is_table).collect();
        let of = |sources: &[PathBuf], store: &str, threads| IngestOptions {
            metadata: tables.clone(),
            threads,
            ..with(sources, &at(store))
        };
        let folders = [at("folders").join(s2), at("folders").join(s1)];
        let (summary, expected) = sound(&of(&folders, "expected", 1));
        assert_eq!(counts(&summary), [PATCHES as u64, 0, 0, 0], "{layout}");
        assert!(summary.notes.is_empty(), "{:?}", summary.notes);
        assert!(expected.contains_key(Path::new("s1/c.2.0.0.0")));
        each_has_the_pixels_of_its_own_file(&at("expected"), &folders[1]);

        let (s2_name, s1_name) = match layout {
            DatasetVersion::V1 => ("BigEarthNet-S2-v1.0", "BigEarthNet-S1-v1.0"),
            DatasetVersion::V2 => ("BigEarthNet-S2", "BigEarthNet-S1"),
        };
        for kind in ArchiveKind::ALL {
            let (name, end) = (format!("{layout:?}-{kind:?}"), kind.extension());
            sample(&at(&name), layout, Some(kind));
            let archives = [s2_name, s1_name].map(|n| at(&name).join(format!("{n}.{end}")));
            let all = of(&archives, &format!("{name}-a"), 2);
            assert_same(&sound(&all).1, &expected);
            // Folders and archives mixed, in any order.
            let mixed = [archives[1].clone(), folders[0].clone()];
            let mixed = of(&mixed, &format!("{name}-b"), 2);
            let (of_mixed, objects) = sound(&mixed);
            assert_same(&objects, &expected);
            assert_eq!(of_mixed, summary);
            let mixed = [archives[0].clone(), folders[1].clone()];
            let mixed = of(&mixed, &format!("{name}-c"), 1);
            assert_same(&sound(&mixed).1, &expected);
        }
        // A folder above both holds both.
        let above = of(&[at("folders")], "above", 2);
        let mut objects = sound(&above).1;
        let is_same = |(path, bytes): (&PathBuf, &mut Vec<u8>)| {
            // v2's reference maps lie there, too.
            let of_labels = path.starts_with("labels") || path.ends_with("patches.parquet");
            of_labels || path.ends_with("zarr.json") || expected.get(path) == Some(bytes)
        };
        assert!(objects.iter_mut().all(is_same));
    }
}

fn each_has_the_pixels_of_its_own_file(store: &Path, folder: &Path) {
    let reader = StoreReader::open(store).unwrap();
    let below = files(folder);
    let mut pixels = S1Pixels::absent();
    for (index, row) in (0u32..).zip(reader.table()) {
        assert!(reader.read_s1(index, &mut pixels).unwrap());
        let name = row.s1_name.unwrap();
        assert!(name.ends_with(&format!("_{}_{}", row.id.h(), row.id.v())));
        for polarisation in Polarisation::ALL {
            let file = format!("{name}_{polarisation}.tif");
            let path = below.iter().find(|p| p.ends_with(&file)).unwrap();
            let bytes = fs::read(folder.join(path)).unwrap();
            // The pixels are the last bytes of an official file.
            let tail = &bytes[bytes.len() - 4 * 14_400..];
            let values = tail
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            assert!(
                values.eq(pixels.slice(polarisation).iter().copied()),
                "{file}"
            );
        }
    }
}

/// Eleven patches, and Sentinel-1 of which three are defective, two absent, one cannot be matched, and one
/// belongs to no patch.
fn damaged() -> (Vec<Patch>, Vec<Patch>) {
    let patches = v2(11);
    let mut s1: Vec<Patch> = (0..11).map(|n| s1(&patches[usize::from(n)], n)).collect();
    s1[2].files[1].1.truncate(30_000);
    s1[4].files.remove(0);
    s1[7].files[1].1 = patches[7].files[1].1.clone();
    s1.push(crate::support::s1(&Patch::v2(99), 99));
    s1.remove(9);
    s1.remove(5);
    s1[3].files[2].1 = b"{".to_vec();
    (patches, s1)
}

#[test]
fn defective_and_missing_sentinel_1_is_counted_and_listed_and_its_patch_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (patches, s1) = damaged();
    let folders = raw(dir.path(), &patches, &s1);
    let (summary, _) = sound(&with(&folders, &dir.path().join("a")));
    assert_eq!((summary.patches, summary.quarantined), (11, 0));
    assert_eq!(counts(&summary), [5, 3, 3, 0]);
    assert!(summary.has_defects());
    let found = summary.s1.as_ref().unwrap();
    assert_eq!(found.s1_missing_ids, [3, 5, 9].map(|n| Patch::v2(n).id));
    let expected = [
        (2, "_VV.tif is cut short"),
        (4, "_VH.tif is missing; Sentinel-1 has VV and VH"),
        (7, "_VV.tif has pixels of type UInt16, expected Float32"),
    ];
    assert_eq!(found.s1_defects.len(), expected.len());
    for (defect, (number, words)) in found.s1_defects.iter().zip(expected) {
        let reason = &defect.reason;
        assert_eq!(defect.patch, Patch::v2(number).id);
        let is_named = reason.contains("stored without Sentinel-1: S1A_") && reason.contains(words);
        assert!(is_named, "{reason}");
    }
    let notes = summary.notes.join("\n");
    let stray = "without a stored patch, passed over: 1, such as S1A_";
    assert!(notes.contains(stray), "{notes}");
    assert!(notes.contains("label files that cannot be read"), "{notes}");
    let reader = StoreReader::open(&dir.path().join("a")).unwrap();
    let present: Vec<u32> = (0..11)
        .filter(|&i| reader.patch_has_s1(i).unwrap())
        .collect();
    assert_eq!(present, [0, 1, 6, 8, 10]);
    let told = reader.manifest().s1.as_ref().unwrap();
    assert_eq!((told.patches, told.statistics[0].patches), (5, 5));
}

#[test]
fn an_archive_of_sentinel_1_in_any_order_is_judged_as_its_folder_is() {
    let dir = tempfile::tempdir().unwrap();
    let (patches, mut s1) = damaged();
    let folders = raw(dir.path(), &patches, &s1);
    let (summary, expected) = sound(&with(&folders, &dir.path().join("a")));
    for order in 0..2 {
        s1.reverse();
        let archive = archived(dir.path(), &format!("S1-{order}.tar"), &s1);
        let store = dir.path().join(format!("b{order}"));
        let (of_archive, objects) = sound(&with(&[folders[0].clone(), archive], &store));
        assert_same(&objects, &expected);
        assert_eq!(of_archive, summary);
    }
}

#[test]
fn a_subset_of_sentinel_1_is_excluded_when_asked_for_and_strict_stops_at_its_defects() {
    let dir = tempfile::tempdir().unwrap();
    let (patches, s1) = damaged();
    let folders = raw(dir.path(), &patches, &s1);
    let subset = IngestOptions {
        allow_subset: true,
        ..with(&folders, &dir.path().join("c"))
    };
    let (summary, _) = sound(&subset);
    assert_eq!(counts(&summary), [5, 3, 0, 3]);
    let notes = summary.notes.join("\n");
    let subset = "patches without Sentinel-1, as a subset may be: 3";
    assert!(notes.contains(subset), "{notes}");
    let strict = IngestOptions {
        strict: true,
        ..with(&folders, &dir.path().join("d"))
    };
    let error = run(&strict).unwrap_err().to_string();
    assert!(
        error.contains("S1A_") && error.contains("strict"),
        "{error}"
    );
    assert!(StoreReader::open(&dir.path().join("d")).is_err());
}

#[test]
fn an_interrupted_ingest_with_sentinel_1_goes_on_and_ends_with_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let mut patches = v2(23);
    let s1 = s1_of(&patches);
    patches[6].band(Band::B03).truncate(1000);
    let folders = raw(dir.path(), &patches, &s1);
    let archives = [
        archived(dir.path(), "S2.tar", &patches),
        archived(dir.path(), "S1.tar", &s1),
    ];
    let (summary, expected) = sound(&with(&folders, &at("expected")));
    assert_eq!(counts(&summary), [22, 0, 0, 0]);
    let forms = [
        ("folders", folders.clone()),
        ("archives", archives.clone()),
        ("mixed", [folders[0].clone(), archives[1].clone()]),
    ];
    for (form, sources) in forms {
        for threads in [1, 2] {
            let options = IngestOptions {
                threads,
                ..with(&sources, &at(&format!("{form}-{threads}")))
            };
            let mut interruptions = 0;
            while interrupted(&options, 5 + interruptions * 6) {
                interruptions += 1;
                assert!(interruptions < 100);
            }
            assert!(interruptions > 3, "{form}: {interruptions}");
            let (resumed, objects) = sound(&options);
            assert_same(&objects, &expected);
            assert_eq!(resumed, summary, "{form}");
        }
    }
}

#[test]
fn units_of_an_engine_make_their_sentinel_1_and_archives_of_it_are_read_at_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (go_on, silent) = (AtomicBool::new(false), Silent);
    let mut patches = v2(13);
    let s1 = s1_of(&patches);
    patches[5].band(Band::B11).truncate(500);
    let folders = raw(dir.path(), &patches, &s1);
    let archive = archived(dir.path(), "S1.tar", &s1);
    let (summary, expected) = sound(&with(&folders, &at("whole")));
    let store = at("units");
    let plan = chipmill_ingest::plan(&with(&folders, &store), &go_on, &silent).unwrap();
    let work = |store: &Path, unit: u64| {
        chipmill_ingest::work(store, from_ref(&(unit..unit + 1)), 1, &go_on, &silent)
            .map(|mut done| done.remove(0))
    };
    assert_eq!(plan.units, 4);
    for unit in (1..4).rev() {
        assert!(!work(&store, unit).unwrap().was_finished);
        assert!(work(&store, unit).unwrap().was_finished);
    }
    // A unit that died between its pixels and its Sentinel-1 is not finished.
    work(&store, 0).unwrap();
    let mut records = fs::read_dir(store.join(".ingest/s1"))
        .unwrap()
        .map(|e| e.unwrap().path());
    let record = records.find(|p| p.to_str().unwrap().contains("/000000-"));
    fs::remove_file(record.unwrap().with_extension("json")).unwrap();
    match chipmill_ingest::finalize(&store, 1, &go_on, &silent) {
        Err(IngestError::Unfinished { units }) => assert_eq!(units, [0]),
        other => panic!("{other:?}"),
    }
    assert!(!work(&store, 0).unwrap().was_finished);
    let end = |store: &Path| chipmill_ingest::finalize(store, 1, &go_on, &silent).unwrap();
    assert_eq!(timeless(end(&store)), summary);
    assert_same(&objects(&store), &expected);

    let store = at("with archive");
    let sources = [folders[0].clone(), archive];
    chipmill_ingest::plan(&with(&sources, &store), &go_on, &silent).unwrap();
    (0..4).for_each(|unit| drop(work(&store, unit).unwrap()));
    assert_eq!(timeless(end(&store)), summary);
    assert_same(&objects(&store), &expected);
}

#[test]
fn an_ingest_that_gains_or_loses_sentinel_1_is_another_plan() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(3);
    let folders = raw(dir.path(), &patches, &s1_of(&patches));
    let store = dir.path().join("store");
    run(&with(&folders[..1], &store)).unwrap();
    let refused = run(&with(&folders, &store)).unwrap_err().to_string();
    assert!(
        refused.contains("s1 was absent, now folders with 3 patches"),
        "{refused}"
    );
}

#[test]
fn sentinel_1_alone_is_no_data_set_and_inside_an_archive_of_sentinel_2_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(3);
    let s1 = s1_of(&patches);
    let folders = raw(dir.path(), &patches, &s1);
    let alone = run(&with(&folders[1..], &dir.path().join("a"))).unwrap_err();
    assert!(matches!(alone, IngestError::NoPatches { .. }), "{alone}");
    let both = archived(dir.path(), "both.tar", &[patches, s1].concat());
    let (summary, _) = stored(&with(&[both], &dir.path().join("b")));
    assert_eq!(summary.patches, 3);
    assert!(summary.s1.is_none());
    let notes = summary.notes.join("\n");
    assert!(
        notes.contains("give them as a source of their own: 9"),
        "{notes}"
    );
}

#[test]
fn of_two_radar_patches_of_one_patch_the_first_by_name_is_taken_and_the_other_noted() {
    let dir = tempfile::tempdir().unwrap();
    let patches = v2(2);
    let mut s1 = s1_of(&patches);
    s1.push(crate::support::s1(&patches[0], 30));
    let folders = raw(dir.path(), &patches, &s1);
    let (summary, expected) = sound(&with(&folders, &dir.path().join("a")));
    assert_eq!(counts(&summary), [2, 0, 0, 0]);
    assert!(
        summary.notes[0].contains("first by name: 1"),
        "{:?}",
        summary.notes
    );
    for order in 0..2 {
        s1.reverse();
        let archive = archived(dir.path(), &format!("S1-{order}.tar"), &s1);
        let sources = [folders[0].clone(), archive];
        let (of_archive, objects) = sound(&with(&sources, &dir.path().join(format!("b{order}"))));
        assert_same(&objects, &expected);
        assert_eq!(of_archive, summary);
    }
}
