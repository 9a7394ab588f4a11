//! The metrics as comma-separated values, for spreadsheets.

use std::fmt::Write as _;

use chipmill_schemas::run::MetricsRow;

type Column = (&'static str, fn(&MetricsRow) -> f64);

const MEASURES: [Column; 23] = [
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
    ("q_mean", |r| or_nan(r.q_mean)),
    ("q_p5", |r| or_nan(r.q_p5)),
    ("q_p95", |r| or_nan(r.q_p95)),
    ("w_p5", |r| or_nan(r.w_p5)),
    ("w_p95", |r| or_nan(r.w_p95)),
    ("rank_me", |r| or_nan(r.rank_me)),
    ("probe_accuracy", |r| or_nan(r.probe_accuracy)),
    ("probe_balanced_accuracy", |r| {
        or_nan(r.probe_balanced_accuracy)
    }),
    ("probe_macro_f1", |r| or_nan(r.probe_macro_f1)),
    ("probe_one_vs_rest", |r| or_nan(r.probe_one_vs_rest)),
    ("probe_knn", |r| or_nan(r.probe_knn)),
    ("probe_macro_ap", |r| or_nan(r.probe_macro_ap)),
    ("probe_micro_ap", |r| or_nan(r.probe_micro_ap)),
];

/// What was not measured is left out like what is not finite.
pub(crate) fn or_nan(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

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
            q_mean: Some(0.5),
            probe_accuracy: Some(0.75),
            ..MetricsRow::default()
        };
        let csv = metrics_csv(&[row]);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[1], "10,0,0,3.25,0,0,,0,0,0,0,0,0,0.5,,,,,,0.75,,,,,,");
        let row = MetricsRow {
            q_mean: Some(0.0),
            q_p5: Some(0.0),
            q_p95: Some(0.0),
            w_p5: Some(0.0),
            w_p95: Some(0.0),
            rank_me: Some(0.0),
            probe_accuracy: Some(0.0),
            probe_balanced_accuracy: Some(0.0),
            probe_macro_f1: Some(0.0),
            probe_one_vs_rest: Some(0.0),
            probe_knn: Some(0.0),
            probe_macro_ap: Some(0.0),
            probe_micro_ap: Some(0.0),
            ..row
        };
        let mut names: Vec<&str> = lines[0].split(',').collect();
        names.sort_unstable();
        let json = serde_json::to_value(row).unwrap();
        let mut fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        fields.sort_unstable();
        assert_eq!(names, fields);
    }
}
