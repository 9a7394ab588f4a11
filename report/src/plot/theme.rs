//! Colours by role, for light and for dark.

use std::fmt::Write as _;

/// Roles and their colours: name, light, dark.
const COLOURS: [(&str, &str, &str); 16] = [
    ("paper", "#ffffff", "#14181d"),
    ("card", "#f6f8fa", "#1b2129"),
    ("ink", "#1b222c", "#e4e9ef"),
    ("muted", "#5a6675", "#9aa7b5"),
    ("rule", "#dfe4ea", "#323b46"),
    ("axis", "#8a95a3", "#6b7785"),
    ("blue", "#2463c9", "#6fa8ff"),
    ("orange", "#c4620a", "#f0a050"),
    ("red", "#c0362f", "#ff7b72"),
    ("green", "#1c7f52", "#58c594"),
    ("violet", "#7446b8", "#b894f0"),
    ("quiet", "#a9b3bf", "#5d6976"),
    ("teal", "#0d7c86", "#4fc3cf"),
    ("brown", "#7a5230", "#c79a6b"),
    ("filled", "#ffffff", "#10151b"),
    ("alert", "#fdf1ef", "#33201f"),
];

/// Rules of the charts. `@name` stands for a colour.
const RULES: [(&str, &str); 43] = [
    (
        "text",
        "font:12px system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif;fill:@ink",
    ),
    (".title", "font-size:14px;font-weight:600"),
    (".note", "fill:@muted"),
    (".value", "font-weight:600"),
    (".start", "text-anchor:start"),
    (".middle", "text-anchor:middle"),
    (".end", "text-anchor:end"),
    (".rule", "stroke:@rule;stroke-width:1;fill:none"),
    (".axis", "stroke:@axis;stroke-width:1;fill:none"),
    (
        ".reference",
        "stroke:@muted;stroke-width:1.25;stroke-dasharray:5 4;fill:none",
    ),
    (
        ".event",
        "stroke:@muted;stroke-width:1;stroke-dasharray:1.5 3;fill:none",
    ),
    (
        ".raw",
        "stroke-width:3;stroke-linecap:round;fill:none;opacity:.3",
    ),
    (
        ".smooth",
        "stroke-width:2;stroke-linejoin:round;stroke-linecap:round;fill:none",
    ),
    (".lone", "stroke-width:7;stroke-linecap:round;fill:none"),
    (".s1", "stroke:@blue"),
    (".s2", "stroke:@orange"),
    (".bar", "fill:@quiet"),
    (".bar.lead", "fill:@blue"),
    (".bar.kin", "fill:@blue;fill-opacity:.55"),
    (".whisker", "stroke:@ink;stroke-width:1.25;fill:none"),
    (".mark", "fill:@paper;stroke:@orange;stroke-width:1.75"),
    (".mark.s2", "stroke:@violet"),
    (".cell", "fill:@blue"),
    (".filled", "fill:@filled"),
    // Arms of a comparison: a colour by name, and shapes that take it.
    (".k-orange", "color:@orange"),
    (".k-blue", "color:@blue"),
    (".k-red", "color:@red"),
    (".k-green", "color:@green"),
    (".k-violet", "color:@violet"),
    (".k-teal", "color:@teal"),
    (".k-brown", "color:@brown"),
    (".k-grey", "color:@muted"),
    (".k-ink", "color:@ink"),
    (
        ".mean",
        "stroke:currentColor;stroke-width:2;stroke-linejoin:round;stroke-linecap:round;fill:none",
    ),
    (".dashed", "stroke-dasharray:6 4"),
    (".smoothed", "display:none"),
    (".area", "fill:currentColor;fill-opacity:.14;stroke:none"),
    (
        ".dot",
        "stroke:currentColor;stroke-width:4.5;stroke-linecap:round;stroke-opacity:.5;fill:none",
    ),
    (".thin", "stroke:currentColor;stroke-width:1.25;fill:none"),
    (".thick", "stroke:currentColor;stroke-width:3.5;fill:none"),
    (
        ".centre",
        "fill:currentColor;stroke:@paper;stroke-width:1.5",
    ),
    (".zero", "stroke:@ink;stroke-width:1;fill:none"),
    (
        ".theory",
        "stroke:currentColor;stroke-width:1.5;stroke-dasharray:2 4;stroke-linecap:round;fill:none",
    ),
];

#[derive(Clone, Copy)]
enum Tone {
    Light,
    Dark,
}

/// CSS for a page: the colours as variables, dark ones when the reader prefers them, light ones in
/// print; and the rules of the charts for `svg.plot`.
#[must_use]
pub fn page_css() -> String {
    let rules = rules("svg.plot ", |name, _, _| format!("var(--{name})"));
    format!(
        ":root{{color-scheme:light dark;{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{{}}}}}\n\
         @media print{{:root{{color-scheme:light;{}}}}}\n{rules}",
        variables(Tone::Light),
        variables(Tone::Dark),
        variables(Tone::Light),
    )
}

/// CSS inside an SVG file of its own, with literal colours.
#[must_use]
pub fn file_css() -> String {
    let light = rules("", |_, light, _| light.to_owned());
    let dark = rules("", |_, _, dark| dark.to_owned());
    let (paper_light, paper_dark) = (COLOURS[0].1, COLOURS[0].2);
    format!(
        ".paper{{fill:{paper_light}}}\n{light}\
         @media (prefers-color-scheme:dark){{\n.paper{{fill:{paper_dark}}}\n{dark}}}\n"
    )
}

fn variables(tone: Tone) -> String {
    COLOURS
        .iter()
        .fold(String::new(), |mut css, (name, light, dark)| {
            let colour = match tone {
                Tone::Light => light,
                Tone::Dark => dark,
            };
            let _ = write!(css, "--{name}:{colour};");
            css
        })
}

fn rules(prefix: &str, colour: impl Fn(&str, &str, &str) -> String) -> String {
    let mut css = String::new();
    for (selector, body) in RULES {
        let mut body = body.to_owned();
        for (name, light, dark) in COLOURS {
            body = body.replace(&format!("@{name}"), &colour(name, light, dark));
        }
        let _ = writeln!(css, "{prefix}{selector}{{{body}}}");
    }
    css
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_colour_of_the_rules_is_known() {
        for css in [page_css(), file_css()] {
            let rest = css.replace("@media", "");
            assert!(!rest.contains('@'), "{rest}");
        }
    }

    #[test]
    fn no_colour_is_the_beginning_of_another() {
        for (a, _, _) in COLOURS {
            let longer = COLOURS.iter().filter(|(b, _, _)| b.starts_with(a)).count();
            assert_eq!(longer, 1, "{a}");
        }
    }

    #[test]
    fn a_file_knows_no_variables() {
        assert!(!file_css().contains("var("));
    }
}
