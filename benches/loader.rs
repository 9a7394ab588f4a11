//! Views per second from a store to batches, for one and two workers; after each, where the time went.

#[path = "../pipeline/tests/support/tiny_store.rs"]
mod tiny_store;

use std::error::Error;
use std::hint::black_box;

use chipmill_pipeline::schemas::config::ViewConfig;
use chipmill_pipeline::{Loader, LoaderSpec};
use chipmill_store::StoreReader;
use criterion::{Criterion, Throughput};

const PATCHES: u32 = 256;
const BATCH: usize = 32;

fn measure(c: &mut Criterion, reader: &StoreReader) -> Result<(), Box<dyn Error>> {
    let mut group = c.benchmark_group("loader");
    group.throughput(Throughput::Elements(2 * BATCH as u64));
    for side in [32, 120] {
        for workers in [1, 2] {
            let view = ViewConfig {
                side,
                ..ViewConfig::default()
            };
            let spec = LoaderSpec {
                batch_size: BATCH,
                workers,
                ..LoaderSpec::new((0..PATCHES).collect(), view)
            };
            let mut loader = Loader::start(reader.clone(), spec)?;
            let name = format!("notes/12x{side}x{side}/{workers}");
            group.bench_function(name, |b| b.iter(|| black_box(loader.next())));
            println!("{}\n", loader.stats().summary());
        }
    }
    group.finish();
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store");
    tiny_store::write(&path, PATCHES)?;
    let reader = StoreReader::open(&path)?;
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    measure(&mut criterion, &reader)?;
    criterion.final_summary();
    Ok(())
}
