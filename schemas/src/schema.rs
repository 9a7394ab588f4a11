//! JSON Schemas of the files that people write and read.

use schemars::{JsonSchema, Schema, schema_for};

use crate::{comparison, config, experiment, ingest, manifest, patch, probe, run, task};

/// All schemas by name. `schemas/json/<name>.schema.json` holds the text of each.
#[must_use]
pub fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("pretrain", of::<config::PretrainConfig>()),
        ("probe", of::<probe::ProbeConfig>()),
        ("task", of::<task::Task>()),
        ("manifest", of::<manifest::Manifest>()),
        ("patch", of::<patch::PatchRow>()),
        ("ingest-summary", of::<ingest::IngestSummary>()),
        ("verify-report", of::<ingest::VerifyReport>()),
        ("metrics-row", of::<run::MetricsRow>()),
        ("run-status", of::<run::RunStatus>()),
        ("environment", of::<run::Environment>()),
        ("probe-report", of::<probe::ProbeReport>()),
        ("experiment", of::<experiment::ExperimentConfig>()),
        ("comparison", of::<comparison::ComparisonReport>()),
        ("feature-map", of::<comparison::FeatureMap>()),
        ("gradient-study", of::<comparison::GradientStudy>()),
    ]
}

fn of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

/// A schema as the text of its file.
#[must_use]
pub fn text(schema: &Schema) -> String {
    format!("{:#}\n", schema.as_value())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_files_in_schemas_json_are_fresh() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
        for (name, schema) in super::all() {
            let path = folder.join(format!("{name}.schema.json"));
            let found = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                found == super::text(&schema),
                "{} is stale: run `chipmill schema --write schemas/json`",
                path.display()
            );
        }
    }
}
