//! A real kill, which no code of the run can prepare for.

use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::RunState;
use chipmill_store::StoreReader;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::run_dir::{RunDir, read_metrics};
use chipmill_train::trainer::Silent;

use crate::world::{World, config};

/// Set for the process that is killed: the folder with the store in it.
const WORLD: &str = "CHIPMILL_TEST_KILLED_WORLD";

fn long() -> PretrainConfig {
    PretrainConfig {
        max_steps: 60,
        ..config()
    }
}

/// Not a promise of its own: what the killed process does.
#[test]
fn the_process_that_is_killed() {
    let Some(world) = std::env::var_os(WORLD) else {
        return;
    };
    let world = std::path::Path::new(&world);
    let pretrain = Pretrain {
        store: &StoreReader::open(&world.join("store")).unwrap(),
        run: &world.join("killed"),
        device: "cpu",
        tasks: &[],
        weights: None,
        probe: None,
        progress: &Silent,
        stop: &AtomicBool::new(false),
    };
    pretrain.start(&long()).unwrap();
}

#[test]
fn a_run_killed_at_any_moment_goes_on_with_bit_equal_losses() {
    let world = World::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::the_process_that_is_killed"])
        .env(WORLD, world.folder.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let metrics = world.path("killed/metrics.jsonl");
    while read_metrics(&metrics).unwrap().len() < 17 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(RunDir::open(&world.path("killed")).is_ok());
    let status = world.resume("killed", None).unwrap();
    assert_eq!((status.state, status.step), (RunState::Finished, 60));
    world.start("straight", &long()).unwrap();
    assert_eq!(world.losses("killed"), world.losses("straight"));
}
