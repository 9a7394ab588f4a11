//! `chipmill schema`

use std::path::PathBuf;

use anyhow::Context;

use crate::exit::Outcome;
use crate::output;

/// Print the JSON Schema of a configuration or a result; without a name, list the names.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which schema, such as `pretrain`.
    name: Option<String>,

    /// Write all schemas into this folder, one file each.
    #[arg(long, value_name = "DIR", conflicts_with = "name")]
    write: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let schemas = chipmill_schemas::schema::all();
    if let Some(folder) = &args.write {
        for (name, schema) in &schemas {
            let path = folder.join(format!("{name}.schema.json"));
            std::fs::write(&path, chipmill_schemas::schema::text(schema))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        return Ok(Outcome::Done);
    }
    let names: Vec<&str> = schemas.iter().map(|(name, _)| *name).collect();
    let Some(name) = &args.name else {
        output::result(&names.join("\n"))?;
        return Ok(Outcome::Done);
    };
    let found = schemas.iter().find(|(known, _)| known == name);
    let (_, schema) = found.with_context(|| {
        format!(
            "no schema is named `{name}`; there are {}",
            names.join(", ")
        )
    })?;
    output::result(&chipmill_schemas::schema::text(schema))?;
    Ok(Outcome::Done)
}
