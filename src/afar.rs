//! Stores in object stores: the cache beside them, and what went to and fro.

use std::path::PathBuf;

use anyhow::Context as _;
use chipmill_store::Traffic;

use crate::output;

// No documentation comment: it would become the program's.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Stores at an address")]
pub(crate) struct Args {
    /// Keep what is read from s3://, gs://, az:// or https:// in this folder, for every later run
    /// [env: `CHIPMILL_CACHE`].
    #[arg(long, global = true, value_name = "DIR")]
    cache: Option<PathBuf>,

    /// The most bytes of it, such as 500MB or 80GB [env: `CHIPMILL_CACHE_SIZE`; default: 20GB].
    #[arg(long, global = true, value_name = "SIZE", value_parser = size)]
    cache_size: Option<u64>,
}

const DEFAULT_SIZE: u64 = 20_000_000_000;

impl Args {
    /// Sets the cache, if one is wanted. It is opened when something is read from afar.
    pub(crate) fn apply(&self) -> anyhow::Result<()> {
        let folder = || std::env::var_os("CHIPMILL_CACHE").filter(|f| !f.is_empty());
        let Some(folder) = self.cache.clone().or_else(|| folder().map(PathBuf::from)) else {
            return Ok(());
        };
        let bytes = match (self.cache_size, std::env::var("CHIPMILL_CACHE_SIZE")) {
            (Some(bytes), _) => bytes,
            (None, Ok(text)) => {
                let parsed = size(&text).map_err(anyhow::Error::msg);
                parsed.context("CHIPMILL_CACHE_SIZE")?
            }
            (None, Err(_)) => DEFAULT_SIZE,
        };
        Ok(chipmill_store::use_cache(&folder, bytes)?)
    }
}

/// What this process asked of object stores, where it asked anything.
pub(crate) fn report() {
    let traffic = Traffic::so_far();
    if traffic.requests == 0 && traffic.cached == 0 {
        return;
    }
    tracing::info!(
        requests = traffic.requests,
        tried_again = traffic.failed,
        received = %output::bytes(traffic.bytes_in),
        sent = %output::bytes(traffic.bytes_out),
        from_cache = %output::bytes(traffic.cached),
        corrupt_in_cache = traffic.corrupt,
        "object stores"
    );
}

/// `80GB`, `500 MB`, `64MiB`, or bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim().find(|c: char| !c.is_ascii_digit());
    let (number, unit) = text.trim().split_at(digits.unwrap_or(text.trim().len()));
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KIB" => 1 << 10,
        "MIB" => 1 << 20,
        "GIB" => 1 << 30,
        "TIB" => 1 << 40,
        _ => 0,
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor));
    bytes
        .filter(|&b| b > 0)
        .ok_or_else(|| format!("`{text}` is no size; expected such as 500MB, 80GB or 64MiB"))
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units_and_nothing_else_is_one() {
        assert_eq!(size("80GB"), Ok(80_000_000_000));
        assert_eq!(size(" 64 MiB "), Ok(64 << 20));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["", "GB", "1.5GB", "-1", "0", "9 lots", "99999999999TB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
