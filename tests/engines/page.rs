//! docs/cluster.md, line by line: every command of it runs, on sample data, with programs in the place of the
//! engines that do at once what these would do in time. And the tables of docs/scaling.md.

use std::path::Path;
use std::process::Command;

use super::world::{World, program};
use crate::compare::EXPERIMENT;
use crate::support::{run, text};

const PAGE: &str = include_str!("../../docs/cluster.md");

/// The commands of the blocks that are marked as `sh`.
fn commands() -> Vec<&'static str> {
    let blocks = PAGE.split("```sh\n").skip(1);
    let blocks = blocks.map(|text| text.split_once("```").unwrap().0);
    blocks.flat_map(str::lines).collect()
}

/// Slurm, as a shell loop: an array index by index, at once.
const SBATCH: &str = r#"
for word; do case $word in *.slurm) file=$word ;; esac; done
[ "${!#}" = finalize ] && what=finalize || what=
indices=$(sed -n 's/^#SBATCH --array=0-\([0-9]*\).*/\1/p' "$file")
[ -z "$what" ] || indices=0
for k in $(seq 0 "$indices"); do SLURM_ARRAY_TASK_ID=$k bash "$file" $what >&2 || exit; done
echo 1"#;

/// Kubernetes, as one pod: a Job is done when one waits for it.
const KUBECTL: &str = r#"
case $1 in
    exec) shift 3; exec "$@" ;;
    apply) ;;
    patch) chipmill ingest finalize --store "$DATA/k8s.zarr" ;;
    wait) case ${!#} in
        job/chipmill-ingest) chipmill ingest work --store "$DATA/k8s.zarr" --unit 0 ;;
    esac ;;
esac"#;

/// The page's folder: a data set, an experiment, the driver and the programs.
fn prepared() -> World {
    let world = World::empty();
    let raw = world.path("sampled");
    run(&["sample", &raw, "--layout", "v2", "--patches", "160"], 0);
    for name in ["BigEarthNet-S2", "metadata.parquet"] {
        std::fs::rename(format!("{raw}/{name}"), world.path(name)).unwrap();
    }
    std::fs::create_dir(world.path("configs")).unwrap();
    let experiment = EXPERIMENT.replace("task = \"notes4\"\nsplit", "labels = 19\nsplit");
    let experiment = experiment.replace("[base.selection]\nexclude_task = \"notes4\"\n", "");
    let experiment = experiment
        .replace("probe_accuracy", "probe_macro_ap")
        .replace(", \"probe_knn\"", "");
    std::fs::write(world.path("configs/notes.toml"), experiment).unwrap();
    let engines = Path::new(env!("CARGO_MANIFEST_DIR")).join("engines");
    std::os::unix::fs::symlink(engines, world.path("engines")).unwrap();
    world.program("chipmill", &format!("exec {} \"$@\"", program()));
    world.program("sbatch", SBATCH);
    world.program("kubectl", KUBECTL);
    world
}

/// The Python that has Ray, where `engines/ray/test.sh` put it and the long tests are asked for.
fn python() -> Option<String> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
    let python = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(target)
        .join("ray-venv/bin/python");
    let is_asked = std::env::var("CHIPMILL_ENGINES").is_ok_and(|v| v == "1");
    if is_asked && python.exists() {
        return Some(text(&python).to_owned());
    }
    println!("skipped: the page's Ray commands need CHIPMILL_ENGINES=1 and engines/ray/test.sh");
    None
}

#[test]
fn every_command_of_the_page_runs() {
    let world = prepared();
    let commands = commands();
    assert!(commands.len() > 12, "{commands:#?}");
    let python = python();
    let data = world.path("");
    for command in commands {
        if python.is_none() && (command.starts_with("python3") || command.contains("ray.zarr")) {
            continue;
        }
        let command = command.replace("/data", data.trim_end_matches('/'));
        let command = command.replace("python3", python.as_deref().unwrap_or_default());
        let mut shell: Command = world.bash(&command, &[], &[("DATA", data.trim_end_matches('/'))]);
        let output = shell.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{said}");
    }
    for made in [
        "slurm.zarr/zarr.json",
        "results/slurm/report.html",
        "k8s.zarr/zarr.json",
    ] {
        assert!(Path::new(&world.path(made)).is_file(), "{made}");
    }
}

#[test]
fn the_tables_on_scaling_are_what_the_model_makes_of_the_measurements() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/scaling");
    let mut model = Command::new("python3");
    model.arg(folder.join("model.py")).arg("--check");
    model.args(["plan.json", "units.json"].map(|name| folder.join(name)));
    let Ok(output) = model.output() else {
        println!("skipped: needs python3");
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
