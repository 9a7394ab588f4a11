//! Numbers as a person reads them. A unit never stands on another line than its
//! number.

/// `12345` as `12,345`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with the decimals given, a true minus sign and grouped thousands.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let negative = value < 0.0 && text.bytes().any(|b| b.is_ascii_digit() && b != b'0');
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = if negative { "\u{2212}" } else { "" }.to_owned();
    out += &whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    if decimals > 0 {
        out.push('.');
        out += fraction;
    }
    out
}

/// Three to four significant digits, exponents only for the very small and the very large.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "not a number".to_owned(),
        0.0 => "0".to_owned(),
        s if !(1e-4..1e7).contains(&s) => format!("{value:.2e}").replace('-', "\u{2212}"),
        s if s >= 100.0 => fixed(value, 0),
        s if s >= 10.0 => fixed(value, 1),
        s if s >= 1.0 => fixed(value, 2),
        s if s >= 0.1 => fixed(value, 3),
        _ => fixed(value, 4),
    }
}

/// A share as percent with one decimal.
pub(crate) fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{}\u{a0}%", fixed(share * 100.0, 1))
    } else {
        "not a number".to_owned()
    }
}

/// A difference of two shares in points, with its sign.
pub(crate) fn points(difference: f64) -> String {
    let text = fixed(difference * 100.0, 1);
    if difference > 0.0 && text != "0.0" {
        format!("+{text}")
    } else {
        text
    }
}

/// A count and its noun.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A duration in the two units that matter.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round();
    let (hours, minutes) = ((whole / 3600.0).floor(), (whole % 3600.0 / 60.0).floor());
    match whole {
        s if s >= 3600.0 => format!("{} h {minutes} min", fixed(hours, 0)),
        s if s >= 60.0 => format!("{minutes} min {} s", s % 60.0),
        _ => format!("{} s", short(seconds)),
    }
}

/// A count as a float. Counts here stay below 2^53.
pub(crate) const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            [grouped(0), grouped(999), grouped(1_234_567)],
            ["0", "999", "1,234,567"]
        );
        assert_eq!(fixed(-1234.56, 1), "\u{2212}1,234.6");
        assert_eq!([fixed(-0.001, 1), fixed(0.0, 0)], ["0.0", "0"]);
        assert_eq!(
            [short(0.0625), short(2.7549), short(140_000.0)],
            ["0.0625", "2.75", "140,000"]
        );
        assert_eq!(
            [short(1e-6), short(f64::NAN)],
            ["1.00e\u{2212}6", "not a number"]
        );
        assert_eq!(
            [
                percent(0.864).replace('\u{a0}', " "),
                points(0.0123),
                points(-0.02)
            ],
            ["86.4 %", "+1.2", "\u{2212}2.0"]
        );
        assert_eq!([points(0.0), points(0.0001)], ["0.0", "0.0"]);
        assert_eq!(
            [counted(1, "step", "steps"), counted(1_000, "step", "steps")],
            ["1 step", "1,000 steps"]
        );
        assert_eq!(
            [duration(7400.0), duration(119.6), duration(4.25)],
            ["2 h 3 min", "2 min 0 s", "4.25 s"]
        );
    }
}
