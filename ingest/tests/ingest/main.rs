//! What ingest promises, from raw files to a store.

#[cfg(test)]
mod archives;
#[cfg(test)]
mod balance;
#[cfg(test)]
mod defects;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod malformed;
#[cfg(test)]
mod real;
#[cfg(test)]
mod reference_maps;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod selection;
#[cfg(test)]
mod sentinel_1;
#[cfg(test)]
mod support;
#[cfg(test)]
mod twins;
