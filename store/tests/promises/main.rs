//! What the store promises, each test named after its promise.

#[cfg(test)]
mod damage;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod floats;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod opening;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod round_trip;
#[cfg(test)]
mod sentinel_1;
