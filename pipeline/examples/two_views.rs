//! One epoch of batches whose two views differ from one another, in half precision, without Burn.
//!
//! ```sh
//! cargo run --release -p chipmill-pipeline --example two_views -- demo/store.zarr
//! ```
//! Without a store it makes a tiny one of noise and forgets it.

#[path = "../tests/support/tiny_store.rs"]
mod tiny_store;

use std::error::Error;
use std::path::PathBuf;

use chipmill_pipeline::schemas::augment::Preset;
use chipmill_pipeline::schemas::config::{ViewChange, ViewConfig, ViewType};
use chipmill_pipeline::{Loader, LoaderSpec, f16};
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
    let rows: Vec<u32> = (0..u32::MAX).take(reader.len()).collect();

    // The first view as the notes have it; the second is the patch itself, only normalised.
    let plain = ViewChange {
        preset: Some(Preset::None),
        ..ViewChange::default()
    };
    let view = ViewConfig {
        side: 64,
        dtype: ViewType::F16,
        each: vec![ViewChange::default(), plain],
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
        let mean = |view: usize| -> Result<f32, Box<dyn Error>> {
            let values = batch.view::<f16>(view)?; // [sample, band, y, x]
            Ok(values.iter().map(|v| v.to_f32()).sum::<f32>() / values.len() as f32)
        };
        println!(
            "batch {:>3}  {:?} {}  means {:.3} and {:.3}",
            batch.ordinal(),
            batch.shape(),
            batch.dtype(),
            mean(0)?,
            mean(1)?
        );
    }
    println!("{}", loader.stats().summary());
    for stage in loader.stats().stages {
        println!(
            "{:>8}: busy {:.2} s, waited for input {:.2} s, for output {:.2} s",
            stage.name, stage.busy_s, stage.wait_in_s, stage.wait_out_s
        );
    }
    Ok(())
}
