//! A small SVG writer: shapes by class, real text, numbers with two decimals.

use std::fmt::Write as _;

use super::theme;

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its beginning.
    Start,
    /// In the middle.
    Middle,
    /// At its end.
    End,
}

impl Anchor {
    const fn class(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A drawing in user units, which are pixels at its natural size.
#[derive(Debug, Clone, PartialEq)]
pub struct Svg {
    width: f64,
    height: f64,
    label: String,
    body: String,
}

impl Svg {
    /// An empty drawing; `label` is what a screen reader says.
    #[must_use]
    pub fn new(width: f64, height: f64, label: &str) -> Self {
        Self {
            width,
            height,
            label: label.to_owned(),
            body: String::new(),
        }
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.path(class, &[from, to]);
    }

    /// A line through points.
    pub fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        for (i, &(x, y)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            let _ = write!(d, "{command}{} {}", number(x), number(y));
        }
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    /// Dots, drawn as the round caps of lines without length.
    pub fn dots(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        for &(x, y) in points {
            let _ = write!(d, "M{} {}h0", number(x), number(y));
        }
        let _ = writeln!(self.body, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    /// A rectangle with a text that shows when pointed at.
    pub fn rect(&mut self, class: &str, corner: (f64, f64), size: (f64, f64), tip: &str) {
        self.shaded(class, 1.0, corner, size, tip);
    }

    /// A rectangle of partly transparent fill.
    ///
    /// `opacity` is 0..=1.
    pub fn shaded(
        &mut self,
        class: &str,
        opacity: f64,
        corner: (f64, f64),
        size: (f64, f64),
        tip: &str,
    ) {
        let (x, y) = (number(corner.0), number(corner.1));
        let (w, h) = (number(size.0.max(0.0)), number(size.1.max(0.0)));
        let _ = write!(
            self.body,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\""
        );
        if opacity < 1.0 {
            let _ = write!(self.body, " fill-opacity=\"{}\"", number(opacity));
        }
        let _ = writeln!(self.body, "><title>{}</title></rect>", escape(tip));
    }

    /// A small circle with a text that shows when pointed at.
    pub fn circle(&mut self, class: &str, centre: (f64, f64), radius: f64, tip: &str) {
        let (x, y, r) = (number(centre.0), number(centre.1), number(radius));
        let _ = writeln!(
            self.body,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{r}\"><title>{}</title></circle>",
            escape(tip)
        );
    }

    /// Text with its baseline at a point.
    pub fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        let (x, y) = (number(at.0), number(at.1));
        let anchor = anchor.class();
        let _ = writeln!(
            self.body,
            "<text class=\"{class} {anchor}\" x=\"{x}\" y=\"{y}\">{}</text>",
            escape(text)
        );
    }

    /// The drawing for a page that carries [`theme::page_css`].
    #[must_use]
    pub fn inline(&self) -> String {
        let (open, body) = (self.open("class=\"plot\""), &self.body);
        format!("{open}\n{body}</svg>")
    }

    /// The drawing as a file of its own, with its own colours and ground.
    #[must_use]
    pub fn file(&self) -> String {
        let size = format!(
            "width=\"{}\" height=\"{}\"",
            number(self.width),
            number(self.height)
        );
        let (open, body) = (self.open(&size), &self.body);
        let css = theme::file_css();
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{open}\n<style>\n{css}</style>\n\
             <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n{body}</svg>\n"
        )
    }

    fn open(&self, attributes: &str) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {attributes} viewBox=\"0 0 {} {}\" \
             role=\"img\" aria-label=\"{}\">",
            number(self.width),
            number(self.height),
            escape(&self.label)
        )
    }
}

/// The width of a text at 12 px, roughly: the fonts differ from machine to machine.
#[must_use]
pub fn text_width(text: &str) -> f64 {
    let width = |c: char| match c {
        'i' | 'j' | 'l' | 't' | 'f' | 'r' | '.' | ',' | ' ' | '\u{a0}' | '\'' | '|' => 4.0,
        'm' | 'w' | 'M' | 'W' | '%' => 10.5,
        'A'..='Z' => 8.2,
        _ => 6.9,
    };
    text.chars().map(width).sum()
}

/// The text, cut with an ellipsis where it would be wider than `width` at 12 px.
#[must_use]
pub fn shorten(text: &str, width: f64) -> String {
    if text_width(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    for c in text.chars() {
        if text_width(&kept) + text_width("m\u{2026}") > width {
            break;
        }
        kept.push(c);
    }
    format!("{}\u{2026}", kept.trim_end())
}

/// Two decimals at most; what is not finite never reaches a drawing, and would stand at 0.
fn number(value: f64) -> String {
    let value = if value.is_finite() { value } else { 0.0 };
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// XML's five special characters; control characters, which XML has no form for, become spaces.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push(' '),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_stays_well_formed() {
        let mut svg = Svg::new(10.0, 10.0, "<\"&'\u{0}\u{ffff}>");
        svg.text("note", (1.0, 2.0), Anchor::Middle, "a < b && \"c\" \u{7}");
        svg.rect("bar", (0.0, 0.0), (-3.0, 1.0), "<tip>");
        for text in [svg.inline(), svg.file()] {
            let document = roxmltree::Document::parse(&text).unwrap();
            let texts: Vec<_> = document.descendants().filter_map(|n| n.text()).collect();
            assert!(texts.contains(&"a < b && \"c\"  "), "{texts:?}");
        }
    }

    #[test]
    fn numbers_are_short_and_finite() {
        assert_eq!(
            [number(1.0), number(-0.001), number(2.506)],
            ["1", "0", "2.51"]
        );
        assert_eq!(number(f64::NAN), "0");
    }

    #[test]
    fn long_texts_are_cut() {
        let text = "Land principally occupied by agriculture";
        assert_eq!(shorten(text, 1000.0), text);
        let cut = shorten(text, 120.0);
        assert!(
            cut.ends_with('\u{2026}') && text_width(&cut) <= 120.0,
            "{cut}"
        );
    }
}
