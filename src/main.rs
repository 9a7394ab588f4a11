//! The `chipmill` command.
fn main() {}
