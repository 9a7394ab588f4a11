//! One epoch of two-view batches from a store, and what the loader says of itself.
//!
//! ```sh
//! cargo run --release --example two_view_batches -- demo/store.zarr
//! ```

use std::path::Path;

use chipmill_pipeline::{Loader, LoaderSpec};
use chipmill_schemas::config::ViewConfig;
use chipmill_schemas::selection::Selection;
use chipmill_schemas::task::Task;
use chipmill_store::StoreReader;

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> anyhow::Result<()> {
    let path = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "demo/store.zarr".to_owned());
    let reader = StoreReader::open(Path::new(&path))?;

    // Everything but the patches of the notes' task, as 64 px views with the notes' augmentations.
    let selection = Selection {
        exclude_task: Some("notes4".to_owned()),
        ..Selection::default()
    };
    let rows = selection.rows(reader.table(), Task::built_in)?;
    let view = ViewConfig {
        side: 64,
        ..ViewConfig::default()
    };
    let spec = LoaderSpec {
        batch_size: 32,
        epochs: Some(1),
        ..LoaderSpec::new(rows.into(), view)
    };

    let mut loader = Loader::start(reader, spec)?;
    for batch in &mut loader {
        let batch = batch?;
        let views = batch.views::<f32>()?; // [view, sample, band, y, x]
        let mean = views.iter().sum::<f32>() / views.len() as f32;
        println!(
            "batch {:>3}  shape {:?}  mean {mean:.3}",
            batch.ordinal(),
            views.shape()
        );
    }
    println!("{}", loader.stats().summary());
    Ok(())
}
