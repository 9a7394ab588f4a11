//! Tasks by name: built in, or from a TOML file.

use anyhow::Context;
use chipmill_schemas::task::Task;

/// The task called `name`: built in, or the contents of the file when `name` ends in `.toml`.
pub(crate) fn find(name: &str) -> anyhow::Result<Task> {
    if !name.ends_with(".toml") {
        return Ok(Task::built_in(name)?);
    }
    let text = std::fs::read_to_string(name).with_context(|| format!("cannot read task {name}"))?;
    let task: Task = chipmill_schemas::config::resolve(Some((name, &text)), &[])
        .with_context(|| format!("task {name}"))?;
    task.compile()?;
    Ok(task)
}
