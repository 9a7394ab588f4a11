//! Promises of the whole product, by what they promise.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic is a failed test"
)]

mod bench;
mod bench_views;
mod cli;
mod compare;
mod crash;
mod engines;
mod errors;
mod gpu_check;
mod house;
mod ingest_forms;
mod real_data;
mod remote;
mod support;
mod tutorial;
mod whole_way;
