//! Ingest in steps and from standard input gives the store of one plain call.

use crate::support::{Made, chipmill, json, run};

/// The root's metadata hold the digest of every object.
fn root(store: &str) -> Vec<u8> {
    std::fs::read(format!("{store}/zarr.json")).unwrap()
}

fn lists(made: &Made) -> Vec<String> {
    let list = |name: &&str| {
        [
            "--metadata".to_owned(),
            made.path(&format!("raw/{name}.csv")),
        ]
    };
    ["train", "val", "test"].iter().flat_map(list).collect()
}

#[test]
fn plan_work_and_finalize_give_the_store_and_the_exit_codes_of_one_call() {
    let made = Made::v1(40);
    let (raw, steps) = (made.path("raw/BigEarthNet-v1.0"), made.path("steps"));
    let lists = lists(&made);
    let mut plan = vec!["ingest", "plan", &raw, "--store", &steps, "--json"];
    plan.extend(lists.iter().map(String::as_str));
    let plan = json(&plan, 0);
    assert_eq!((&plan["units"], &plan["patches"]), (&1.into(), &40.into()));
    let (_, early) = run(&["ingest", "finalize", "--store", &steps], 2);
    assert!(early.contains("unit 0"), "{early}");
    let work = ["ingest", "work", "--store", &steps, "--unit", "0", "--json"];
    assert_eq!(json(&work, 0)[0]["was_finished"], false);
    assert_eq!(json(&work, 0)[0]["was_finished"], true);
    let done = json(&["ingest", "finalize", "--store", &steps, "--json"], 0);
    assert_eq!(done["patches"], 40);
    assert!(root(&made.store()) == root(&steps), "the roots differ");
}

#[test]
fn an_archive_on_standard_input_gives_the_same_store() {
    let made = Made::v1(40);
    let (raw, piped) = (made.path("piped-raw"), made.path("piped"));
    let sample = [
        "sample",
        &raw,
        "--layout",
        "v1",
        "--patches",
        "40",
        "--seed",
        "7",
        "--archive",
        "tar.gz",
    ];
    run(&sample, 0);
    let archive = std::fs::read(format!("{raw}/BigEarthNet-S2-v1.0.tar.gz")).unwrap();
    let lists = lists(&made);
    let mut args = vec!["ingest", "-", "--store", &piped, "--json"];
    args.extend(lists.iter().map(String::as_str));
    chipmill(&args).write_stdin(archive).assert().code(0);
    assert!(root(&made.store()) == root(&piped), "the roots differ");
    let (_, twice) = run(&["ingest", "-", "-", "--store", &piped], 2);
    assert!(twice.contains("given twice"), "{twice}");
}

#[test]
fn sentinel_1_and_reference_maps_may_come_on_standard_input_too() {
    let made = Made::v1(1);
    let raw = made.path("v2");
    let sample = "sample --layout v2 --patches 12 --seed 7 --s1 --archive tar.zst";
    let mut args: Vec<&str> = sample.split(' ').collect();
    args.insert(1, &raw);
    run(&args, 0);
    let archive = |name: &str| format!("{raw}/{name}.tar.zst");
    let (s1, maps) = (archive("BigEarthNet-S1"), archive("Reference_Maps"));
    let (patches, table) = (archive("BigEarthNet-S2"), format!("{raw}/metadata.parquet"));
    let ingest = |store: &str, piped: Option<&str>| {
        let store = made.path(store);
        let given = |path| if piped == Some(path) { "-" } else { path };
        let sources = [given(&patches), given(&s1), given(&maps)];
        let args = [
            &["ingest"],
            &sources[..],
            &["--metadata", &table, "--store", &store],
        ];
        let mut call = chipmill(&args.concat());
        if let Some(path) = piped {
            call.write_stdin(std::fs::read(path).unwrap());
        }
        call.assert().code(0);
        root(&store)
    };
    let whole = ingest("files", None);
    for (piped, store) in [
        (&s1, "piped-s1"),
        (&maps, "piped-maps"),
        (&patches, "piped-s2"),
    ] {
        assert!(
            ingest(store, Some(piped)) == whole,
            "{store}: the roots differ"
        );
    }
    let steps = made.path("in-steps");
    let args = ["ingest", "plan", &patches, "-", "--store", &steps];
    let refused = chipmill(&args)
        .write_stdin(std::fs::read(&s1).unwrap())
        .assert()
        .code(2);
    let said = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(said.contains("standard input is gone"), "{said}");
}

/// Heaps that glibc began for threads: each lies at a multiple of 64 MiB and reserves as much.
fn heaps_of_threads(maps: &str) -> usize {
    const RESERVED: u64 = 64 << 20;
    let parsed = |line: &str| {
        let mut words = line.split(' ');
        let (start, end) = words.next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        Some((number(start)?, number(end)?, words.next()?.to_owned()))
    };
    let ranges: Vec<_> = maps.lines().filter_map(parsed).collect();
    let is_heap = |pair: &&[(u64, u64, String)]| {
        let [used, left] = *pair else { return false };
        used.2 == "rw-p"
            && left.2 == "---p"
            && used.1 == left.0
            && used.0.is_multiple_of(RESERVED)
            && left.1 == used.0 + RESERVED
    };
    ranges.windows(2).filter(is_heap).count()
}

#[test]
fn a_heap_of_a_thread_is_known_when_it_is_seen() {
    let maps = "5581a3a00000-5581a3a21000 rw-p 00000000 00:00 0      [heap]\n\
                7f6ad0000000-7f6ad0021000 rw-p 00000000 00:00 0 \n\
                7f6ad0021000-7f6ad4000000 ---p 00000000 00:00 0 \n\
                7f6ad4e00000-7f6ad4e01000 ---p 00000000 00:00 0 \n\
                7f6ad4e01000-7f6ad5601000 rw-p 00000000 00:00 0 \n";
    assert_eq!(heaps_of_threads(maps), 1);
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn the_threads_of_an_ingest_take_their_memory_from_one_heap() {
    let made = Made::raw(300);
    let (raw, store) = (made.path("raw/BigEarthNet-v1.0"), made.path("one-heap"));
    let args = ["ingest", &raw, "--store", &store, "--threads", "4"];
    let mut ingest = std::process::Command::new(env!("CARGO_BIN_EXE_chipmill"))
        .args(args)
        .args(["--quiet", "--json"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut busiest = 0;
    while ingest.try_wait().unwrap().is_none() {
        let process = format!("/proc/{}", ingest.id());
        let threads = std::fs::read_dir(format!("{process}/task"));
        busiest = busiest.max(threads.map_or(0, Iterator::count));
        // It may end between two looks.
        let maps = std::fs::read_to_string(format!("{process}/maps")).unwrap_or_default();
        assert_eq!(heaps_of_threads(&maps), 0, "{maps}");
    }
    assert!(busiest > 4, "{busiest} threads were seen");
}
