//! Where and with what a run is made.

use chipmill_schemas::config::PretrainConfig;
use chipmill_schemas::run::Environment;

/// What this process and this machine tell of themselves; the run's own figures are left at zero.
#[must_use]
pub fn of_this_process(device: &str) -> Environment {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Environment {
        program: format!("chipmill {}", env!("CARGO_PKG_VERSION")),
        features: features(),
        command: std::env::args_os()
            .map(|a| a.to_string_lossy().into_owned())
            .collect(),
        device: device.to_owned(),
        cpu: cpu_model(),
        cores: u32::try_from(cores).unwrap_or(u32::MAX),
        os: os(),
        ..Environment::default()
    }
}

/// BLAKE3 of the resolved configuration as TOML (hex).
#[must_use]
pub fn config_digest(config: &PretrainConfig) -> String {
    let text = toml::to_string(config).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

fn features() -> Vec<String> {
    let built = [
        ("cpu", cfg!(feature = "cpu")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    built
        .iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name");
    model.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}

fn os() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .map(|name| name.trim_matches('"').to_owned());
    name.unwrap_or_else(|| std::env::consts::OS.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_described() {
        let environment = of_this_process("cpu");
        assert!(environment.cores >= 1 && !environment.cpu.is_empty());
        assert!(environment.program.starts_with("chipmill "));
        assert!(!environment.os.is_empty() && !environment.command.is_empty());
    }

    #[test]
    fn the_digest_tells_configurations_apart() {
        let a = PretrainConfig::default();
        let b = PretrainConfig {
            seed: 1,
            ..a.clone()
        };
        assert_eq!(config_digest(&a), config_digest(&a.clone()));
        assert_ne!(config_digest(&a), config_digest(&b));
    }
}
