//! Which machine a figure was taken on.

use std::fs;

use serde::Serialize;

/// Every result carries one: a figure without its machine says nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    /// Model of the processor.
    pub(crate) cpu: String,
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Kernel and its release.
    pub(crate) kernel: String,
    /// Load average of the last minute when measuring began: other work disturbs.
    pub(crate) load: Option<f64>,
}

impl Machine {
    pub(crate) fn this() -> Self {
        Self {
            cpu: cpu_model().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: kernel().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            load: load(),
        }
    }

    /// Two lines, the second one indented below `machine    `.
    pub(crate) fn text(&self) -> String {
        let load = self
            .load
            .map_or(String::new(), |load| format!(", load {load:.2}"));
        let cores = if self.cores == 1 { "core" } else { "cores" };
        format!(
            "{}\n           {} {cores}, {}{load}",
            self.cpu, self.cores, self.kernel
        )
    }
}

fn cpu_model() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let part = |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok();
    let (name, release) = (part("ostype")?, part("osrelease")?);
    Some(format!("{} {}", name.trim(), release.trim()))
}

fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

/// The memory that this process has resident now, in bytes, where Linux tells it.
#[cfg(feature = "train")]
pub(crate) fn resident_memory() -> Option<u64> {
    status_bytes("VmRSS:")
}

/// The most memory that this process has had resident so far, in bytes, where Linux tells it.
pub(crate) fn peak_memory() -> Option<u64> {
    status_bytes("VmHWM:")
}

fn status_bytes(field: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|l| l.starts_with(field))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
