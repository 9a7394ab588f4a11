//! Optimisers, clipping, micro-batches and heads in whole runs.

use chipmill_pipeline::{Loader, LoaderSpec};
use chipmill_schemas::config::{HeadInput, OptimizerKind, PretrainConfig, ViewType};
use chipmill_schemas::run::{Collapse, RunState};
use chipmill_train::TrainError;
use chipmill_train::pretrain::Pretrain;
use chipmill_train::trainer::upload_view;

use crate::world::{Watcher, World, config};

fn with(change: impl Fn(&mut PretrainConfig)) -> PretrainConfig {
    let mut config = config();
    config.max_steps = 7;
    config.checkpoint_every_steps = 3;
    change(&mut config);
    config
}

#[test]
fn a_run_of_every_option_cut_and_resumed_gives_bit_equal_losses() {
    let world = World::new();
    let options: [(&str, PretrainConfig); 5] = [
        ("clipped", with(|c| c.optimizer.clip_norm = Some(0.05))),
        ("parts", with(|c| c.micro_batch_size = 2)),
        ("flat", with(|c| c.projection.input = HeadInput::Flatten)),
        ("lars", with(lars)),
        (
            "all",
            with(|c| {
                lars(c);
                c.optimizer.clip_norm = Some(0.5);
                c.micro_batch_size = 4;
                c.projection.input = HeadInput::Flatten;
                c.view.dtype = ViewType::Bf16;
            }),
        ),
    ];
    world.start("plain", &with(|_| ())).unwrap();
    for (name, config) in options {
        let cut = format!("{name}-cut");
        world.start(name, &config).unwrap();
        world.start_until(&cut, &config, 2).unwrap();
        world.resume_until(&cut, None, 5).unwrap();
        world.resume(&cut, None).unwrap();
        assert_eq!(world.losses(name), world.losses(&cut), "{name}");
        assert_ne!(world.losses(name), world.losses("plain"), "{name}");
    }
}

fn lars(config: &mut PretrainConfig) {
    config.optimizer.kind = OptimizerKind::Lars;
    config.optimizer.learning_rate = 1.0;
}

#[test]
fn a_micro_batch_of_the_whole_batch_is_the_run_without_one() {
    let world = World::new();
    world.start("plain", &with(|_| ())).unwrap();
    world
        .start("whole", &with(|c| c.micro_batch_size = 8))
        .unwrap();
    assert_eq!(world.losses("plain"), world.losses("whole"));
}

#[test]
fn the_norm_in_the_metrics_is_that_before_clipping() {
    let world = World::new();
    world.start("plain", &with(|_| ())).unwrap();
    let clipped = with(|c| c.optimizer.clip_norm = Some(1e-3));
    world.start("clipped", &clipped).unwrap();
    let first = |run: &str| world.run(run).metrics().unwrap()[0].gradient_norm;
    assert!(first("clipped") > 0.01);
    assert_eq!(first("plain").to_bits(), first("clipped").to_bits());
}

