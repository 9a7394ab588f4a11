//! Whether a run may go on under the configuration asked for.
//!
//! Everything that a loss depends on must stay as it was. These keys may change, for no loss of a
//! step already planned depends on them: `log_every_steps`, `checkpoint_every_steps`,
//! `keep_checkpoints`, `loader.workers`, `loader.max_workers`, `loader.budget_mib`,
//! `loader.on_corrupt` (a run that ended on a damaged patch may go on without it), and `max_steps` while
//! the learning rate is constant.

use std::collections::BTreeMap;

use chipmill_schemas::config::{PretrainConfig, ScheduleKind};
use serde_json::Value;

const FREE: [&str; 7] = [
    "log_every_steps",
    "checkpoint_every_steps",
    "keep_checkpoints",
    "loader.workers",
    "loader.max_workers",
    "loader.budget_mib",
    "loader.on_corrupt",
];

/// The keys that forbid going on, each with both values, such as `seed: 3 in the run, 4 asked for`.
#[must_use]
pub fn forbidden_changes(run: &PretrainConfig, asked: &PretrainConfig) -> Vec<String> {
    let (ours, theirs) = (flat(run), flat(asked));
    let mut keys: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let show = |value: Option<&Value>| value.map_or_else(|| "unset".to_owned(), Value::to_string);
    keys.into_iter()
        .filter(|key| ours.get(*key) != theirs.get(*key) && !may_change(key, run))
        .map(|key| {
            let (run, asked) = (show(ours.get(key)), show(theirs.get(key)));
            format!("{key}: {run} in the run, {asked} asked for")
        })
        .collect()
}

fn may_change(key: &str, run: &PretrainConfig) -> bool {
    let constant = run.schedule.kind == ScheduleKind::Constant;
    FREE.contains(&key) || (key == "max_steps" && constant)
}

/// Every value by its dotted key.
fn flat(config: &PretrainConfig) -> BTreeMap<String, Value> {
    let mut out = BTreeMap::new();
    flatten(
        String::new(),
        &serde_json::to_value(config).unwrap_or_default(),
        &mut out,
    );
    out
}

fn flatten(key: String, value: &Value, out: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let key = if key.is_empty() {
                    name.clone()
                } else {
                    format!("{key}.{name}")
                };
                flatten(key, value, out);
            }
        }
        Value::Null => {}
        value => {
            out.insert(key, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::config::{LossKind, OnCorrupt, OrderKind, ScheduleConfig};

    #[test]
    fn every_key_that_a_loss_depends_on_is_named() {
        let run = PretrainConfig::default();
        let mut asked = run.clone();
        asked.loss.kind = LossKind::Dcl;
        asked.seed = 4;
        asked.view.augment = Some(Vec::new());
        asked.loader.order = OrderKind::Pages;
        let changes = forbidden_changes(&run, &asked);
        assert_eq!(
            changes,
            [
                "loader.order: \"uniform\" in the run, \"pages\" asked for",
                "loss.kind: \"nt_xent\" in the run, \"dcl\" asked for",
                "seed: 0 in the run, 4 asked for",
                "view.augment: unset in the run, [] asked for",
            ]
        );
    }

    #[test]
    fn more_steps_and_other_workers_may_be_asked_for() {
        let run = PretrainConfig::default();
        let mut asked = run.clone();
        asked.max_steps += 1;
        asked.loader.workers = 3;
        asked.loader.on_corrupt = OnCorrupt::Skip;
        asked.keep_checkpoints = 9;
        assert!(forbidden_changes(&run, &asked).is_empty());
    }

    #[test]
    fn more_steps_are_refused_where_the_learning_rate_depends_on_them() {
        let run = PretrainConfig {
            schedule: ScheduleConfig {
                kind: ScheduleKind::WarmupCosine,
                warmup_steps: 1,
            },
            ..PretrainConfig::default()
        };
        let asked = PretrainConfig {
            max_steps: 9,
            ..run.clone()
        };
        assert_eq!(forbidden_changes(&run, &asked).len(), 1);
    }
}
