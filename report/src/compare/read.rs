//! The folder of a comparison as it stands on disk.

use std::path::Path;

use chipmill_schemas::comparison::{FeatureMap, GradientStudy, RunStanding};
use chipmill_schemas::config::{PretrainConfig, resolve};
use chipmill_schemas::experiment::{ExperimentConfig, same_experiment};
use chipmill_schemas::run::RunState;

use super::endpoint;
use crate::error::ReportError;
use crate::read::{RunFolder, listed, read_bytes, read_json, read_text};

const EXPERIMENT: &str = "experiment.toml";

/// Everything a comparison's report is made of. Nothing in it depends on where the folder lies.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonFolder {
    /// What was asked.
    pub experiment: ExperimentConfig,
    /// One entry a planned run, family by family, arm by arm, seed by seed.
    pub runs: Vec<ComparisonRun>,
    /// `gradients.json`, when it was written.
    pub gradients: Option<GradientStudy>,
    /// `features/*.json`, by file name.
    pub features: Vec<(String, FeatureMap)>,
    /// `sheets/*.png`, by file name without its end.
    pub sheets: Vec<(String, Vec<u8>)>,
}

/// A planned run and what there is of it.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonRun {
    /// Its folder inside `runs/`.
    pub name: String,
    /// Its family.
    pub family: String,
    /// Its arm.
    pub arm: String,
    /// Its seed.
    pub seed: u64,
    /// Whether nothing is trained.
    pub random_encoder: bool,
    /// How it stands.
    pub standing: RunStanding,
    /// Why it failed, or what is different.
    pub message: Option<String>,
    /// What the experiment asks for.
    pub config: PretrainConfig,
    /// The run folder, when it can be read.
    pub folder: Option<RunFolder>,
}

impl ComparisonRun {
    /// Steps to do: none for an encoder that is not trained.
    #[must_use]
    pub const fn max_steps(&self) -> u64 {
        if self.random_encoder {
            0
        } else {
            self.config.max_steps
        }
    }
}

/// Whether a folder is that of a comparison.
#[must_use]
pub fn is_comparison(path: &Path) -> bool {
    path.join(EXPERIMENT).is_file()
}

impl ComparisonFolder {
    /// Reads the folder of a comparison. Only `experiment.toml` has to be there. A run that cannot be
    /// read is shown as failed, with the reason.
    ///
    /// # Errors
    /// [`ReportError::NotAComparison`] without `experiment.toml`; [`ReportError::Content`] when it, or a
    /// file beside the runs, is not what it should be.
    pub fn read(path: &Path) -> Result<Self, ReportError> {
        let experiment = read_experiment(path)?;
        let runs = path.join("runs");
        let mut found = Vec::new();
        for family in &experiment.families {
            for arm in experiment.arms_of(family) {
                for &seed in &experiment.seeds {
                    let planned = chipmill_schemas::experiment::PlannedRun { family, arm, seed };
                    let config = experiment
                        .run_config(&planned)
                        .map_err(|e| experiment_error(path, e.to_string()))?;
                    found.push(read_run(&runs, &planned, config, &experiment));
                }
            }
        }
        Ok(Self {
            experiment,
            runs: found,
            gradients: read_json(&path.join("gradients.json"), "a study of gradients")?,
            features: read_features(&path.join("features"))?,
            sheets: read_sheets(&path.join("sheets"))?,
        })
    }

    /// The runs of one arm in one family, by seed.
    pub fn arm<'a>(
        &'a self,
        family: &'a str,
        arm: &'a str,
    ) -> impl Iterator<Item = &'a ComparisonRun> {
        self.runs
            .iter()
            .filter(move |r| r.family == family && r.arm == arm)
    }
}

fn experiment_error(path: &Path, message: String) -> ReportError {
    ReportError::Content {
        path: path.join(EXPERIMENT),
        line: None,
        message,
        expected: "an experiment (see `chipmill schema experiment`)",
    }
}

fn read_experiment(path: &Path) -> Result<ExperimentConfig, ReportError> {
    let file = path.join(EXPERIMENT);
    let text = read_text(&file)?.ok_or_else(|| ReportError::NotAComparison {
        path: path.to_path_buf(),
    })?;
    let experiment: ExperimentConfig = resolve(Some((EXPERIMENT, &text)), &[])
        .map_err(|e| experiment_error(path, e.to_string()))?;
    let experiment = match experiment.base_file().map(str::to_owned) {
        None => experiment,
        // `compare` puts the base in place; a folder made by hand may still name its file.
        Some(base) => {
            let base_path = path.join(&base);
            let text = read_text(&base_path)?.ok_or_else(|| {
                experiment_error(path, format!("`base`: {} is missing", base_path.display()))
            })?;
            experiment
                .with_base(&base, &text)
                .map_err(|e| experiment_error(path, e.to_string()))?
        }
    };
    experiment
        .validate()
        .map_err(|e| experiment_error(path, e.to_string()))?;
    Ok(experiment)
}

