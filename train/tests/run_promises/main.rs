//! Promises of a run: its folder, its resume, its probe, on tiny synthetic stores.
#![expect(
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a panic is a failed test, and the numbers are known to fit"
)]

mod bad_input;
mod choose;
mod during;
mod embed;
mod kill;
mod options;
mod probe;
mod resume;
mod run;
mod supervised;
mod tensorboard;
mod weights;
mod world;
