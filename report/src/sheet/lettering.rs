//! Text on images, from a pre-rasterised monospaced font.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::RgbImage;

/// Pixels from one line to the next.
pub(super) const LINE: usize = 17;
const HEIGHT: RasterHeight = RasterHeight::Size16;

/// What a text is.
#[derive(Clone, Copy)]
pub(super) enum Tint {
    Title,
    Caption,
}

impl Tint {
    const fn look(self) -> (FontWeight, [u8; 3]) {
        match self {
            Self::Title => (FontWeight::Bold, [236, 239, 243]),
            Self::Caption => (FontWeight::Regular, [168, 176, 186]),
        }
    }
}

/// Pixels of a character; every character has the same.
pub(super) const fn width() -> usize {
    get_raster_width(FontWeight::Regular, HEIGHT)
}

/// Writes on an image.
pub(super) struct Lettering<'a> {
    image: &'a mut RgbImage,
}

impl<'a> Lettering<'a> {
    pub(super) fn new(image: &'a mut RgbImage) -> Self {
        Self { image }
    }

    /// Lines from a top left corner; what lies beyond the image is not drawn.
    pub(super) fn lines(&mut self, lines: &[String], (left, top): (usize, usize), tint: Tint) {
        for (row, line) in lines.iter().enumerate() {
            for (column, c) in line.chars().enumerate() {
                self.letter(c, (left + column * width(), top + row * LINE), tint);
            }
        }
    }

    fn letter(&mut self, c: char, (left, top): (usize, usize), tint: Tint) {
        let (weight, colour) = tint.look();
        let glyph = [c, '?']
            .into_iter()
            .find_map(|c| get_raster(c, weight, HEIGHT));
        let Some(glyph) = glyph else { return };
        for (y, row) in (top..self.image.height).zip(glyph.rows()) {
            for (x, &cover) in (left..self.image.width).zip(row) {
                let at = 3 * (y * self.image.width + x);
                for (under, over) in self.image.data[at..at + 3].iter_mut().zip(colour) {
                    *under = blend(*under, over, cover);
                }
            }
        }
    }
}

fn blend(under: u8, over: u8, cover: u8) -> u8 {
    let (under, over, cover) = (u32::from(under), u32::from(over), u32::from(cover));
    let mixed = (under * (255 - cover) + over * cover + 127) / 255;
    u8::try_from(mixed).unwrap_or(u8::MAX)
}

/// Wraps texts to `across` characters, at spaces where there are some, to `most` lines in all; an
/// ellipsis marks what is left out. Characters that the font lacks are spelt by others.
pub(super) fn wrap<'a>(
    texts: impl IntoIterator<Item = &'a str>,
    across: usize,
    most: usize,
) -> Vec<String> {
    let across = across.max(4);
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        let start = lines.len();
        for word in spelt(text).split_whitespace() {
            add_word(&mut lines, start, word, across);
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(across - 3).collect();
            *last = format!("{kept}...");
        }
    }
    lines
}

/// Puts a word on the last line since `start`, or on a new one; cuts words longer than a line.
fn add_word(lines: &mut Vec<String>, start: usize, word: &str, across: usize) {
    let length = |text: &str| text.chars().count();
    match lines[start..].last_mut() {
        Some(line) if length(line) + 1 + length(word) <= across => {
            line.push(' ');
            line.push_str(word);
        }
        _ => {
            let letters: Vec<char> = word.chars().collect();
            lines.extend(
                letters
                    .chunks(across)
                    .map(|part| part.iter().collect::<String>()),
            );
        }
    }
}

/// The text in characters that the font has: ASCII and Latin-1.
fn spelt(text: &str) -> String {
    text.replace('\u{2026}', "...")
        .replace(['\u{2013}', '\u{2014}', '\u{2212}'], "-")
        .replace('\u{2192}', "->")
        .replace(['\u{2018}', '\u{2019}'], "'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wrapped_at_spaces_and_cut_at_the_end() {
        let wrapped = wrap(["flip left right", "sigma 1.25"], 10, 9);
        assert_eq!(wrapped, ["flip left", "right", "sigma 1.25"]);
        let wrapped = wrap(["abcdefghijklmno pq"], 6, 9);
        assert_eq!(wrapped, ["abcdef", "ghijkl", "mno pq"]);
        assert_eq!(wrap(["one two three four"], 5, 2), ["one", "tw..."]);
        assert_eq!(wrap(["a \u{2192} b\u{2026}"], 10, 1), ["a -> b..."]);
        assert!(wrap([""], 10, 3).is_empty());
    }

    #[test]
    fn text_beyond_the_image_is_not_drawn() {
        let mut image = RgbImage {
            width: 10,
            height: 5,
            data: vec![0; 150],
        };
        let text = ["Wide text \u{4e2d}".to_owned()];
        Lettering::new(&mut image).lines(&text, (4, 0), Tint::Title);
        assert!(image.data.iter().any(|&v| v > 0));
    }
}
