//! Agreement with the reference numbers in `../shared/golden`, each test visibly skipped without them.
//!
//! `CHIPMILL_SHARED` names another place of the folder, `CHIPMILL_TEST_DEVICE` another device than the
//! CPU.

mod loss;
mod monitors;
mod optim;
mod probe;
mod shared;
