//! A disk that is full: an error that says so, and the same store once there is room.

use std::path::Path;
use std::process::Command;

use super::{Case, Form, is_long_campaign};

/// Runs an ingest on a file system of `$4` KiB that then grows, in a mount namespace of its own: no
/// mount outlives it. Prints the first error and copies the store to `$5`.
const ON_A_SMALL_DISK: &str = r#"
mount -t tmpfs -o size="$4"k chipmill "$3" || exit 99
"$1" ingest "$2" --store "$3/store" --shard-patches 8 2>&1
echo "code $?"
df -k "$3" | tail -n 1 | awk '{ print "free " $4 " KiB" }'
mount -o remount,size=256m "$3"
"$1" ingest "$2" --store "$3/store" --shard-patches 8 >/dev/null 2>&1
echo "then $?"
cp -r "$3/store" "$5"
"#;

#[test]
fn a_full_disk_is_an_error_that_says_so_and_the_ingest_goes_on_when_there_is_room() {
    for form in [Form::Folder, Form::Archive, Form::Shuffled] {
        let case = Case::new(form);
        let sizes: Vec<u32> = if is_long_campaign() {
            (1..96).map(|n| n * 64).collect()
        } else {
            vec![16, 700, 3_000]
        };
        let mut full = 0;
        for size in sizes {
            let (disk, copy) = (case.path("disk"), case.path(&format!("copy-{size}")));
            std::fs::create_dir_all(&disk).unwrap();
            let output = Command::new("unshare")
                .args(["-Urm", "sh", "-c", ON_A_SMALL_DISK, "sh"])
                .args([env!("CARGO_BIN_EXE_chipmill"), &case.sources[0], &disk])
                .args([&size.to_string(), &copy])
                .output();
            let Some(output) = output
                .ok()
                .filter(|o| ![Some(1), Some(99)].contains(&o.status.code()))
            else {
                println!("skipped: needs to mount a tmpfs (unshare -Urm)");
                return;
            };
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("then 0"), "{form:?} {size} KiB: {text}");
            if !text.contains("code 0") {
                assert!(text.contains("code 2"), "{form:?} {size} KiB: {text}");
                assert!(text.contains("cannot write"), "{form:?} {size} KiB: {text}");
                assert!(
                    text.contains("No space left"),
                    "{form:?} {size} KiB: {text}"
                );
                let is_counted = text.contains(" needed, ") && text.contains(" bytes and ");
                assert!(is_counted, "{form:?} {size} KiB: {text}");
                full += 1;
            }
            case.assert_whole(&copy, &format!("{form:?} after {size} KiB"));
            std::fs::remove_dir_all(copy).unwrap();
        }
        assert!(full >= 3, "{form:?}: only {full} disks were too small");
        println!("{form:?}: {full} full disks");
    }
}

/// The limit is on every file alone, so that it hits shards and spools in the middle of a write.
#[test]
fn a_file_that_cannot_grow_is_an_error_that_names_it_and_the_ingest_goes_on() {
    for form in [Form::Folder, Form::Archive, Form::Shuffled] {
        let case = Case::new(form);
        let store = case.path("store");
        // Blocks are of 512 or 1,024 bytes, as the shell likes. Ignored, SIGXFSZ becomes an error.
        for blocks in ["1", "40", "150"] {
            let output = Command::new("sh")
                .args([
                    "-c",
                    r#"trap "" XFSZ; ulimit -f "$1"; shift; exec "$@""#,
                    "sh",
                    blocks,
                ])
                .args([env!("CARGO_BIN_EXE_chipmill"), "ingest", &case.sources[0]])
                .args(["--store", &store, "--shard-patches", "8"])
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{form:?}: {text}");
            assert!(text.contains("File too large"), "{form:?}: {text}");
            assert!(text.contains("cannot write"), "{form:?}: {text}");
            assert!(!Path::new(&store).join("zarr.json").exists());
        }
        assert!(case.ingest(&store, 2).status().unwrap().success());
        case.assert_whole(&store, &format!("{form:?} after a limit"));
    }
}
