//! stdout is the result, stderr is talk. The only place that writes to either.

use std::io::Write;

use serde::Serialize;

/// Writes a result.
pub(crate) fn result(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(())
}

/// Writes a result as one JSON document.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    result(&serde_json::to_string_pretty(value)?)
}

/// Writes a line of talk. A closed stderr is nobody's failure.
pub(crate) fn talk(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// `12,345,678`
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `1.5 GB`, in powers of 1,000.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let (mut value, mut unit) = (n, 0);
    let mut rest = 0;
    while value >= 1000 && unit + 1 < UNITS.len() {
        rest = value % 1000;
        value /= 1000;
        unit += 1;
    }
    if unit == 0 || value >= 100 {
        format!("{value} {}", UNITS[unit])
    } else {
        format!("{value}.{} {}", rest / 100, UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(grouped(590_326), "590,326");
        assert_eq!(grouped(12), "12");
        assert_eq!(bytes(160_000), "160 kB");
        assert_eq!(bytes(1_540_000_000), "1.5 GB");
        assert_eq!(bytes(999), "999 B");
    }
}
