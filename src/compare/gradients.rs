//! The study of gradients that an experiment may ask for, before its runs.

use std::sync::Arc;

use anyhow::Context;
use chipmill_schemas::comparison;
use chipmill_schemas::experiment::{Arm, ExperimentConfig, PlannedRun};
use chipmill_schemas::task::Task;
use chipmill_train::TrainError;
use chipmill_train::study::GradientStudy;

use super::job::Job;
use crate::progress::say;

pub(super) const GRADIENTS: &str = "gradients.json";

/// Makes `gradients.json` unless it is there or not asked for; `false` when a signal came.
pub(super) fn study(experiment: &ExperimentConfig, job: &Job<'_>) -> anyhow::Result<bool> {
    let path = job.place.folder().join(GRADIENTS);
    if experiment.gradients.is_some() {
        job.place.fetch_file(GRADIENTS)?;
    }
    let Some(asked) = experiment.gradients.as_ref().filter(|_| !path.exists()) else {
        return Ok(true);
    };
    say("gradients of SimCLR and DCL over temperatures");
    let plain = Arm {
        name: "gradients".to_owned(),
        label: None,
        set: Vec::new(),
        random_encoder: true,
        colour: None,
    };
    let (mut rows, mut dimensions) = (Vec::new(), 0);
    for family in &experiment.families {
        let run = PlannedRun {
            family,
            arm: &plain,
            seed: asked.seed,
        };
        let config = experiment.run_config(&run)?;
        let named = |name: &str| {
            let given = job.tasks.iter().find(|task| task.name == name);
            given.map_or_else(|| Task::built_in(name), |task| Ok(task.clone()))
        };
        let selected = config.selection.rows(job.store.table(), named)?;
        let study = GradientStudy {
            store: job.store,
            rows: &Arc::from(selected),
            config: &config,
            device: job.device,
            stop: job.stop,
        };
        match study.rows(&family.name, &asked.temperatures, asked.batches) {
            Ok(found) => rows.extend(found),
            Err(TrainError::Stopped) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        dimensions = config.projection.output;
    }
    let result = comparison::GradientStudy {
        batches: asked.batches,
        dimensions,
        rows,
    };
    let text = serde_json::to_vec_pretty(&result).context("the study cannot be written")?;
    let part = job
        .place
        .folder()
        .join(format!("gradients.{}.tmp", std::process::id()));
    std::fs::write(&part, text)
        .and_then(|()| std::fs::rename(&part, &path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    job.place.give_file(GRADIENTS)?;
    Ok(true)
}
