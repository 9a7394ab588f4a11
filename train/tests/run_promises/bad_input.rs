//! What is refused, and what it leaves behind.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not recognise as such"
)]

use std::io;
use std::sync::atomic::AtomicBool;

use chipmill_schemas::run::RunState;
use chipmill_store::fault::{Point, arm};
use chipmill_train::TrainError;
use chipmill_train::checkpoint::{Checkpoint, Checkpoints};
use chipmill_train::embed::Embed;

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

#[test]
fn a_disk_that_fills_during_a_checkpoint_keeps_the_one_before_and_the_run_goes_on_from_it() {
    let world = World::new();
    world.start("straight", &config()).unwrap();
    for name in ["model.safetensors", "optimizer.safetensors", "meta.json"] {
        let (run, checkpoints) = (world.path(name), world.path(name).join("checkpoints"));
        let full = arm(&checkpoints, move |point, path| {
            let of_step_10 = path.components().any(|c| c.as_os_str() == ".step-10.new");
            if of_step_10 && path.ends_with(name) && point == Point::WriteTemporary {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        });
        let text = world.start(name, &config()).unwrap_err().to_string();
        assert!(
            text.contains("cannot write") && text.contains(name),
            "{text}"
        );
        let status = world.run(name).status().unwrap().unwrap();
        assert_eq!(
            (status.state, status.checkpoint),
            (RunState::Failed, Some(5))
        );
        // Nothing of the new one is left, which also frees the disk.
        let left = std::fs::read_dir(&checkpoints).unwrap().count();
        assert_eq!(left, 1, "{}", run.display());
        drop(full);
        world.resume(name, None).unwrap();
        assert_eq!(world.losses(name), world.losses("straight"), "{name}");
    }
}

#[test]
fn a_checkpoint_of_another_version_is_refused_and_left_as_it_is() {
    let world = World::new();
    world.start_until("a", &config(), 6).unwrap();
    let meta = world.path("a/checkpoints/step-6/meta.json");
    let text = std::fs::read_to_string(&meta).unwrap();
    std::fs::write(&meta, text.replace("\"format\": 1", "\"format\": 99")).unwrap();
    let text = world.resume("a", None).unwrap_err().to_string();
    assert!(
        text.contains("step-6") && text.contains("format 99"),
        "{text}"
    );
    let kept = Checkpoints::new(world.run("a").checkpoints())
        .steps()
        .unwrap();
    assert_eq!(kept, [5, 6]);
}

/// Every weight and running statistic of a checkpoint becomes this.
fn fill(checkpoints: &Checkpoints, value: f32) -> Checkpoint {
    let mut checkpoint = checkpoints.load_newest().unwrap().unwrap();
    let header = u64::from_le_bytes(checkpoint.model[..8].try_into().unwrap());
    let data = 8 + usize::try_from(header).unwrap();
    for weight in checkpoint.model[data..].chunks_exact_mut(4) {
        weight.copy_from_slice(&value.to_le_bytes());
    }
    checkpoints.save(&checkpoint, 2).unwrap();
    checkpoint
}

#[test]
fn a_loss_that_is_not_finite_leaves_the_last_good_checkpoint_in_place() {
    let world = World::new();
    let mut config = config();
    config.checkpoint_every_steps = 3;
    world.start_until("a", &config, 3).unwrap();
    // Weights so large that the next loss overflows, as a run that diverges slowly comes to.
    let all = Checkpoints::new(world.run("a").checkpoints());
    let checkpoint = fill(&all, f32::MAX);
    let text = world.resume("a", None).unwrap_err().to_string();
    assert!(text.contains("step 4: the loss is NaN"), "{text}");
    assert!(text.contains("checkpoint step-3 is kept"), "{text}");
    assert!(text.contains("S2A_MSIL2A_20170617T113321_0_"), "{text}");
    assert_eq!(all.steps().unwrap(), [3]);
    assert_eq!(all.load_newest().unwrap(), Some(checkpoint));
}

#[test]
fn features_that_are_not_numbers_are_refused_naming_the_patch_and_no_file_is_written() {
    let world = World::new();
    world.start_until("a", &config(), 2).unwrap();
    let all = Checkpoints::new(world.run("a").checkpoints());
    fill(&all, f32::NAN);
    let (run, out) = (world.path("a"), world.path("features.safetensors"));
    let embed = Embed {
        store: &world.store,
        run: &run,
        device: "cpu",
        batch_size: 8,
        stop: &AtomicBool::new(false),
    };
    let error = embed.write(&[7, 8], &out, |_| ()).unwrap_err();
    let id = world.store.table().id(7).unwrap().to_owned();
    assert!(
        matches!(&error, TrainError::FeatureNotFinite { patch } if *patch == id),
        "{error}"
    );
    assert!(!out.exists());
}
