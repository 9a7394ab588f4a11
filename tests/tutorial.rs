//! docs/tutorial.md, line by line: every command of it runs, on data made for the purpose.

use std::path::Path;

use assert_cmd::Command;

use crate::compare::EXPERIMENT;
use crate::support::{run, text};

const TUTORIAL: &str = include_str!("../docs/tutorial.md");

/// The commands of the blocks that are marked as `sh`, continued lines joined.
fn commands() -> Vec<String> {
    let blocks = TUTORIAL.split("```sh\n").skip(1);
    let block = |text: &str| {
        let (block, _) = text.split_once("```").expect("a block ends");
        block.replace("\\\n", " ")
    };
    let joined: Vec<String> = blocks.map(block).collect();
    let lines = joined.iter().flat_map(|block| block.lines());
    lines.map(str::to_owned).collect()
}

/// A folder with what the downloads would bring, and a small experiment under the long one's name.
fn downloads() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let configs = folder.path().join("configs");
    std::fs::create_dir(&configs).unwrap();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("configs/dcl.toml");
    std::fs::copy(source, configs.join("dcl.toml")).unwrap();
    let experiment = EXPERIMENT.replace("name = \"b16\"", "name = \"rgb\"");
    std::fs::write(configs.join("notes.toml"), experiment).unwrap();
    let v2 = folder.path().join("v2");
    let args = ["sample", text(&v2), "--layout", "v2", "--patches", "40"];
    run(&[&args[..], &["--archive", "tar.zst"]].concat(), 0);
    folder
}

/// Moves every file of one folder into another.
fn bring(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::rename(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn every_command_of_the_tutorial_runs() {
    let folder = downloads();
    let commands = commands();
    assert!(commands.len() > 12, "{commands:#?}");
    for command in &commands {
        let mut words: Vec<&str> = command.split_whitespace().collect();
        assert_eq!(words.remove(0), "chipmill", "{command}");
        // The machine of the tests has no GPU.
        if let Some(at) = words.iter().position(|word| *word == "--device") {
            words.drain(at..at + 2);
        }
        // `sample .` wants an empty folder, which this one is not.
        let sampled = folder.path().join("sampled");
        if words.starts_with(&["sample", "."]) {
            words[1] = text(&sampled);
        }
        let output = Command::new(env!("CARGO_BIN_EXE_chipmill"))
            .args(&words)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{said}");
        if words[0] == "sample" {
            bring(&sampled, folder.path());
            bring(&folder.path().join("v2"), folder.path());
        }
    }
    for made in [
        "sheet.png",
        "features.safetensors",
        "results/notes/report.html",
    ] {
        assert!(folder.path().join(made).is_file(), "{made}");
    }
}
