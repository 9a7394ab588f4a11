//! Words of a shell: quoted so that bash gives exactly them, on one line whatever they hold.

use anyhow::bail;

/// One word for bash.
pub(super) fn quote(word: &str) -> String {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "_./:=+,@%-".contains(c);
    if !word.is_empty() && word.chars().all(is_safe) && !word.starts_with('=') {
        return word.to_owned();
    }
    if word.chars().any(is_unseen) {
        return format!("$'{}'", word.chars().map(escaped).collect::<String>());
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Words for bash, one after the other.
pub(super) fn quote_all(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|w| quote(w)).collect();
    quoted.join(" ")
}

/// What breaks a line, or cannot be seen.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// As it stands between `$'` and `'`. Bytes, since `\u` would depend on the locale.
fn escaped(c: char) -> String {
    match c {
        '\'' => r"\'".to_owned(),
        '\\' => r"\\".to_owned(),
        '\n' => r"\n".to_owned(),
        '\t' => r"\t".to_owned(),
        c if is_unseen(c) => {
            let mut bytes = [0; 4];
            let bytes = c.encode_utf8(&mut bytes).bytes();
            bytes.map(|b| format!("\\{b:03o}")).collect()
        }
        c => c.to_string(),
    }
}

/// Divides a command into words, as a shell does it, with quotes and backslashes and nothing else.
pub(super) fn split(text: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_ascii_whitespace() => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                quoted(c, &mut chars, word)?;
            }
            '\\' => match chars.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => bail!("it ends with a backslash that has nothing to quote"),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Ok(words)
}

/// The rest of a quoted piece, to its closing quote.
fn quoted(quote: char, chars: &mut std::str::Chars<'_>, word: &mut String) -> anyhow::Result<()> {
    loop {
        match chars.next() {
            None => bail!("a quote {quote} is not closed"),
            Some(c) if c == quote => return Ok(()),
            Some('\\') if quote == '"' => match chars.next() {
                Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                Some(c) => word.extend(['\\', c]),
                None => bail!("a quote {quote} is not closed"),
            },
            Some(c) => word.push(c),
        }
    }
}

#[cfg(test)]
pub(super) const HOSTILE: [&str; 12] = [
    "plain/path-1.zarr",
    "with space",
    "it's",
    "$HOME `id` $(id) \"q\" \\",
    "a\nb\nEOF\n#SBATCH --uid=0",
    "-leading",
    "*?[a] ~ {a,b} !x #y; & | < >",
    "tab\tand\rreturn\u{7f}\u{85}\u{2028}",
    "grüße/日本語/🛰",
    "$(JOB_COMPLETION_INDEX) $$(X) $",
    "key: [value] # no comment",
    "",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn bash_gives_back_every_word_as_it_was() {
        let words = HOSTILE.map(str::to_owned);
        let line = quote_all(&words);
        assert!(!line.contains('\n'), "{line}");
        let script = format!("printf '%s\\0' {line}");
        let output = Command::new("bash").args(["-c", &script]).output().unwrap();
        let given = String::from_utf8(output.stdout).unwrap();
        let given: Vec<&str> = given.strip_suffix('\0').unwrap().split('\0').collect();
        assert_eq!(given, HOSTILE);
    }

    #[test]
    fn a_command_is_divided_as_a_shell_divides_it() {
        let split = |text: &str| split(text).unwrap();
        assert_eq!(
            split("  apptainer exec\ta.sif "),
            ["apptainer", "exec", "a.sif"]
        );
        assert_eq!(
            split(r#"a' b'"c d" \" '' "\$x\y""#),
            ["a bc d", "\"", "", "$x\\y"]
        );
        assert!(split("").is_empty());
        for word in HOSTILE.iter().filter(|word| !word.chars().any(is_unseen)) {
            assert_eq!(split(&quote(word)), [*word]);
        }
        for (broken, why) in [
            ("a 'b", "quote '"),
            ("a \"b\\", "quote \""),
            ("a\\", "backslash"),
        ] {
            let error = super::split(broken).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
