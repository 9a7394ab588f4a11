//! Going on with a run.

use std::fs;

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::RunState;
use chipmill_schemas::task::Task;
use chipmill_train::TrainError;
use chipmill_train::checkpoint::Checkpoints;

use crate::world::{Recipe, World, config, write_store};

#[test]
fn a_run_cut_anywhere_and_resumed_gives_bit_equal_losses() {
    let world = World::new();
    world.start("straight", &config()).unwrap();
    let straight = world.losses("straight");
    for cut in [1, 5, 6, 7, 11] {
        let name = format!("cut-{cut}");
        world.start_until(&name, &config(), cut).unwrap();
        let status = world.resume(&name, None).unwrap();
        assert_eq!((status.state, status.attempt), (RunState::Finished, 1));
        assert_eq!(world.losses(&name), straight, "cut after {cut} steps");
    }
}

#[test]
fn the_final_weights_of_a_resumed_run_are_those_of_a_straight_one() {
    let world = World::new();
    world.start("straight", &config()).unwrap();
    world.start_until("cut", &config(), 4).unwrap();
    world.resume_until("cut", None, 9).unwrap();
    world.resume("cut", None).unwrap();
    let last = |run: &str| {
        let all = Checkpoints::new(world.run(run).checkpoints());
        all.load_newest().unwrap().unwrap()
    };
    // Running statistics of batch norm are among them.
    assert_eq!(last("straight"), last("cut"));
}

/// A kill leaves the folder as it is at that moment: checkpoint, later rows, status `running`.
#[test]
fn a_killed_run_goes_on_from_its_checkpoint_and_logs_its_steps_again() {
    let world = World::new();
    world.start("straight", &config()).unwrap();
    world.start_until("killed", &config(), 9).unwrap();
    let run = world.run("killed");
    fs::remove_dir_all(run.checkpoints().join("step-9")).unwrap();
    fs::create_dir(run.checkpoints().join(".step-10.new")).unwrap();
    let mut status = run.status().unwrap().unwrap();
    status.state = RunState::Running;
    run.write_status(&status).unwrap();
    let metrics = run.root().join("metrics.jsonl");
    let whole = fs::read(&metrics).unwrap();
    fs::write(&metrics, &whole[..whole.len() - 20]).unwrap();

    let status = world.resume("killed", None).unwrap();
    assert_eq!(
        (status.state, status.step, status.attempt),
        (RunState::Finished, 12, 1)
    );
    assert_eq!(world.losses("killed"), world.losses("straight"));
    let rows = run.metrics().unwrap();
    let again: Vec<_> = rows
        .iter()
        .filter(|r| r.step == 7)
        .map(|r| r.attempt)
        .collect();
    assert_eq!(again, [0, 1]);
    assert!(!run.checkpoints().join(".step-10.new").exists());
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_again() {
    let world = World::new();
    world.start("straight", &config()).unwrap();
    world.start_until("killed", &config(), 2).unwrap();
    fs::remove_dir_all(world.run("killed").checkpoints()).unwrap();
    world.resume("killed", None).unwrap();
    assert_eq!(world.losses("killed"), world.losses("straight"));
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let world = World::new();
    let status = world.start("a", &config()).unwrap();
    let before = fs::read(world.path("a/metrics.jsonl")).unwrap();
    assert_eq!(world.resume("a", None).unwrap(), status);
    assert_eq!(fs::read(world.path("a/metrics.jsonl")).unwrap(), before);
}

#[test]
fn more_steps_may_be_asked_for() {
    let world = World::new();
    world.start("long", &config()).unwrap();
    let mut short = config();
    short.max_steps = 6;
    world.start("short", &short).unwrap();
    world.resume("short", Some(&config())).unwrap();
    assert_eq!(world.losses("short"), world.losses("long"));
    assert_eq!(world.run("short").config().unwrap().max_steps, 12);
}

#[test]
fn another_configuration_is_refused_naming_the_keys() {
    let world = World::new();
    world.start_until("a", &config(), 2).unwrap();
    let before = world.run("a").status().unwrap();
    let mut other = config();
    other.loss.temperature = 0.5;
    other.loader.batch_size = 16;
    let error = world.resume("a", Some(&other)).unwrap_err();
    assert!(matches!(error, TrainError::ConfigDiffers { .. }));
    let text = error.to_string();
    for part in [
        "loss.temperature: 0.1",
        "0.5 asked for",
        "loader.batch_size: 8 in the run, 16",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(world.run("a").status().unwrap(), before);
    assert_eq!(world.run("a").config().unwrap(), config());
    // An edited config.toml is another configuration, too.
    world.run("a").write_config(&other).unwrap();
    assert!(matches!(
        world.resume("a", None),
        Err(TrainError::ConfigDiffers { .. })
    ));
}

#[test]
fn another_store_is_refused() {
    let mut world = World::new();
    world.start_until("a", &config(), 2).unwrap();
    world.store = write_store(
        &world.path("other"),
        Recipe {
            patches: 52,
            ..Recipe::default()
        },
    );
    let text = world.resume("a", None).unwrap_err().to_string();
    assert!(
        text.contains("other") && text.contains(world.store.digest()),
        "{text}"
    );
}

#[test]
fn a_truncated_checkpoint_is_named_with_the_way_back() {
    let world = World::new();
    world.start_until("a", &config(), 7).unwrap();
    let newest = world.path("a/checkpoints/step-7");
    let model = newest.join("model.safetensors");
    let whole = fs::read(&model).unwrap();
    fs::write(&model, &whole[..whole.len() - 1]).unwrap();
    let text = world.resume("a", None).unwrap_err().to_string();
    for part in ["step-7", "model.safetensors", "go on from step 5"] {
        assert!(text.contains(part), "{text}");
    }
    fs::remove_dir_all(newest).unwrap();
    world.resume("a", None).unwrap();
    world.start("straight", &config()).unwrap();
    assert_eq!(world.losses("a"), world.losses("straight"));
}

#[test]
fn a_task_from_a_file_is_kept_in_the_run_so_that_it_goes_on_without_the_file() {
    let mut world = World::new();
    let mut task = Task::notes4();
    task.name = "rocks".to_owned();
    task.classes.drain(..2);
    world.tasks.push(task);
    let mut config = config();
    config.selection.exclude_task = Some("rocks".to_owned());
    world.start("straight", &config).unwrap();
    assert_eq!(
        world
            .run("straight")
            .environment()
            .unwrap()
            .unwrap()
            .patches,
        24
    );
    world.start_until("cut", &config, 4).unwrap();
    world.tasks.clear();
    world.resume("cut", None).unwrap();
    assert_eq!(world.losses("cut"), world.losses("straight"));
    // Another definition under the same name selects other patches.
    let mut other = world.run("cut").task().unwrap().unwrap();
    other.classes[0].labels = vec!["Airports".to_owned()];
    world.run("cut").write_task(&other).unwrap();
    let longer = PretrainConfig {
        max_steps: 13,
        ..config
    };
    let error = world.resume("cut", Some(&longer)).unwrap_err();
    assert!(
        matches!(error, TrainError::SelectionDiffers { .. }),
        "{error}"
    );
}
