//! What a reader must know before any figure: how the run stands, and whether it is sound.

use chipmill_schemas::run::{Collapse, MetricsRow, RunState};

use crate::number;
use crate::read::RunFolder;

/// More waiting than this is worth a word.
const MUCH_WAITING: f64 = 0.25;

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// What it is, in whole sentences.
    pub text: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// The figures cannot be used as they stand.
    Alert,
    /// Good to know.
    Note,
}

/// Standard deviation, per dimension, of unit vectors spread evenly over the sphere: `1 / sqrt(D)`.
pub(crate) fn even_spread(run: &RunFolder) -> f64 {
    f64::from(run.config.projection.output).sqrt().recip()
}

/// Everything to know of a run, what matters most first.
#[must_use]
pub fn findings(run: &RunFolder) -> Vec<Finding> {
    let mut found: Vec<Finding> = [
        diverged(run),
        collapsed(run),
        state(run),
        nothing_logged(run),
        waiting(run),
        torn(run),
    ]
    .into_iter()
    .flatten()
    .collect();
    found.sort_by_key(|f| f.weight);
    found
}

fn alert(text: String) -> Option<Finding> {
    let weight = Weight::Alert;
    Some(Finding { weight, text })
}

fn note(text: String) -> Option<Finding> {
    let weight = Weight::Note;
    Some(Finding { weight, text })
}

fn diverged(run: &RunFolder) -> Option<Finding> {
    // Row 0 is of a probe before training: it has no loss.
    let trained = |r: &&MetricsRow| r.step > 0;
    let mut rows = run.metrics.iter().filter(trained);
    let row = rows.find(|r| !r.loss.is_finite())?;
    alert(format!(
        "Diverged: the loss is not a number from the row at step {} on. A lower learning rate or a \
         higher temperature may help.",
        number::grouped(row.step)
    ))
}

fn collapsed(run: &RunFolder) -> Option<Finding> {
    let row = run.metrics.last()?;
    let (output, batch) = (run.config.projection.output, run.config.loader.batch_size);
    let even = even_spread(run);
    if row.collapse(output, batch)? == Collapse::Line {
        return alert(format!(
            "Collapsed: at step {} the projections' effective rank is {}. All patches are mapped to \
             nearly the same line; a falling loss says nothing here.",
            number::grouped(row.step),
            number::short(row.rank_me.unwrap_or(f64::NAN)),
        ));
    }
    alert(format!(
        "Collapsed: at step {} the projections' standard deviation is {}, where an even spread over \
         {} dimensions has {}. All patches are mapped to nearly the same point; a falling loss says \
         nothing here.",
        number::grouped(row.step),
        number::short(row.embedding_std),
        run.config.projection.output,
        number::short(even)
    ))
}

fn state(run: &RunFolder) -> Option<Finding> {
    let Some(status) = &run.status else {
        return alert(
            "There is no status.json: the run stopped before it began, or is starting.".to_owned(),
        );
    };
    let done = format!(
        "after {} of {}",
        number::grouped(status.step),
        number::counted(status.max_steps, "step", "steps")
    );
    let kept = match status.checkpoint {
        Some(step) => format!(
            "The newest checkpoint is of step {}.",
            number::grouped(step)
        ),
        None => "There is no checkpoint.".to_owned(),
    };
    match status.state {
        RunState::Finished => None,
        RunState::Failed => {
            let why = status
                .message
                .as_deref()
                .unwrap_or("no reason was recorded");
            alert(format!(
                "Failed {done}: {}. {kept}",
                why.trim_end_matches('.')
            ))
        }
        RunState::Interrupted => note(format!("Interrupted on request {done}. {kept}")),
        RunState::Running => note(format!("Not finished: running, or killed, {done}. {kept}")),
    }
}

fn nothing_logged(run: &RunFolder) -> Option<Finding> {
    if run.metrics.is_empty() {
        return note("No metrics were logged, so there are no curves.".to_owned());
    }
    None
}

fn waiting(run: &RunFolder) -> Option<Finding> {
    let share = mean(&run.metrics, |r| r.data_wait)?;
    if share <= MUCH_WAITING {
        return None;
    }
    note(format!(
        "Training waited for data {} of its time: more loader workers, or a faster disk, would make \
         it faster.",
        number::percent(share)
    ))
}

fn torn(run: &RunFolder) -> Option<Finding> {
    let lines = run.torn_lines as u64;
    (lines > 0).then_some(())?;
    note(format!(
        "{} of metrics.jsonl {} cut off in the middle and left out.",
        number::counted(lines, "line", "lines"),
        if lines == 1 { "was" } else { "were" }
    ))
}

/// Mean over the rows that have a finite value.
pub(crate) fn mean(rows: &[MetricsRow], value: impl Fn(&MetricsRow) -> f64) -> Option<f64> {
    let values: Vec<f64> = rows.iter().map(value).filter(|v| v.is_finite()).collect();
    let count = values.len() as u64;
    (count > 0).then(|| values.iter().sum::<f64>() / number::float(count))
}
