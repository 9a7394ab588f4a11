//! What a run leaves behind.

use chipmill_schemas::run::RunState;
use chipmill_train::checkpoint::Checkpoints;

use crate::world::{World, config};

#[test]
fn a_run_of_twelve_steps_leaves_a_complete_folder() {
    let world = World::new();
    let status = world.start("runs/a", &config()).unwrap();
    assert_eq!(
        (status.state, status.step, status.checkpoint),
        (RunState::Finished, 12, Some(12))
    );
    let run = world.run("runs/a");
    assert_eq!(run.status().unwrap(), Some(status));
    assert_eq!(run.config().unwrap(), config());
    let rows = run.metrics().unwrap();
    let steps: Vec<u64> = rows.iter().map(|r| r.step).collect();
    assert_eq!(steps, (1..=12).collect::<Vec<u64>>());
    for row in &rows {
        assert!(row.loss.is_finite() && row.weight_norm > 0.0 && row.gradient_norm > 0.0);
        assert!(
            row.pairs_per_s > 0.0 && (0.0..=1.0).contains(&row.data_wait),
            "{row:?}"
        );
        assert!((0.0..=1.0).contains(&row.contrastive_accuracy) && row.embedding_std > 0.0);
    }
    // 48 patches are 6 batches of 8.
    assert_eq!((rows[5].epoch, rows[6].epoch, rows[11].epoch), (0, 1, 1));
    let environment = run.environment().unwrap().unwrap();
    assert_eq!(
        (environment.patches, environment.device.as_str()),
        (48, "cpu")
    );
    assert_eq!(environment.store_digest, world.store.digest());
    assert!(environment.parameters > 1000 && !environment.cpu.is_empty());
    let steps = Checkpoints::new(run.checkpoints()).steps().unwrap();
    assert_eq!(steps, [10, 12], "two are kept");
}

#[test]
fn rows_are_written_at_the_first_step_every_so_many_and_the_last() {
    let world = World::new();
    let mut config = config();
    config.log_every_steps = 5;
    world.start("a", &config).unwrap();
    let steps: Vec<u64> = world.losses("a").iter().map(|&(step, _)| step).collect();
    assert_eq!(steps, [1, 5, 10, 12]);
}

#[test]
fn the_same_seed_gives_the_same_losses_for_any_number_of_workers() {
    let world = World::new();
    world.start("a", &config()).unwrap();
    let mut other = config();
    other.loader.workers = 1;
    world.start("b", &other).unwrap();
    assert_eq!(world.losses("a"), world.losses("b"));
    other.seed += 1;
    world.start("c", &other).unwrap();
    assert_ne!(world.losses("a"), world.losses("c"));
}

#[test]
fn an_interrupt_finishes_the_step_and_leaves_a_checkpoint() {
    let world = World::new();
    let status = world.start_until("a", &config(), 3).unwrap();
    assert_eq!(
        (status.state, status.step, status.checkpoint),
        (RunState::Interrupted, 3, Some(3))
    );
    assert_eq!(world.run("a").status().unwrap(), Some(status));
}
