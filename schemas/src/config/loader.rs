//! How batches are read.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ConfigError;

/// The order of patches in an epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// A uniformly random permutation. It takes 4 bytes a patch, and reads at random places.
    #[default]
    Uniform,
    /// Pages of neighbouring patches in random order, `window_pages` of them mixed at a time: for slow
    /// disks. Patches that lie together come together more often than by chance.
    Pages,
}

/// What becomes of a patch whose chunks are damaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnCorrupt {
    /// Its batch is an error that names the patch.
    #[default]
    Error,
    /// Another patch of the epoch takes its place, always the same one; it is counted and named in
    /// the statistics.
    Skip,
}

/// How batches are read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LoaderConfig {
    /// Patches in a batch. The last, smaller batch of an epoch is dropped.
    pub batch_size: u32,
    /// Worker threads; 0 lets the loader find their number and its read-ahead by itself.
    pub workers: u32,
    /// The most worker threads that `workers = 0` may come to; 0 means four a core, 64 at most.
    pub max_workers: u32,
    /// Bound on the memory of everything in flight, in MiB.
    pub budget_mib: u32,
    /// Order of patches.
    pub order: OrderKind,
    /// Patches in a page of `order = "pages"`, 1 or more. A patch is about 0.1 MB on disk.
    pub page_patches: u32,
    /// Pages that are mixed at a time with `order = "pages"`, 1 or more.
    pub window_pages: u32,
    /// What becomes of a patch whose chunks are damaged.
    pub on_corrupt: OnCorrupt,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 128,
            workers: 0,
            max_workers: 0,
            budget_mib: 1_024,
            order: OrderKind::Uniform,
            page_patches: 16,
            window_pages: 512,
            on_corrupt: OnCorrupt::Error,
        }
    }
}

/// Threads that anybody could want.
const MOST_WORKERS: u32 = 1_024;
/// Patches in a window: as many as a row number can count.
const MOST_IN_WINDOW: u64 = u32::MAX as u64;

impl LoaderConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let bad = |key: &str, message: String| {
            Err(ConfigError::BadValue {
                key: format!("loader.{key}"),
                message,
            })
        };
        let least = [
            ("batch_size", self.batch_size, 2),
            ("budget_mib", self.budget_mib, 1),
            ("page_patches", self.page_patches, 1),
            ("window_pages", self.window_pages, 1),
        ];
        for (key, found, least) in least {
            if found < least {
                return bad(key, format!("is {found}, expected {least} or more"));
            }
        }
        for (key, found) in [("workers", self.workers), ("max_workers", self.max_workers)] {
            if found > MOST_WORKERS {
                return bad(key, format!("is {found}, expected 0 to {MOST_WORKERS}"));
            }
        }
        let window = u64::from(self.page_patches) * u64::from(self.window_pages);
        if window > MOST_IN_WINDOW {
            let message = format!(
                "is {}, which with pages of {} makes windows of {window} patches, expected fewer \
                 than 2^32",
                self.window_pages, self.page_patches
            );
            return bad("window_pages", message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PretrainConfig, resolve};

    fn message(text: &str) -> String {
        let config: PretrainConfig = resolve(Some(("test.toml", text)), &[]).unwrap();
        config.validate().unwrap_err().to_string()
    }

    #[test]
    fn a_loader_that_cannot_be_is_refused_by_the_key() {
        for (text, expected) in [
            ("batch_size = 1", "`loader.batch_size`: is 1, expected 2"),
            ("page_patches = 0", "`loader.page_patches`: is 0"),
            ("window_pages = 0", "`loader.window_pages`: is 0"),
            ("budget_mib = 0", "`loader.budget_mib`: is 0"),
            ("max_workers = 5000", "`loader.max_workers`: is 5000"),
            (
                "page_patches = 65536\nwindow_pages = 65536",
                "`loader.window_pages`: is 65536, which",
            ),
        ] {
            let found = message(&format!("[loader]\n{text}"));
            assert!(found.starts_with(expected), "{found}");
        }
    }
}