#[test]
fn another_option_is_refused_on_resume_by_its_key() {
    let world = World::new();
    world.start_until("a", &with(|_| ()), 2).unwrap();
    let other = with(|c| {
        c.micro_batch_size = 4;
        c.optimizer.clip_norm = Some(1.0);
        c.projection.input = HeadInput::Flatten;
    });
    let error = world.resume("a", Some(&other)).unwrap_err();
    assert!(matches!(error, TrainError::ConfigDiffers { .. }));
    let text = error.to_string();
    for part in [
        "micro_batch_size: 0 in the run, 4 asked for",
        "optimizer.clip_norm: unset in the run, 1.0",
        "projection.input: \"mean\" in the run",
    ] {
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn half_precision_crosses_to_the_device_as_it_is_and_is_widened_exactly() {
    let world = World::new();
    let device = chipmill_train::parse_device("cpu").unwrap();
    for dtype in [ViewType::F32, ViewType::F16, ViewType::Bf16] {
        let view = with(|c| c.view.dtype = dtype).view;
        let spec = LoaderSpec {
            batch_size: 8,
            ..LoaderSpec::new((0..48).collect(), view)
        };
        let batch = Loader::start(world.store.clone(), spec).unwrap().next();
        let batch = batch.unwrap().unwrap();
        for number in [0, 1] {
            let tensor = upload_view(&batch, number, &device);
            let found: Vec<u32> = tensor.to_data().iter::<f32>().map(f32::to_bits).collect();
            let expected: Vec<u32> = batch.view_f32(number).iter().map(|v| v.to_bits()).collect();
            assert_eq!(found, expected, "{dtype}");
        }
    }
}

#[test]
fn a_run_that_collapses_is_named_as_such_and_one_that_learns_is_not() {
    let world = World::new();
    let healthy = world.start("healthy", &config()).unwrap();
    assert_eq!(healthy.collapsed_since, None);
    let rows = world.run("healthy").metrics().unwrap();
    assert!(rows.iter().all(|row| row.collapsed.is_none()));

    // Weight decay that outweighs the loss: kernels vanish below batch norm's epsilon, and all patches
    // are mapped to the same point.
    let collapsing = with(|c| {
        c.max_steps = 20;
        c.optimizer.kind = OptimizerKind::Adamw;
        c.optimizer.learning_rate = 1e-5;
        c.optimizer.weight_decay = 9e4;
    });
    let status = world.start("collapsed", &collapsing).unwrap();
    let rows = world.run("collapsed").metrics().unwrap();
    let spread: Vec<f64> = rows.iter().map(|row| row.embedding_std).collect();
    let since = status
        .collapsed_since
        .unwrap_or_else(|| panic!("{spread:?}"));
    let after = rows.iter().filter(|row| row.step >= since);
    for row in after {
        let point = row.embedding_std < 0.1 / 4.0;
        assert_eq!(row.collapsed == Some(Collapse::Point), point, "{row:?}");
        assert!(row.collapsed.is_some());
    }
    assert_eq!(status.state, RunState::Finished);
    assert_eq!(world.run("collapsed").status().unwrap(), Some(status));
    let log = std::fs::read_to_string(world.path("collapsed/train.log")).unwrap();
    assert!(
        log.contains(&format!("collapsed: at step {since} ")),
        "{log}"
    );
    let last = log.lines().last().unwrap();
    assert!(last.contains(&format!("so since step {since}")), "{log}");
}

#[test]
fn a_log_keeps_what_every_attempt_said() {
    let world = World::new();
    world.start_until("a", &with(|_| ()), 4).unwrap();
    world.resume("a", None).unwrap();
    let log = std::fs::read_to_string(world.path("a/train.log")).unwrap();
    for part in [
        "Z attempt 0 begins at step 0 of 7",
        "Z attempt 0 step 1 epoch 0, loss ",
        "Z attempt 0 checkpoint at step 3",
        "Z attempt 0 interrupted at step 4",
        "Z attempt 1 begins at step 4 of 7",
        "Z attempt 1 finished at step 7",
    ] {
        assert!(log.contains(part), "no {part} in\n{log}");
    }
    let failing = with(|c| c.optimizer.learning_rate = 1e30);
    world.start("b", &failing).unwrap_err();
    let log = std::fs::read_to_string(world.path("b/train.log")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains("failed: step 2: the loss is NaN"), "{last}");
}

fn on(world: &World, device: &str, run: &str, config: &PretrainConfig) -> Result<(), TrainError> {
    let (watcher, path) = (Watcher::new(u64::MAX), world.path(run));
    let job = Pretrain {
        device,
        ..world.pretrain(&path, &watcher)
    };
    if path.exists() {
        job.resume(None).map(drop)
    } else {
        job.start(config).map(drop)
    }
}

#[test]
fn a_run_on_two_devices_has_the_losses_of_one_and_may_go_on_on_either() {
    let world = World::new();
    let config = with(|c| c.micro_batch_size = 4);
    world.start("one", &config).unwrap();
    on(&world, "cpu,cpu", "two", &config).unwrap();
    assert_eq!(world.losses("two"), world.losses("one"));
    world.start_until("moved", &config, 3).unwrap();
    on(&world, "cpu,cpu", "moved", &config).unwrap();
    assert_eq!(world.losses("moved"), world.losses("one"));
    // Two rounds of two parts.
    let small = with(|c| c.micro_batch_size = 2);
    world.start("one-small", &small).unwrap();
    on(&world, "cpu,cpu", "two-small", &small).unwrap();
    assert_eq!(world.losses("two-small"), world.losses("one-small"));
}

#[test]
fn devices_without_a_part_are_refused_before_anything_is_made() {
    let world = World::new();
    let text = on(&world, "cpu,cpu", "a", &config())
        .unwrap_err()
        .to_string();
    assert!(text.contains("`micro_batch_size` to 4 or less"), "{text}");
    assert!(!world.path("a").exists());
}
