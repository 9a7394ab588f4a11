//! A run that is cut in the middle of an epoch and goes on elsewhere, under other circumstances.
//!
//! ```sh
//! cargo run --release -p chipmill-pipeline --example resume -- demo/store.zarr
//! ```
//! Without a store it makes a tiny one of noise and forgets it.

#[path = "../tests/support/tiny_store.rs"]
mod tiny_store;

use std::error::Error;
use std::path::PathBuf;

use chipmill_pipeline::schemas::config::ViewConfig;
use chipmill_pipeline::{Loader, LoaderSpec, LoaderState, Order, Pages};
use chipmill_store::StoreReader;

#[expect(clippy::print_stdout, reason = "an example prints")]
fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let given = std::env::args().nth(1).map(PathBuf::from);
    let path = given.clone().unwrap_or_else(|| folder.path().join("store"));
    if given.is_none() {
        tiny_store::write(&path, 100)?;
    }
    let reader = StoreReader::open(&path)?;
    let view = ViewConfig {
        side: 32,
        ..ViewConfig::default()
    };
    let spec = LoaderSpec {
        batch_size: 16,
        epochs: Some(2),
        order: Order::Pages(Pages {
            page_rows: 8,
            window_pages: 4,
        }),
        ..LoaderSpec::new((0..u32::MAX).take(reader.len()).collect(), view)
    };

    // A run of two epochs, and what it saw.
    let mut whole = Vec::new();
    for batch in Loader::start(reader.clone(), spec.clone())? {
        let batch = batch?;
        whole.push((batch.patches().to_vec(), batch.bytes().to_vec()));
    }

    // The same, cut after four batches. The position is all that has to be kept.
    let mut loader = Loader::start(reader.clone(), spec.clone())?;
    for batch in loader.by_ref().take(4) {
        batch?;
    }
    let kept = serde_json::to_string(&loader.state())?;
    drop(loader);
    println!("cut at batch {kept}");

    // It goes on with one worker and little memory.
    let start: LoaderState = serde_json::from_str(&kept)?;
    let rest = LoaderSpec {
        start,
        workers: 1,
        budget_bytes: 32 << 20,
        ..spec
    };
    let mut found = Vec::new();
    for batch in Loader::start(reader, rest)? {
        let batch = batch?;
        found.push((batch.patches().to_vec(), batch.bytes().to_vec()));
    }
    let same = found == whole[4..];
    println!(
        "{} batches after it, all as in the whole run: {same}",
        found.len()
    );
    if same {
        Ok(())
    } else {
        Err("the runs differ".into())
    }
}
