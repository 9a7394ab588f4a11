//! From a TOML text and overrides to a configuration, or an error that names the key.

use serde::de::DeserializeOwned;

/// A configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Not TOML.
    #[error("{source_name}: {message}")]
    Syntax {
        /// File or flag.
        source_name: String,
        /// What the parser says, with line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("unknown key `{key}`; did you mean `{nearest}`? (known here: {known})")]
    UnknownKey {
        /// The key, with its path.
        key: String,
        /// The most similar known key.
        nearest: String,
        /// All keys of that table.
        known: String,
    },
    /// A value of the wrong type or out of range.
    #[error("`{key}`: {message}")]
    BadValue {
        /// The key, with its path.
        key: String,
        /// What was found and expected.
        message: String,
    },
}

/// Builds a configuration from an optional TOML text and `key=value` overrides.
///
/// # Errors
/// [`ConfigError`] naming the key, what was found and what is known.
pub fn resolve<T: DeserializeOwned>(
    file: Option<(&str, &str)>,
    overrides: &[String],
) -> Result<T, ConfigError> {
    let mut table = match file {
        Some((name, text)) => text
            .parse::<toml::Table>()
            .map_err(|e| ConfigError::Syntax {
                source_name: name.to_owned(),
                message: e.to_string(),
            })?,
        None => toml::Table::new(),
    };
    for text in overrides {
        set(&mut table, text)?;
    }
    serde_path_to_error::deserialize(toml::Value::Table(table)).map_err(|e| explain(&e))
}

fn set(table: &mut toml::Table, text: &str) -> Result<(), ConfigError> {
    let syntax = |message: &str| ConfigError::Syntax {
        source_name: format!("--set {text}"),
        message: message.to_owned(),
    };
    let (path, value) = text
        .split_once('=')
        .ok_or_else(|| syntax("expected key=value"))?;
    let value = format!("v={value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys
        .pop()
        .filter(|k| !k.is_empty())
        .ok_or_else(|| syntax("the key is empty"))?;
    let mut at = table;
    for key in keys {
        let entry = at
            .entry(key)
            .or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at = entry
            .as_table_mut()
            .ok_or_else(|| syntax(&format!("`{key}` is not a table")))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

/// Turns serde's message about an unknown field into ours; serde has no structured form of it.
fn explain(error: &serde_path_to_error::Error<toml::de::Error>) -> ConfigError {
    let path = error.path().to_string();
    let message = error.inner().message().to_owned();
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    if !message.starts_with("unknown field") || quoted.is_empty() {
        return ConfigError::BadValue { key: path, message };
    }
    let (field, known) = (quoted[0], &quoted[1..]);
    let key = if path.ends_with(field) || path == "." {
        path
    } else {
        format!("{path}.{field}")
    };
    ConfigError::UnknownKey {
        key: if key == "." { field.to_owned() } else { key },
        nearest: crate::nearest(field, known.iter().copied()).unwrap_or_default(),
        known: known.join(", "),
    }
}
