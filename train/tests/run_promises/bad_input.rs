//! What is refused, and what it leaves behind.

use chipmill_schemas::run::RunState;
use chipmill_train::TrainError;

use crate::world::{World, config};

#[test]
fn what_cannot_be_trained_is_refused_without_a_run_folder() {
    let world = World::new();
    let mut too_large = config();
    too_large.loader.batch_size = 64;
    let error = world.start("a", &too_large).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::TooFewPatches {
                found: 48,
                batch_size: 64
            }
        ),
        "{error}"
    );

    let mut nothing = config();
    nothing.selection.labels_any = vec!["Rice fields".to_owned()];
    let text = world.start("a", &nothing).unwrap_err().to_string();
    assert!(text.contains("none of the 48 patches"), "{text}");

    let mut unknown = config();
    unknown.selection.exclude_task = Some("notes5".to_owned());
    assert!(matches!(
        world.start("a", &unknown),
        Err(TrainError::Task(_))
    ));

    let mut bad = config();
    bad.loss.temperature = 0.0;
    assert!(matches!(world.start("a", &bad), Err(TrainError::Config(_))));
    assert!(!world.path("a").exists());
}

#[test]
fn an_existing_run_is_refused_without_resume() {
    let world = World::new();
    world.start_until("a", &config(), 1).unwrap();
    let text = world.start("a", &config()).unwrap_err().to_string();
    assert!(text.contains("--resume"), "{text}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_names_step_and_patches() {
    let world = World::new();
    let mut config = config();
    config.optimizer.learning_rate = 1e30;
    config.log_every_steps = 4;
    config.checkpoint_every_steps = 100;
    let error = world.start("a", &config).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("step 2: the loss is NaN") && text.contains("S2A_MSIL2A_20170617T113321_0_"),
        "{text}"
    );
    assert!(text.contains("no checkpoint yet"), "{text}");
    let status = world.run("a").status().unwrap().unwrap();
    assert_eq!(
        (status.state, status.message),
        (RunState::Failed, Some(text))
    );
}

#[test]
fn weights_that_are_not_finite_never_become_a_checkpoint() {
    let world = World::new();
    let mut config = config();
    config.optimizer.learning_rate = 1e38;
    config.checkpoint_every_steps = 1;
    let text = world.start("b", &config).unwrap_err().to_string();
    assert!(text.contains("weights"), "{text}");
    assert_eq!(world.run("b").status().unwrap().unwrap().checkpoint, None);
}

#[test]
fn only_the_tasks_patches_are_left_out() {
    let world = World::new();
    let mut config = config();
    config.selection.exclude_task = Some("notes4".to_owned());
    // Every patch of this world carries one of the four classes.
    assert!(matches!(
        world.start("a", &config),
        Err(TrainError::EmptySelection { .. })
    ));
}
