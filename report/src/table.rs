//! The metrics as comma-separated values, for spreadsheets.

use std::fmt::Write as _;

use chipmill_schemas::run::MetricsRow;

type Column = (&'static str, fn(&MetricsRow) -> f64);

const MEASURES: [Column; 10] = [
    ("loss", |r| r.loss),
    ("learning_rate", |r| r.learning_rate),
    ("contrastive_accuracy", |r| r.contrastive_accuracy),
    ("alignment", |r| r.alignment),
    ("uniformity", |r| r.uniformity),
    ("embedding_std", |r| r.embedding_std),
    ("weight_norm", |r| r.weight_norm),
    ("gradient_norm", |r| r.gradient_norm),
    ("pairs_per_s", |r| r.pairs_per_s),
    ("data_wait", |r| r.data_wait),
];

/// One line of names, then one a row; what is not finite stays empty.
pub(crate) fn metrics_csv(rows: &[MetricsRow]) -> String {
    let names: Vec<&str> = MEASURES.iter().map(|(name, _)| *name).collect();
    let mut csv = format!("step,attempt,epoch,{}\n", names.join(","));
    for row in rows {
        let _ = write!(csv, "{},{},{}", row.step, row.attempt, row.epoch);
        for (_, measure) in MEASURES {
            let value = measure(row);
            let _ = match value.is_finite() {
                true => write!(csv, ",{value}"),
                false => write!(csv, ","),
            };
        }
        csv.push('\n');
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_number_of_the_row() {
        let row = MetricsRow {
            step: 10,
            loss: 3.25,
            alignment: f64::NAN,
            ..MetricsRow::default()
        };
        let csv = metrics_csv(&[row]);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "10,0,0,3.25,0,0,,0,0,0,0,0,0");
        let mut names: Vec<&str> = lines[0].split(',').collect();
        names.sort_unstable();
        let json = serde_json::to_value(row).unwrap();
        let mut fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(names, fields);
    }
}
