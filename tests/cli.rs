//! What the command line promises before any data is touched.

use crate::support::{json, run};

#[test]
fn help_teaches_every_command() {
    let (help, _) = run(&["--help"], 0);
    for command in [
        "sample", "ingest", "inspect", "verify", "preview", "pretrain", "probe", "report",
        "doctor", "bench",
    ] {
        assert!(help.contains(command), "{command} is not in --help");
        let (text, _) = run(&[command, "--help"], 0);
        assert!(text.contains("Usage: chipmill"), "{text}");
        assert!(
            text.lines().all(|l| l.chars().count() <= 100),
            "{command}: a line is too long"
        );
    }
}

#[test]
fn doctor_names_versions_features_drivers_devices_and_formats() {
    let doctor = json(&["doctor", "--json"], 0);
    assert_eq!(doctor["version"], env!("CARGO_PKG_VERSION"));
    assert!(
        doctor["gdal"]["drivers"]
            .as_array()
            .unwrap()
            .iter()
            .any(|d| d == "GTiff")
    );
    assert!(
        doctor["devices"]
            .as_array()
            .unwrap()
            .iter()
            .any(|d| d == "cpu")
    );
    assert_eq!(doctor["store_formats"]["writes"], "1.1");
    let (text, _) = run(&["doctor"], 0);
    assert!(text.lines().count() >= 6 && text.contains("GDAL"), "{text}");
}

#[test]
fn schema_lists_and_prints_and_refuses_unknown_names() {
    let (names, _) = run(&["schema"], 0);
    for name in names.lines() {
        let schema = json(&["schema", name], 0);
        assert!(schema["$schema"].is_string(), "{name}");
    }
    let (_, error) = run(&["schema", "pretran"], 2);
    assert!(
        error.contains("pretran") && error.contains("pretrain"),
        "{error}"
    );
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let (text, _) = run(&["completions", shell], 0);
        assert!(text.contains("pretrain"), "{shell}");
    }
}

#[test]
fn a_wrong_flag_is_a_usage_error() {
    let (_, error) = run(&["ingest", "x", "--stor", "y"], 2);
    assert!(error.contains("--store"), "{error}");
}

#[test]
fn every_configuration_in_configs_resolves() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/configs");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let (name, text) = (
            path.display().to_string(),
            std::fs::read_to_string(&path).unwrap(),
        );
        if text.contains("[[arm]]") {
            let experiment: chipmill_schemas::experiment::ExperimentConfig =
                chipmill_schemas::config::resolve(Some((&name, &text)), &[])
                    .unwrap_or_else(|e| panic!("{name}: {e}"));
            experiment
                .validate()
                .unwrap_or_else(|e| panic!("{name}: {e}"));
            continue;
        }
        let config: chipmill_schemas::config::PretrainConfig =
            chipmill_schemas::config::resolve(Some((&name, &text)), &[])
                .unwrap_or_else(|e| panic!("{name}: {e}"));
        config.validate().unwrap_or_else(|e| panic!("{name}: {e}"));
        seen += 1;
    }
    assert!(seen >= 5, "{seen} configurations");
}
