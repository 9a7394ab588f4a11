//! Steps for engines, and the job files that are printed for them: the contract of an array, by a shell
//! loop in the place of the engine.

mod compare;
mod ingest;
mod page;
mod world;
