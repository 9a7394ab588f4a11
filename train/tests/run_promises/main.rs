//! Promises of a run: its folder, its resume, its probe, on tiny synthetic stores.

mod bad_input;
mod kill;
mod probe;
mod resume;
mod run;
mod world;
