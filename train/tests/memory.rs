//! Memory of a training step, as the allocator really gave it out.

#[path = "../../pipeline/tests/support/counting.rs"]
mod counting;
#[path = "run_promises/world.rs"]
#[expect(
    dead_code,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "helpers of other tests, whose numbers are known to fit"
)]
mod world;

use std::sync::atomic::Ordering::SeqCst;

use chipmill_schemas::config::Stem;
use counting::{BYTES, MOST};
use world::{Recipe, World, config};

/// The most bytes that were there at once in a run of two steps, beyond those at its start.
fn peak(world: &World, batch_size: u32, micro_batch_size: u32) -> usize {
    let mut config = config();
    config.max_steps = 2;
    config.loader.batch_size = batch_size;
    config.loader.workers = 1;
    config.encoder.stem = Stem::SmallImage;
    config.view.side = 48;
    config.encoder.width = 16;
    config.micro_batch_size = micro_batch_size;
    let before = BYTES.load(SeqCst);
    MOST.store(before, SeqCst);
    let run = format!("{batch_size}-{micro_batch_size}");
    assert!(world.start(&run, &config).is_ok());
    MOST.load(SeqCst) - before
}

#[test]
fn memory_grows_with_the_micro_batch_and_not_with_the_batch() {
    let world = World::with(Recipe {
        patches: 128,
        ..Recipe::default()
    });
    // What a run takes besides: loader, weights, the rows of the store.
    let base = peak(&world, 8, 0);
    let [whole, parts] = [0, 8].map(|size| peak(&world, 128, size));
    let mib = |bytes: usize| bytes / (1 << 20);
    println!(
        "peak: batch 8 {} MiB, batch 128 {} MiB, in micro-batches of 8 {} MiB",
        mib(base),
        mib(whole),
        mib(parts)
    );
    assert!(parts < base + (whole - base) / 3, "{base} {whole} {parts}");
}