fn read_run(
    runs: &Path,
    planned: &chipmill_schemas::experiment::PlannedRun<'_>,
    config: PretrainConfig,
    experiment: &ExperimentConfig,
) -> ComparisonRun {
    let name = planned.name();
    let path = runs.join(&name);
    let mut run = ComparisonRun {
        family: planned.family.name.clone(),
        arm: planned.arm.name.clone(),
        seed: planned.seed,
        random_encoder: planned.arm.random_encoder,
        standing: RunStanding::Missing,
        message: None,
        config,
        folder: None,
        name,
    };
    match RunFolder::read(&path) {
        Ok(folder) => run.folder = Some(folder),
        Err(ReportError::NotARun { .. }) => return run,
        Err(error) => {
            run.standing = RunStanding::Failed;
            run.message = Some(within(&error, &path));
            return run;
        }
    }
    (run.standing, run.message) = standing(&run, experiment);
    run
}

/// The error with the file's path inside the run folder, so that the report does not depend on where
/// the folder lies.
fn within(error: &ReportError, folder: &Path) -> String {
    let prefix = format!("{}/", folder.display());
    error.to_string().replace(&prefix, "")
}

fn standing(run: &ComparisonRun, experiment: &ExperimentConfig) -> (RunStanding, Option<String>) {
    let Some(folder) = &run.folder else {
        return (RunStanding::Missing, None);
    };
    if !same_experiment(&folder.config, &run.config) {
        return (
            RunStanding::Different,
            Some(difference(&folder.config, &run.config)),
        );
    }
    let Some(status) = &folder.status else {
        return (RunStanding::Running, None);
    };
    let message = status.message.clone();
    match status.state {
        RunState::Running => (RunStanding::Running, message),
        RunState::Interrupted => (RunStanding::Interrupted, message),
        RunState::Failed => (RunStanding::Failed, message),
        RunState::Finished => match endpoint::last_probe(run, experiment) {
            Ok(_) => (RunStanding::Counted, message),
            Err(why) => (RunStanding::NotScored, Some(why)),
        },
    }
}

/// The keys in which two configurations differ, and their values.
fn difference(found: &PretrainConfig, expected: &PretrainConfig) -> String {
    let [found, expected] = [found, expected].map(|config| {
        let text = toml::to_string(config).unwrap_or_default();
        let mut keys = Vec::new();
        flatten("", &text.parse().unwrap_or_default(), &mut keys);
        keys
    });
    let of = |keys: &[(String, String)], key: &str| {
        let value = keys.iter().find(|(k, _)| k == key);
        value.map_or_else(|| "nothing".to_owned(), |(_, v)| v.clone())
    };
    let mut keys: Vec<&String> = found.iter().chain(&expected).map(|(k, _)| k).collect();
    keys.sort();
    keys.dedup();
    let differing = keys.into_iter().filter_map(|key| {
        let (is, should) = (of(&found, key), of(&expected, key));
        (is != should).then(|| format!("{key} is {is}, the experiment asks for {should}"))
    });
    differing.take(4).collect::<Vec<_>>().join("; ")
}

fn flatten(prefix: &str, table: &toml::Table, keys: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inner) => flatten(&format!("{key}."), inner, keys),
            value => keys.push((key, value.to_string())),
        }
    }
}

fn read_features(folder: &Path) -> Result<Vec<(String, FeatureMap)>, ReportError> {
    let mut maps = Vec::new();
    for (name, path) in listed(folder, "json")? {
        if let Some(map) = read_json(
            &path,
            "a map of features (see `chipmill schema feature-map`)",
        )? {
            maps.push((name, map));
        }
    }
    Ok(maps)
}

fn read_sheets(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let mut sheets = Vec::new();
    for (name, path) in listed(folder, "png")? {
        let bytes = read_bytes(&path)?;
        if !bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            return Err(ReportError::Content {
                path,
                line: None,
                message: "does not begin as a PNG file".to_owned(),
                expected: "a PNG image",
            });
        }
        sheets.push((name, bytes));
    }
    Ok(sheets)
}
