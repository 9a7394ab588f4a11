//! What a reader needs to repeat the run: configuration, environment, commands.

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::probe::{ProbeConfig, ProbeReport};
use chipmill_schemas::run::Environment;
use maud::{Markup, html};

use crate::number::{counted, grouped};
use crate::read::RunFolder;

/// A key with its value, and whether the value differs from the default.
struct Setting {
    key: String,
    value: String,
    changed: bool,
}

pub(super) fn configuration(run: &RunFolder) -> Markup {
    let defaults = defaults();
    let is_table = |v: &toml::Value| v.is_table();
    let (groups, top): (Vec<_>, Vec<_>) = run.config_table.iter().partition(|(_, v)| is_table(v));
    let top: toml::Table = top
        .into_iter()
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect();
    html! {
        section {
            h2 { "Configuration" }
            p.remark { "Bold: differs from the default." }
            div.groups {
                (group("run", &settings(&top, Some(&defaults))))
                @for (name, table) in groups {
                    @let default = defaults.get(name).and_then(toml::Value::as_table);
                    @if let Some(table) = table.as_table() {
                        (group(name, &settings(table, default)))
                    }
                }
            }
            (operations(&run.config))
        }
    }
}

/// Through text, as the run's own table: an `f32` of 0.1 is another number as an `f64`.
fn defaults() -> toml::Table {
    let text = toml::to_string(&PretrainConfig::default()).unwrap_or_default();
    text.parse().unwrap_or_default()
}

fn settings(table: &toml::Table, defaults: Option<&toml::Table>) -> Vec<Setting> {
    let setting = |(key, value): (&String, &toml::Value)| Setting {
        key: key.clone(),
        value: shown(value),
        changed: defaults.and_then(|d| d.get(key)) != Some(value),
    };
    // The operations have a list of their own.
    table
        .iter()
        .filter(|(key, _)| *key != "augment")
        .map(setting)
        .collect()
}

fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) if !text.is_empty() => text.clone(),
        toml::Value::Float(number) if number.abs() < 1e-3 && *number != 0.0 => {
            format!("{number:e}")
        }
        other => other.to_string(),
    }
}

fn group(name: &str, settings: &[Setting]) -> Markup {
    html! {
        div.group {
            h3 { (name) }
            dl {
                @for setting in settings {
                    div.changed[setting.changed] {
                        dt { (setting.key) }
                        dd { (setting.value) }
                    }
                }
            }
        }
    }
}

fn operations(config: &PretrainConfig) -> Markup {
    let operations = config.view.operations();
    html! {
        h3 { "Augmentations, in order" }
        @if operations.is_empty() { p.remark { "None." } }
        ol.operations {
            @for operation in &operations {
                li { b { (operation.name()) } " " (parameters(operation)) }
            }
        }
    }
}

fn parameters(operation: &impl serde::Serialize) -> String {
    let text = toml::to_string(operation).unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let shown = |(key, value): (&String, &toml::Value)| format!("{key} = {value}");
    let named = table.iter().filter(|(key, _)| *key != "op").map(shown);
    named.collect::<Vec<_>>().join(", ")
}

pub(super) fn environment(run: &RunFolder) -> Markup {
    html! {
        section {
            h2 { "Environment" }
            @match &run.environment {
                None => { p.remark { "Not recorded: there is no environment.json." } }
                Some(e) => {
                    dl.facts {
                        @for (name, value) in facts(e) {
                            div { dt { (name) } dd { (value) } }
                        }
                    }
                }
            }
        }
    }
}

