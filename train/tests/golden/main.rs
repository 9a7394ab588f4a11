//! Agreement with the reference numbers in `../shared/golden`, each test visibly skipped without
//! them.
//!
//! `CHIPMILL_SHARED` names another place of the folder, `CHIPMILL_TEST_DEVICE` another device than
//! the CPU.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a panic is a failed test, and the numbers are known to fit"
)]

mod loss;
mod monitors;
mod optim;
mod probe;
mod shared;
