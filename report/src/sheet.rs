//! Contact sheets: rows of small images with captions, magnified without smoothing.

mod lettering;
pub mod stretch;

use std::io::Cursor;

use lettering::{LINE, Lettering, Tint};

/// An RGB image.
///
/// # Shapes
/// `data` is u8 `[y, x, channel]`, channels red, green, blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Pixels a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `3 * width * height` bytes.
    pub data: Vec<u8>,
}

/// One square image of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// u8 `[y, x, channel]`, `3 * side * side` bytes.
    pub rgb: Vec<u8>,
    /// Pixels along an edge.
    pub side: usize,
    /// Lines under the image; long ones are wrapped to its width.
    pub caption: Vec<String>,
}

/// One row of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Stands above the images: the first line bold, such as a patch id, further lines plain, such as
    /// its labels; wrapped to the sheet's width.
    pub title: String,
    /// The images, from the left.
    pub cells: Vec<Cell>,
}

/// A sheet cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// Nothing to show.
    #[error("the contact sheet has no image; expected one row with one cell or more")]
    Empty,
    /// Pixels that do not fit their side.
    #[error(
        "row {row} (`{title}`), cell {cell}: {found} bytes for a side of {side} px, expected {} for a \
         side of 1 px or more",
        3 * side * side
    )]
    Pixels {
        /// The row, from 0.
        row: usize,
        /// Its title.
        title: String,
        /// The cell, from 0.
        cell: usize,
        /// Its side.
        side: usize,
        /// Its bytes.
        found: usize,
    },
    /// A sheet beyond what viewers open.
    #[error(
        "the contact sheet would have {width} x {height} pixels, expected 32767 at most along an \
         edge; ask for fewer patches or views, or a smaller scale"
    )]
    TooLarge {
        /// Pixels a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// The encoder refused.
    #[error("the contact sheet cannot be encoded as PNG")]
    Png(#[from] png::EncodingError),
}

const GROUND: [u8; 3] = [24, 26, 30];
const MARGIN: usize = 16;
const GAP: usize = 12;
const ROW_GAP: usize = 22;
const LARGEST: usize = 32_767;
/// Lines that a caption or a title may take; what is beyond is cut with an ellipsis.
const CAPTION_LINES: usize = 12;
const TITLE_LINES: usize = 3;

/// Where one row goes.
struct Placed<'a> {
    row: &'a Row,
    head: Vec<String>,
    title: Vec<String>,
    captions: Vec<Vec<String>>,
    height: usize,
}

/// Lays rows of images on a dark ground. The largest image is magnified `scale` times (at least
/// once), the others to the same extent, each pixel by its nearest.
///
/// # Errors
/// [`SheetError`] when there is nothing to show, a cell's bytes do not fit its side, or the sheet
/// would be too large.
pub fn contact_sheet(rows: &[Row], scale: usize) -> Result<RgbImage, SheetError> {
    check(rows)?;
    let scale = scale.max(1);
    let cells = || rows.iter().flat_map(|r| &r.cells);
    let box_side = cells()
        .map(|c| c.side * scale)
        .max()
        .ok_or(SheetError::Empty)?;
    // Wide enough for a few words, however small the images are.
    let pitch = box_side.max(14 * lettering::width()) + GAP;
    let columns = rows.iter().map(|r| r.cells.len()).max().unwrap_or(0);
    let width = 2 * MARGIN + (columns * pitch - GAP).max(48 * lettering::width());
    let placed: Vec<Placed<'_>> = rows
        .iter()
        .map(|r| place(r, width, pitch, box_side))
        .collect();
    let inner: usize = placed.iter().map(|p| p.height + ROW_GAP).sum();
    let height = 2 * MARGIN + inner - ROW_GAP;
    if width > LARGEST || height > LARGEST {
        return Err(SheetError::TooLarge { width, height });
    }
    let mut sheet = RgbImage {
        width,
        height,
        data: GROUND.repeat(width * height),
    };
    let mut top = MARGIN;
    for row in &placed {
        draw_row(&mut sheet, row, top, pitch, box_side);
        top += row.height + ROW_GAP;
    }
    Ok(sheet)
}

fn check(rows: &[Row]) -> Result<(), SheetError> {
    for (row, r) in rows.iter().enumerate() {
        for (cell, c) in r.cells.iter().enumerate() {
            if c.side == 0 || c.rgb.len() != 3 * c.side * c.side {
                return Err(SheetError::Pixels {
                    row,
                    title: r.title.clone(),
                    cell,
                    side: c.side,
                    found: c.rgb.len(),
                });
            }
        }
    }
    Ok(())
}

fn place(row: &Row, width: usize, pitch: usize, box_side: usize) -> Placed<'_> {
    let across = |pixels: usize| pixels / lettering::width();
    let wide = across(width - 2 * MARGIN);
    let mut lines = row.title.lines();
    let head = lettering::wrap(lines.next(), wide, TITLE_LINES);
    let title = lettering::wrap(lines, wide, TITLE_LINES);
    let caption = |c: &Cell| {
        let lines = c.caption.iter().map(String::as_str);
        lettering::wrap(lines, across(pitch - GAP), CAPTION_LINES)
    };
    let captions: Vec<Vec<String>> = row.cells.iter().map(caption).collect();
    let deepest = captions.iter().map(Vec::len).max().unwrap_or(0);
    let below = if deepest == 0 { 0 } else { deepest * LINE + 4 };
    let height = above(&head, &title) + box_side + below;
    Placed {
        row,
        head,
        title,
        captions,
        height,
    }
}

/// Room for a row's title.
fn above(head: &[String], title: &[String]) -> usize {
    match head.len() + title.len() {
        0 => 0,
        lines => lines * LINE + 6,
    }
}

fn draw_row(sheet: &mut RgbImage, placed: &Placed<'_>, top: usize, pitch: usize, box_side: usize) {
    let mut lettering = Lettering::new(sheet);
    lettering.lines(&placed.head, (MARGIN, top), Tint::Title);
    let under = top + placed.head.len() * LINE;
    lettering.lines(&placed.title, (MARGIN, under), Tint::Caption);
    let images = top + above(&placed.head, &placed.title);
    let cells = placed.row.cells.iter().zip(&placed.captions);
    for (column, (cell, caption)) in cells.enumerate() {
        let left = MARGIN + column * pitch;
        draw_cell(sheet, cell, (left, images), box_side);
        let under = (left, images + box_side + 4);
        Lettering::new(sheet).lines(caption, under, Tint::Caption);
    }
}

fn draw_cell(sheet: &mut RgbImage, cell: &Cell, (left, top): (usize, usize), box_side: usize) {
    for y in 0..box_side {
        let line = &cell.rgb[3 * cell.side * (y * cell.side / box_side)..];
        let at = 3 * ((top + y) * sheet.width + left);
        let pixels = sheet.data[at..at + 3 * box_side].chunks_exact_mut(3);
        for (x, pixel) in pixels.enumerate() {
            let from = 3 * (x * cell.side / box_side);
            pixel.copy_from_slice(&line[from..from + 3]);
        }
    }
}

/// The image as a PNG file; the same image gives the same bytes.
///
/// # Errors
/// [`SheetError::Png`] when the image's bytes do not fit its size.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>, SheetError> {
    let too_large = || SheetError::TooLarge {
        width: image.width,
        height: image.height,
    };
    let width = u32::try_from(image.width).map_err(|_| too_large())?;
    let height = u32::try_from(image.height).map_err(|_| too_large())?;
    let mut bytes = Cursor::new(Vec::new());
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&image.data)?;
    writer.finish()?;
    Ok(bytes.into_inner())
}
