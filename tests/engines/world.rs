//! A folder in which an engine could work: raw data, and programs that play Slurm.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::{objects, run, text};

/// A store's path that every shell and every YAML reader would like to misread.
const HOSTILE: &str = "it's \"$HOME\" `id` $(JOB_COMPLETION_INDEX) #: {}\n\u{85}EOF";

pub(super) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(super) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// 23 patches, planned as six units of four for a store with a hostile path.
    pub(super) fn planned() -> Self {
        let world = Self::empty();
        let raw = world.path("raw");
        run(&["sample", &raw, "--layout", "v2", "--patches", "23"], 0);
        world.plan(&world.store(), 0);
        world
    }

    pub(super) fn plan(&self, store: &str, code: i32) -> String {
        let source = self.path("raw/BigEarthNet-S2");
        let args = [
            "ingest",
            "plan",
            &source,
            "--shard-patches",
            "4",
            "--store",
            store,
        ];
        run(&args, code).1
    }

    pub(super) fn path(&self, name: &str) -> String {
        text(&self.folder.path().join(name)).to_owned()
    }

    pub(super) fn store(&self) -> String {
        self.path(HOSTILE)
    }

    /// Where the scripts run, and where the programs that play Slurm write down how they were called.
    fn place(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a program for the scripts' PATH.
    pub(super) fn program(&self, name: &str, body: &str) {
        let folder = self.place().join("bin");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(name);
        fs::write(&path, format!("#!/usr/bin/env bash\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A program that writes down its arguments, one call a line.
    pub(super) fn witness(&self, name: &str, says: &str) {
        self.program(name, &format!("echo \"$@\" >> {name}.calls; {says}"));
    }

    pub(super) fn calls(&self, name: &str) -> String {
        fs::read_to_string(self.place().join(format!("{name}.calls"))).unwrap_or_default()
    }

    /// bash in the folder, with the folder's programs before all others.
    pub(super) fn bash(&self, script: &str, args: &[&str], env: &[(&str, &str)]) -> Command {
        let file = self.path("job script.sh");
        fs::write(&file, script).unwrap();
        let path = format!("{}:{}", self.path("bin"), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.arg(file).args(args).env("PATH", path);
        command.envs(env.iter().copied()).current_dir(self.place());
        command
    }

    pub(super) fn code(
        &self,
        script: &str,
        args: &[&str],
        env: &[(&str, &str)],
        code: i32,
    ) -> Output {
        let output = self.bash(script, args, env).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?} {env:?}\n{said}");
        output
    }

    /// The store is what one process makes of the same data.
    pub(super) fn assert_whole(&self) {
        let (raw, whole) = (self.path("raw/BigEarthNet-S2"), self.path("whole"));
        run(
            &["ingest", &raw, "--shard-patches", "4", "--store", &whole],
            0,
        );
        assert!(
            objects(&whole) == objects(&self.store()),
            "the stores differ"
        );
        run(&["verify", &self.store()], 0);
    }
}

/// How this build is called, for `--command`.
pub(super) fn program() -> String {
    format!("'{}'", env!("CARGO_BIN_EXE_chipmill"))
}
