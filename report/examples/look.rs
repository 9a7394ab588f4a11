//! Writes reports of made-up runs and a contact sheet, to look at: `look FOLDER`.

use std::path::PathBuf;

use chipmill_report::sheet::stretch::{Limits, true_colour};
use chipmill_report::sheet::{Cell, Row, contact_sheet, encode_png};
use chipmill_report::write_report;
use chipmill_schemas::run::RunState;

#[path = "../tests/made/mod.rs"]
mod made;

type Anything = Box<dyn std::error::Error>;

fn main() -> Result<(), Anything> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("usage: look FOLDER")?
        .into();
    let runs = ["small-seed-3", "collapsed", "one-row", "just-begun"].map(|name| folder.join(name));
    made::write_whole(&runs[0])?;
    made::write_collapsed(&runs[1])?;
    let status = made::status(RunState::Interrupted, 10);
    made::write(
        &runs[2],
        &made::config(),
        None,
        Some(&status),
        &[made::row(10, 0)],
        &[],
    )?;
    made::write(&runs[3], &made::config(), None, None, &[], &[])?;
    for run in &runs {
        println!("{}", write_report(run)?.display());
    }
    let sheet = folder.join("sheet.png");
    std::fs::write(&sheet, encode_png(&contact_sheet(&rows(), 2)?)?)?;
    println!("{}", sheet.display());
    Ok(())
}

/// Smooth random fields with fields and a river, as a stand-in for patches.
fn rows() -> Vec<Row> {
    let ids = [
        (
            "S2A_MSIL2A_20170613T101031_87_48",
            "Bare rock; Coniferous forest; Sparsely vegetated areas",
        ),
        (
            "S2B_MSIL2A_20180525T094029_N9999_R036_T35VNL_22_61",
            "Airports; Non-irrigated arable land; Land principally occupied by agriculture, with significant areas of natural vegetation; Transitional woodland/shrub; Discontinuous urban fabric; Water courses",
        ),
        ("S2A_MSIL2A_20170717T113321_4_90", "Burnt areas"),
    ];
    (0..)
        .zip(ids)
        .map(|(patch, (id, labels))| Row {
            title: format!("{id}\n{labels}"),
            cells: (0..5).map(|view| cell(patch, view)).collect(),
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "made-up pixels need no precision"
)]
fn cell(patch: u64, view: u64) -> Cell {
    let side: u64 = if view == 0 { 120 } else { 64 };
    let pixel = |k: u64, i: u64| {
        let (x, y) = (i % side, i / side);
        let field = made::noise(x * 6 / side * 31 + y * 5 / side * 17 + patch * 977 + k);
        let across = x as f64 / side as f64 - 0.5 - 0.2 * (7.0 * y as f64 / side as f64).sin();
        let river = (-(across * 24.0).powi(2)).exp();
        (800.0 + 900.0 * field - 500.0 * river + 120.0 * made::noise(i + k)) as f32
    };
    let band = |k: u64| -> Vec<f32> { (0..side * side).map(|i| pixel(k, i)).collect() };
    let bands = [band(1), band(2), band(3)];
    let limits = Limits::of(&bands.concat()).unwrap_or(Limits {
        low: 0.0,
        high: 10_000.0,
    });
    let caption = match view {
        0 => vec!["patch, 120 px".to_owned()],
        _ => vec![
            format!("view {}", view - 1),
            "zoom_scale 0.43 of the area, aspect 1.21".to_owned(),
            "jitter brightness 1.32, contrast 0.71".to_owned(),
            "gaussian_blur sigma 1.25 px".to_owned(),
        ],
    };
    Cell {
        rgb: true_colour([&bands[0], &bands[1], &bands[2]], [limits; 3]),
        side: side as usize,
        caption,
    }
}
