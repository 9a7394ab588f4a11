//! Readings of a probe's scores: names, differences and intervals.

use chipmill_schemas::probe::{ProbeEntry, ProbeReport, Scores};

use crate::number;

/// The name of an entry as a person reads it.
pub(crate) fn label(name: &str) -> String {
    match name {
        "encoder" => "Encoder, linear".to_owned(),
        "encoder_knn" => "Encoder, kNN".to_owned(),
        "random_encoder" => "Random encoder".to_owned(),
        "supervised" => "Supervised encoder".to_owned(),
        "band_statistics" => "Band statistics".to_owned(),
        "majority" => "Majority class".to_owned(),
        other => other.replace('_', " "),
    }
}

/// What was probed, as a person reads it.
pub(crate) fn target(report: &ProbeReport) -> String {
    match report.target.strip_prefix("labels-") {
        Some(classes) => format!("the {classes}-class labels"),
        None => report.target.clone(),
    }
}

/// The same as a heading.
pub(crate) fn title(report: &ProbeReport) -> String {
    let target = target(report);
    target
        .strip_prefix("the ")
        .map(str::to_owned)
        .unwrap_or(target)
}

/// The entry that the report is about: `encoder`, else the first.
pub(crate) fn subject(report: &ProbeReport) -> Option<&ProbeEntry> {
    let named = report.entries.iter().find(|e| e.name == "encoder");
    named.or_else(|| report.entries.first())
}

/// The entries that the subject is measured against.
pub(crate) fn controls(report: &ProbeReport) -> impl Iterator<Item = &ProbeEntry> {
    let control = |e: &&ProbeEntry| !e.name.starts_with("encoder");
    report.entries.iter().filter(control)
}

/// Wilson's interval of a share seen in `n` independent rows, 95 %:
/// `(p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)`, `z = 1.96`
/// (E. B. Wilson, J. Am. Stat. Assoc. 22, 1927).
pub(crate) fn wilson(p: f64, n: u64) -> Option<(f64, f64)> {
    if n == 0 || !(0.0..=1.0).contains(&p) {
        return None;
    }
    let z = 1.959_963_984_540_054;
    let n = number::float(n);
    let centre = p + z * z / (2.0 * n);
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    Some((
        ((centre - half) / scale).max(0.0),
        ((centre + half) / scale).min(1.0),
    ))
}

/// The interval of an entry's headline figure: the probe's bootstrap, or, of results without one,
/// Wilson's where the figure is a share of the test rows.
pub(crate) fn interval(report: &ProbeReport, entry: &ProbeEntry) -> Option<(f64, f64)> {
    let headline = entry.scores.named().first().map(|(name, _)| *name);
    if let Some([low, high]) = headline.and_then(|name| bootstrap(entry, name)) {
        return Some((low, high));
    }
    match &entry.scores {
        Scores::SingleLabel(s) => wilson(s.accuracy, report.rows.test),
        Scores::MultiLabel(_) => None,
    }
}

/// The bootstrap interval of a score, by its name in files.
pub(crate) fn bootstrap(entry: &ProbeEntry, name: &str) -> Option<[f64; 2]> {
    entry.intervals.as_ref()?.scores.get(name).copied()
}

/// Settings that were chosen, in words.
pub(crate) fn chosen(entry: &ProbeEntry) -> Option<String> {
    let chosen = entry.chosen.as_ref()?;
    let settings = match (chosen.c, chosen.neighbours, chosen.knn_temperature) {
        (Some(c), ..) => format!("C = {c}"),
        (_, Some(k), Some(t)) => format!("{k} neighbours, temperature {t}"),
        _ => return None,
    };
    let score = number::percent(chosen.score);
    Some(format!("{settings}, chosen: {score} on the rows for that."))
}

/// A difference of shares in words, as in "12.1 points above".
pub(crate) fn distance(difference: f64) -> String {
    let size = number::fixed((difference * 100.0).abs(), 1);
    match size.as_str() {
        "0.0" => "level with".to_owned(),
        _ if difference > 0.0 => format!("{size} points above"),
        _ => format!("{size} points below"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wilsons_interval_agrees_with_published_values() {
        // Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for (r, n, low, high) in [
            (81u32, 263u64, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let (a, b) = wilson(f64::from(r) / number::float(n), n).unwrap();
            assert!(
                (a - low).abs() < 5e-5 && (b - high).abs() < 5e-5,
                "{r}/{n}: {a} {b}"
            );
        }
        assert_eq!(wilson(0.5, 0), None);
        assert_eq!(wilson(f64::NAN, 10), None);
    }

    #[test]
    fn distances_read_as_words() {
        assert_eq!(distance(0.121), "12.1 points above");
        assert_eq!(distance(-0.0312), "3.1 points below");
        assert_eq!(distance(0.0004), "level with");
    }
}
