//! Pictures of a finished comparison, by its first family and first seed: what augmentation does, where
//! features lie, which patches are neighbours. A reader looks at them; no verdict comes from them.

mod colouring;
mod neighbours;

use std::path::Path;

use anyhow::Context;
use chipmill_report::sheet::{Row, contact_sheet, encode_png};
use chipmill_schemas::comparison::FeatureMap;
use chipmill_schemas::experiment::{ExperimentConfig, PlannedRun};
use chipmill_train::TrainError;
use chipmill_train::plane::principal_plane;
use chipmill_train::probe::Tested;

use super::job::Job;
use crate::output::grouped;
use crate::painter::{Painter, spread};
use crate::progress::say;

/// Patches and views in the sheet of augmentations.
const PATCHES: u32 = 4;
const VIEWS: u32 = 4;

const FEATURES: &str = "features";
const SHEETS: &str = "sheets";

/// An arm's run and what its encoder makes of the test rows.
struct Seen<'a> {
    run: PlannedRun<'a>,
    tested: Tested,
}

/// Makes `features/*.json` and `sheets/*.png` unless they are there; `false` when a signal came.
pub(super) fn draw(experiment: &ExperimentConfig, job: &Job<'_>) -> anyhow::Result<bool> {
    let place = job.place;
    for folder in [FEATURES, SHEETS] {
        place.fetch_folder(folder)?;
    }
    let (features, sheets) = (place.folder().join(FEATURES), place.folder().join(SHEETS));
    if features.exists() && sheets.exists() {
        return Ok(true);
    }
    let (Some(family), Some(&seed)) = (experiment.families.first(), experiment.seeds.first())
    else {
        return Ok(true);
    };
    say("pictures of the first seed: maps of features, nearest neighbours, augmentations");
    let mut seen = Vec::new();
    for arm in experiment.arms_of(family) {
        let run = PlannedRun { family, arm, seed };
        place.fetch_checkpoints(&run)?;
        match job.tested(&run) {
            Ok(tested) => seen.push(Seen { run, tested }),
            Err(TrainError::Stopped) => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("run {}", run.name())),
        }
    }
    let classes = job.classes();
    whole(&features, |folder| maps(folder, &seen, &classes))?;
    whole(&sheets, |folder| {
        neighbours::sheets(folder, job.store, &seen, &classes)?;
        match seen.first() {
            Some(first) => augmentations(folder, experiment, job, first),
            None => Ok(()),
        }
    })?;
    for folder in [FEATURES, SHEETS] {
        place.give_folder(folder)?;
    }
    Ok(true)
}

/// A folder that is there with all its files or not at all. Another process may be at the same; its
/// files are the same.
fn whole(folder: &Path, fill: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let part = folder.with_extension(format!("{}.tmp", std::process::id()));
    std::fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    let filled = fill(&part);
    if filled.is_ok() && !folder.exists() {
        std::fs::rename(&part, folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    } else {
        // What is in it was made here, and is worth nothing.
        let _ = std::fs::remove_dir_all(&part);
    }
    filled
}

fn maps(folder: &Path, seen: &[Seen<'_>], classes: &[String]) -> anyhow::Result<()> {
    for Seen { run, tested } in seen {
        let colours = colouring::of(&tested.classes, classes);
        let plane = principal_plane(&tested.features);
        let points = plane.points.iter().zip(&colours.of_rows);
        let map = FeatureMap {
            title: format!(
                "{}, {}, seed {}",
                run.arm.title(),
                run.family.title(),
                run.seed
            ),
            method: format!(
                "PCA of {} test patches, {:.0} % of variance{}",
                grouped(tested.rows.len() as u64),
                100.0 * plane.explained,
                colours.remark
            ),
            classes: colours.names,
            points: points.map(|(&[x, y], &class)| (x, y, class)).collect(),
        };
        let text = serde_json::to_vec(&map).context("a map of features cannot be written")?;
        write(&folder.join(format!("{}.json", run.name())), &text)?;
    }
    Ok(())
}

fn augmentations(
    folder: &Path,
    experiment: &ExperimentConfig,
    job: &Job<'_>,
    first: &Seen<'_>,
) -> anyhow::Result<()> {
    let config = experiment.run_config(&first.run)?;
    let painter = Painter::new(job.store, &config.view, config.seed)?;
    let places = spread(first.tested.rows.len(), PATCHES);
    let rows = places.iter().map(|&i| first.tested.rows[i as usize]);
    let rows: Vec<Row> = rows
        .map(|row| painter.row(row, VIEWS))
        .collect::<anyhow::Result<_>>()?;
    // Large enough for the parameters below to be read whole.
    save(folder, "augmentations", &rows, 2)
}

/// Writes `<name>.png`, images `scale` times their size.
fn save(folder: &Path, name: &str, rows: &[Row], scale: usize) -> anyhow::Result<()> {
    let png = encode_png(&contact_sheet(rows, scale)?)?;
    write(&folder.join(format!("{name}.png")), &png)
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
