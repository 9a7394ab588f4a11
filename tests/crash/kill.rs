//! SIGKILL at random moments, again and again.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Case, Form, is_long_campaign};

/// A counter-based generator: the moments of a campaign follow from its seed.
struct Moments(u64);

impl Moments {
    fn below(&mut self, limit: Duration) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut x = self.0;
        x = (x ^ x >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x = (x ^ x >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        let limit = u64::try_from(limit.as_micros()).unwrap().max(1);
        Duration::from_micros((x ^ x >> 31) % limit)
    }
}

fn seed() -> u64 {
    let given = std::env::var("CHIPMILL_SEED").ok();
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    given.map_or(u64::from(clock.subsec_nanos()), |s| s.parse().unwrap())
}

/// Kills ingests until `kills` of them died at work; every store they leave is completed.
fn campaign(form: Form) {
    let kills = if is_long_campaign() { 100 } else { 4 };
    let case = Case::new(form);
    let seed = seed();
    let mut moments = Moments(seed);
    let began = Instant::now();
    let warm_up = case.path("warm-up");
    assert!(case.ingest(&warm_up, 2).status().unwrap().success());
    let limit = began.elapsed();
    let (mut killed, mut opened, mut completed) = (0, 0, 0);
    while killed < kills {
        let store = case.path(&format!("store-{completed}"));
        let threads = [1, 2, 8][completed % 3];
        let mut in_a_row = 0;
        // A store is cut off up to ten times, then its ingest may run to the end.
        loop {
            let mut child = case.ingest(&store, threads).spawn().unwrap();
            if in_a_row < 10 && killed < kills {
                std::thread::sleep(moments.below(limit));
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            if status.success() {
                break;
            }
            let what = format!("{form:?}, CHIPMILL_SEED={seed}, kill {killed}: {status}");
            let signal = std::os::unix::process::ExitStatusExt::signal(&status);
            assert_eq!(signal, Some(9), "{what}");
            (killed, in_a_row) = (killed + 1, in_a_row + 1);
            if Path::new(&store).join("zarr.json").exists() {
                opened += 1;
                let report = crate::support::json(&["verify", &store, "--json"], 0);
                assert_eq!(report["ok"], true, "{what}: {report}");
            }
        }
        let what = format!("{form:?}, CHIPMILL_SEED={seed}, {threads} threads");
        case.assert_whole(&store, &what);
        std::fs::remove_dir_all(store).unwrap();
        completed += 1;
    }
    println!(
        "{form:?}, CHIPMILL_SEED={seed}: {killed} kills within {limit:?}, {completed} stores \
         completed, {opened} were whole when their process died, {:?}",
        began.elapsed()
    );
}

#[test]
fn an_ingest_of_folders_killed_at_any_moment_goes_on_to_the_same_bytes() {
    campaign(Form::Folder);
}

#[test]
fn an_ingest_of_an_archive_killed_at_any_moment_goes_on_to_the_same_bytes() {
    campaign(Form::Archive);
}

#[test]
fn an_ingest_with_sentinel_1_killed_at_any_moment_goes_on_to_the_same_bytes() {
    campaign(Form::Radar);
}

#[test]
fn an_ingest_through_the_spool_killed_at_any_moment_goes_on_to_the_same_bytes() {
    campaign(Form::Shuffled);
}
