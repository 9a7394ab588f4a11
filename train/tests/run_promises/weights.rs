//! Encoder weights out of a run folder, into others' networks, and back.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, which the lint does not recognise as such"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chipmill_pipeline::{KeepLast, Loader, LoaderSpec, Order};
use chipmill_schemas::config::{EncoderConfig, EncoderKind, PretrainConfig, Stem};
use chipmill_schemas::probe::{ProbeConfig, ProbeSplit};
use chipmill_schemas::task::Task;
use chipmill_train::TrainError;
use chipmill_train::embed::Embed;
use chipmill_train::exchange::{export, import};
use chipmill_train::pretrain::Pretrain;
use chipmill_train::probe::{Probe, ProbeDuring, ProbeTarget};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::world::{Watcher, World, config};

const ROWS: [u32; 6] = [0, 3, 7, 11, 20, 40];
const PYTHON: &str = "CHIPMILL_TORCHVISION_PYTHON";

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn read(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| {
        let words = data.chunks_exact(4);
        words
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let tensors = file.tensors().into_iter();
    let wanted = tensors.filter(|(_, t)| t.dtype() == Dtype::F32);
    wanted
        .map(|(k, t)| (k, (t.shape().to_vec(), values(t.data()))))
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let bytes = |v: &[f32]| v.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let data: Vec<_> = tensors.iter().map(|(k, (s, v))| (k, s, bytes(v))).collect();
    let views = data
        .iter()
        .map(|(k, s, b)| (*k, TensorView::new(Dtype::F32, (*s).clone(), b).unwrap()));
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Features of [`ROWS`] by a run's encoder.
fn features(world: &World, run: &str) -> (usize, Vec<f32>) {
    let out = world.path(&format!("{run}-features.safetensors"));
    let embed = Embed {
        store: &world.store,
        run: &world.path(run),
        device: "cpu",
        batch_size: 4,
        stop: &AtomicBool::new(false),
    };
    let written = embed.write(&ROWS, &out, |_| ()).unwrap();
    (written.dim, read(&out)["features"].1.clone())
}

/// The un-augmented views of [`ROWS`].
fn views(world: &World, config: &PretrainConfig) -> (Vec<usize>, Vec<f32>) {
    let spec = LoaderSpec {
        views: 1,
        batch_size: ROWS.len(),
        order: Order::Sequential,
        keep_last: KeepLast::Keep,
        epochs: Some(1),
        ..LoaderSpec::new(Arc::from(ROWS), config.view.evaluation())
    };
    let mut loader = Loader::start(world.store.clone(), spec).unwrap();
    let batch = loader.next().unwrap().unwrap();
    let [_, samples, bands, height, width] = batch.shape();
    let values = batch.view::<f32>(0).unwrap().to_vec();
    (vec![samples, bands, height, width], values)
}

fn of_kind(kind: EncoderKind) -> PretrainConfig {
    let mut config = config();
    config.encoder = EncoderConfig {
        kind,
        width: 64,
        stem: Stem::Standard,
    };
    config.loader.batch_size = 4;
    config.max_steps = 1;
    config
}

#[test]
fn weights_exported_and_imported_give_the_same_features_to_the_bit() {
    let world = World::new();
    world.start("a", &config()).unwrap();
    let out = world.path("encoder.safetensors");
    let exported = export(&world.path("a"), &out).unwrap();
    assert_eq!((exported.step, exported.tensors), (12, 20));
    let names: Vec<String> = read(&out).into_keys().collect();
    assert!(names.contains(&"bn1.running_var".to_owned()), "{names:?}");
    assert!(
        names
            .iter()
            .all(|n| !n.contains("encoder") && !n.contains("fc"))
    );
    import(&world.store, &world.path("b"), &config(), &out).unwrap();
    assert_eq!(features(&world, "b"), features(&world, "a"));
    // A checkpoint's own file is taken as well, its projection head left out.
    let own = world.path("a/checkpoints/step-12/model.safetensors");
    import(&world.store, &world.path("c"), &config(), &own).unwrap();
    assert_eq!(features(&world, "c"), features(&world, "a"));
    let again = world.path("again.safetensors");
    export(&world.path("c"), &again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&out).unwrap());
    let error = import(&world.store, &world.path("b"), &config(), &out).unwrap_err();
    assert!(matches!(error, TrainError::RunExists { .. }), "{error}");
}

#[test]
fn an_imported_run_can_be_probed() {
    let world = World::new();
    world.start("a", &config()).unwrap();
    let out = world.path("encoder.safetensors");
    export(&world.path("a"), &out).unwrap();
    import(&world.store, &world.path("b"), &config(), &out).unwrap();
    let score = |run: &str| {
        let probe = Probe {
            store: &world.store,
            run: &world.path(run),
            device: "cpu",
            controls: false,
            stop: &AtomicBool::new(false),
        };
        let asked = ProbeConfig {
            split: ProbeSplit::IMod3,
            ..ProbeConfig::default()
        };
        let target = ProbeTarget::Task(Task::notes4());
        probe.score(&target, &asked).unwrap().entries[0]
            .scores
            .clone()
    };
    assert_eq!(score("b"), score("a"));
}

#[test]
fn training_begins_with_given_weights_also_when_resumed_before_its_first_checkpoint() {
    let world = World::new();
    world.start("a", &config()).unwrap();
    let weights = world.path("encoder.safetensors");
    export(&world.path("a"), &weights).unwrap();
    let during = ProbeDuring {
        target: ProbeTarget::Task(Task::notes4()),
        config: ProbeConfig {
            split: ProbeSplit::IMod3,
            ..ProbeConfig::default()
        },
        every_steps: 6,
        classifiers: Vec::new(),
    };
    let start = |run: &str, weights, stop_at| {
        let (path, watcher) = (world.path(run), Watcher::new(stop_at));
        let job = Pretrain {
            weights,
            probe: Some(&during),
            ..world.pretrain(&path, &watcher)
        };
        job.start(&config()).unwrap();
    };
    start("whole", Some(weights.as_path()), u64::MAX);
    start("seed", None, u64::MAX);
    start("cut", Some(weights.as_path()), 3);
    assert_ne!(world.losses("whole")[1], world.losses("seed")[1]);
    // The probe of step 0 is that of the weights given.
    let probed = |run: &str, step: u64| {
        let rows = world.run(run).metrics().unwrap();
        let row = rows.iter().rev().find(|row| row.step == step);
        row.and_then(|row| row.probe_accuracy).unwrap()
    };
    start("again", Some(weights.as_path()), 1);
    assert_eq!(probed("whole", 0), probed("again", 0));
    // As if killed before its first own checkpoint.
    std::fs::remove_dir_all(world.path("cut/checkpoints/step-3")).unwrap();
    let (path, watcher) = (world.path("cut"), Watcher::new(u64::MAX));
    let job = Pretrain {
        probe: Some(&during),
        ..world.pretrain(&path, &watcher)
    };
    job.resume(None).unwrap();
    assert_eq!(world.losses("cut"), world.losses("whole"));
    let noted = |run: &str| {
        world
            .run(run)
            .environment()
            .unwrap()
            .unwrap()
            .initial_weights
    };
    assert!(
        noted("whole")
            .unwrap()
            .path
            .ends_with("encoder.safetensors")
    );
    assert_eq!(noted("cut"), noted("whole"));
    assert_eq!(noted("seed"), None);
    assert_eq!(probed("cut", 0), probed("whole", 0));
}

#[test]
fn weights_that_do_not_fit_are_refused_with_their_names_and_leave_no_run() {
    let world = World::new();
    world.start_until("a", &config(), 1).unwrap();
    let out = world.path("encoder.safetensors");
    export(&world.path("a"), &out).unwrap();
    let refused = |tensors: &Tensors, asked: &PretrainConfig| {
        let path = world.path("changed.safetensors");
        write(&path, tensors);
        let error = import(&world.store, &world.path("b"), asked, &path).unwrap_err();
        assert!(!world.path("b").exists());
        let text = error.to_string();
        assert!(text.contains("changed.safetensors"), "{text}");
        text
    };
    let whole = read(&out);
    let mut missing = whole.clone();
    missing.remove("conv2.weight");
    missing.remove("bn3.running_mean");
    let text = refused(&missing, &config());
    assert!(
        text.contains("no `conv2.weight`, `bn3.running_mean`"),
        "{text}"
    );
    let mut extra = whole.clone();
    extra.insert("layer9.weight".to_owned(), (vec![1], vec![0.0]));
    extra.insert("fc.weight".to_owned(), (vec![1], vec![0.0]));
    let text = refused(&extra, &config());
    assert!(text.contains("has `layer9.weight`, which"), "{text}");
    let mut bands = config();
    bands.view.bands =
        chipmill_schemas::config::BandChoice::Named(chipmill_schemas::config::NamedBands::Rgb);
    let text = refused(&whole, &bands);
    assert!(
        text.contains("`conv1.weight` is [8, 6, 3, 3], expected [8, 3, 3, 3]"),
        "{text}"
    );
    let path = world.path("cut.safetensors");
    std::fs::write(&path, &std::fs::read(&out).unwrap()[..200]).unwrap();
    let error = import(&world.store, &world.path("b"), &config(), &path).unwrap_err();
    assert!(
        error.to_string().contains("not a whole safetensors file"),
        "{error}"
    );
    let error = import(
        &world.store,
        &world.path("b"),
        &config(),
        &world.path("none"),
    )
    .unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
}

#[test]
fn torchvision_gives_the_features_of_exported_weights_and_chipmill_those_of_torchvisions() {
    let Some(python) = std::env::var_os(PYTHON) else {
        return skipped(&format!(
            "needs an interpreter with torchvision in {PYTHON}"
        ));
    };
    let world = World::new();
    for (kind, name) in [
        (EncoderKind::Resnet18, "resnet18"),
        (EncoderKind::Resnet34, "resnet34"),
        (EncoderKind::Resnet50, "resnet50"),
    ] {
        let config = of_kind(kind);
        world.start(name, &config).unwrap();
        let weights = world.path(&format!("{name}.safetensors"));
        export(&world.path(name), &weights).unwrap();
        let (dim, ours) = features(&world, name);
        let asked = world.path(&format!("{name}-views.safetensors"));
        let given = [
            ("views".to_owned(), views(&world, &config)),
            ("features".to_owned(), (vec![ROWS.len(), dim], ours)),
        ];
        write(&asked, &given.into_iter().collect());
        let found = agrees(&python, &weights, &asked, name);
        let number = |key: &str| found[key].as_f64().unwrap();
        assert!(
            number("difference") <= 1e-4 * number("largest"),
            "{name}: {found}"
        );
        // The other way round: the names, counters and classifier that torch itself writes.
        let foreign = PathBuf::from(found["foreign"].as_str().unwrap());
        let run = format!("{name}-imported");
        import(&world.store, &world.path(&run), &config, &foreign).unwrap();
        let theirs = &read(&foreign.with_extension("features"))["features"].1;
        let largest = theirs.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
        for (a, b) in features(&world, &run).1.iter().zip(theirs) {
            assert!((a - b).abs() <= 1e-4 * largest, "{name}: {a} {b}");
        }
    }
}

fn agrees(python: &std::ffi::OsStr, weights: &Path, views: &Path, kind: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torchvision_loads.py");
    let mut command = Command::new(python);
    let output = command
        .arg(script)
        .args([weights, views])
        .arg(kind)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// To the terminal itself: the test harness hides what a passing test prints.
fn skipped(reason: &str) {
    use std::io::Write;
    let line = format!("skipped: {reason}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