pub(crate) fn facts(e: &Environment) -> Vec<(&'static str, String)> {
    let cores = counted(e.cores.into(), "core", "cores");
    let facts = [
        ("Program", e.program.clone()),
        ("Features", e.features.join(", ")),
        ("Device", e.device.clone()),
        ("Processor", format!("{} ({cores})", e.cpu)),
        ("System", e.os.clone()),
        ("Patches selected", grouped(e.patches)),
        ("Parameters", grouped(e.parameters)),
        ("Store digest", e.store_digest.clone()),
        ("Configuration digest", e.config_digest.clone()),
    ];
    facts
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

pub(super) fn repeat(run: &RunFolder) -> Markup {
    let called = run.environment.as_ref().map_or(&[][..], |e| &e.command);
    html! {
        section {
            h2 { "How to repeat it" }
            @if !called.is_empty() {
                p.remark { "The run was started by" }
                pre { code { (shell(called)) } }
            }
            p.remark {
                "The same run once more, from the resolved configuration that it keeps, and every \
                 probe of this page:"
            }
            pre { code { (commands(run, called)) } }
            @if let Some(e) = run.environment.as_ref().filter(|e| !e.store_digest.is_empty()) {
                p.remark {
                    "It is the same only on the same store: its digest is " code { (e.store_digest) }
                    "."
                }
            }
        }
    }
}

/// The commands, one a line. Addresses come from the recorded command line where it has them.
fn commands(run: &RunFolder, called: &[String]) -> String {
    let store = value_of(called, &["--store"]).unwrap_or_else(|| "STORE".to_owned());
    let folder = value_of(called, &["--run", "--resume"]).unwrap_or_else(|| run.name.clone());
    let folder = folder.trim_end_matches('/');
    let again = format!("{folder}-again");
    let config = format!("{folder}/config.toml");
    let mut pretrain = vec![
        "pretrain", "--store", &store, "--config", &config, "--run", &again,
    ];
    let weights = run
        .environment
        .as_ref()
        .and_then(|e| e.initial_weights.as_ref());
    if let Some(weights) = weights {
        pretrain.extend(["--weights", &weights.path]);
    }
    // Nothing was trained: the weights were imported.
    if weights.is_some() && run.status.as_ref().is_some_and(|s| s.max_steps == 0) {
        pretrain[0] = "import";
    } else if let Some(e) = run.environment.as_ref().filter(|e| !e.device.is_empty()) {
        pretrain.extend(["--device", &e.device]);
    }
    let mut lines = vec![command(&pretrain)];
    lines.extend(run.probes.iter().map(|p| probe_command(p, &store, &again)));
    lines.push(command(&["report", &again]));
    lines.join("\n")
}

fn probe_command(report: &ProbeReport, store: &str, folder: &str) -> String {
    let target = match report.target.strip_prefix("labels-") {
        Some(labels) => ["--labels", labels],
        None => ["--task", &report.target],
    };
    let split = report.config.split.name();
    let mut words = vec!["probe", "--run", folder, "--store", store];
    words.extend(target);
    words.extend(["--split", split, "--choose", report.config.choose.name()]);
    let overrides = overrides(report);
    for change in &overrides {
        words.extend(["--set", change]);
    }
    command(&words)
}

/// Settings of a probe other than the defaults, as `key=value`.
fn overrides(report: &ProbeReport) -> Vec<String> {
    let table = |config: &ProbeConfig| -> toml::Table {
        let text = toml::to_string(config).unwrap_or_default();
        text.parse().unwrap_or_default()
    };
    let defaults = table(&ProbeConfig::default());
    let changed = |(key, value): &(&String, &toml::Value)| {
        *key != "split" && *key != "choose" && defaults.get(*key) != Some(*value)
    };
    let settings = table(&report.config);
    let shown = settings
        .iter()
        .filter(changed)
        .map(|(key, value)| format!("{key}={value}"));
    shown.collect()
}

fn command(words: &[&str]) -> String {
    let mut all = vec!["chipmill".to_owned()];
    all.extend(words.iter().map(|w| (*w).to_owned()));
    shell(&all)
}

/// The value of the first of some flags, as `--flag value` or `--flag=value`.
pub(crate) fn value_of(called: &[String], flags: &[&str]) -> Option<String> {
    let found = called.iter().enumerate().find_map(|(i, word)| {
        let (name, joined) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        flags.contains(&name).then(|| {
            joined
                .map(str::to_owned)
                .or_else(|| called.get(i + 1).cloned())
        })
    });
    found.flatten()
}

/// Words as a shell reads them.
pub(crate) fn shell(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn addresses_come_from_the_recorded_command_line() {
        let called = words("chipmill pretrain --store=a/b --run runs/x --seed 3");
        assert_eq!(value_of(&called, &["--store"]).as_deref(), Some("a/b"));
        assert_eq!(
            value_of(&called, &["--run", "--resume"]).as_deref(),
            Some("runs/x")
        );
        assert_eq!(value_of(&called, &["--config"]), None);
        assert_eq!(value_of(&words("chipmill --run"), &["--run"]), None);
    }

    #[test]
    fn words_survive_the_shell() {
        let called = ["chipmill", "--set", "labels_any=[\"it's\"]", ""].map(str::to_owned);
        assert_eq!(
            shell(&called),
            "chipmill --set 'labels_any=[\"it'\\''s\"]' ''"
        );
    }
}
