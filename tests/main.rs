//! Promises of the whole product, by what they promise.

mod cli;
mod errors;
mod house;
mod real_data;
mod support;
mod whole_way;
