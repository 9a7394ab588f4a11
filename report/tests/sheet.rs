//! Contact sheets.

use std::io::Cursor;

use chipmill_report::sheet::{Cell, RgbImage, Row, SheetError, contact_sheet, encode_png};

/// A colour of its own for each pixel of a small image.
fn colour(i: usize) -> [u8; 3] {
    let [low, high, ..] = i.to_le_bytes();
    [low, high, 200]
}

/// A cell whose pixels are all different.
fn cell(side: usize, caption: &[&str]) -> Cell {
    Cell {
        rgb: (0..side * side).flat_map(colour).collect(),
        side,
        caption: caption.iter().map(|&c| c.to_owned()).collect(),
    }
}

fn row(title: &str, cells: Vec<Cell>) -> Row {
    Row {
        title: title.to_owned(),
        cells,
    }
}

fn pixel(image: &RgbImage, x: usize, y: usize) -> [u8; 3] {
    let at = 3 * (y * image.width + x);
    [image.data[at], image.data[at + 1], image.data[at + 2]]
}

/// The top left corner of the only cell: the first pixel of its colours.
fn corner(image: &RgbImage) -> (usize, usize) {
    let places = (0..image.height).flat_map(|y| (0..image.width).map(move |x| (x, y)));
    places
        .into_iter()
        .find(|&(x, y)| pixel(image, x, y) == [0, 0, 200])
        .unwrap()
}

#[test]
fn every_pixel_is_magnified_without_smoothing() {
    let sheet = contact_sheet(&[row("", vec![cell(20, &[])])], 3).unwrap();
    let (left, top) = corner(&sheet);
    for y in 0..60 {
        for x in 0..60 {
            let source = (y / 3) * 20 + x / 3;
            let expected = colour(source);
            assert_eq!(pixel(&sheet, left + x, top + y), expected, "{x}, {y}");
        }
    }
}

#[test]
fn smaller_images_are_drawn_as_large_as_the_largest() {
    let sheet = contact_sheet(&[row("", vec![cell(20, &[]), cell(60, &[])])], 1).unwrap();
    let (left, top) = corner(&sheet);
    assert_eq!(pixel(&sheet, left + 59, top + 59), colour(399));
}

#[test]
fn titles_and_captions_take_room_and_are_drawn() {
    let plain = contact_sheet(&[row("", vec![cell(32, &[])])], 4).unwrap();
    let titled = contact_sheet(
        &[row("S2A_1\nPastures", vec![cell(32, &["view 0", "flip"])])],
        4,
    )
    .unwrap();
    assert_eq!(plain.width, titled.width);
    assert_eq!(titled.height, plain.height + 2 * 17 + 6 + 2 * 17 + 4);
    let ground = pixel(&titled, 0, 0);
    let (_, top) = corner(&titled);
    let drawn = |rows: std::ops::Range<usize>| {
        rows.into_iter()
            .any(|y| (0..titled.width).any(|x| pixel(&titled, x, y) != ground))
    };
    assert!(drawn(0..top) && drawn(top + 128..titled.height));
}

#[test]
fn long_captions_never_widen_the_sheet() {
    let long = "jitter brightness 1.3214 ".repeat(40);
    let short = contact_sheet(&[row("a", vec![cell(64, &["b"]), cell(64, &["b"])])], 2).unwrap();
    let sheet =
        contact_sheet(&[row(&long, vec![cell(64, &[&long]), cell(64, &["b"])])], 2).unwrap();
    assert_eq!(short.width, sheet.width);
    assert!(sheet.height < short.height + 20 * 17);
}

#[test]
fn the_png_holds_the_same_pixels_and_the_same_bytes_each_time() {
    let sheet = contact_sheet(
        &[row(
            "\u{e9}t\u{e9} \u{2192} \u{4e2d}",
            vec![cell(16, &["a"])],
        )],
        2,
    )
    .unwrap();
    let bytes = encode_png(&sheet).unwrap();
    assert_eq!(bytes, encode_png(&sheet).unwrap());
    let mut reader = png::Decoder::new(Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(
        (info.width as usize, info.height as usize),
        (sheet.width, sheet.height)
    );
    assert_eq!(pixels, sheet.data);
}

#[test]
fn what_cannot_be_drawn_is_an_error() {
    assert!(matches!(contact_sheet(&[], 2), Err(SheetError::Empty)));
    assert!(matches!(
        contact_sheet(&[row("a", vec![])], 2),
        Err(SheetError::Empty)
    ));
    let mut bad = cell(8, &[]);
    bad.rgb.pop();
    let error = contact_sheet(&[row("patch 7", vec![cell(8, &[]), bad])], 2).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("row 0 (`patch 7`), cell 1: 191 bytes"),
        "{message}"
    );
    let none = Cell {
        rgb: Vec::new(),
        side: 0,
        caption: Vec::new(),
    };
    assert!(matches!(
        contact_sheet(&[row("a", vec![none])], 2),
        Err(SheetError::Pixels { .. })
    ));
    let error = contact_sheet(&[row("a", vec![cell(64, &[])])], 1000).unwrap_err();
    assert!(matches!(error, SheetError::TooLarge { .. }), "{error}");
    let image = RgbImage {
        width: 4,
        height: 4,
        data: vec![0; 5],
    };
    assert!(matches!(encode_png(&image), Err(SheetError::Png(_))));
}
