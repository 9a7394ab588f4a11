//! Devices by name: `cpu`, `cuda`, `cuda:N`.
//!
//! Burn's own default device is never used: it picks CUDA where the build has it and panics where
//! the machine does not.

use burn::tensor::{Device, DeviceType};

/// A device cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not a device's name.
    #[error("`{asked}` is no device; expected `cpu`, `cuda` or `cuda:N` (found here: {found})")]
    Unknown {
        /// What was asked for.
        asked: String,
        /// The devices that exist.
        found: String,
    },
    /// This build has no such devices.
    #[error(
        "`{asked}` needs a build with the feature `{feature}`; this build has devices: {found}"
    )]
    NotBuilt {
        /// What was asked for.
        asked: String,
        /// The missing feature.
        feature: &'static str,
        /// The devices that exist.
        found: String,
    },
    /// One GPU cannot be two.
    #[error("`{asked}` names a GPU twice")]
    Twice {
        /// What was asked for.
        asked: String,
    },
    /// The build could use it, the machine has none.
    #[error("`{asked}` does not exist on this machine; found: {found}")]
    Absent {
        /// What was asked for.
        asked: String,
        /// The devices that exist.
        found: String,
    },
}

/// The kinds that this build knows, with their names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Cpu,
    Cuda,
}

impl Kind {
    const fn feature(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    const fn device_type(self) -> Option<DeviceType> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Some(DeviceType::Flex),
            #[cfg(not(feature = "cpu"))]
            Self::Cpu => None,
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(DeviceType::Cuda),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda => None,
        }
    }

    /// The devices of this kind, in the order of their numbers; `None` when not built in.
    fn devices(self) -> Option<Vec<Device>> {
        let found = Device::enumerate(self.device_type()?);
        Some(found.into_iter().collect())
    }
}

/// Turns a name into a device that exists.
///
/// # Errors
/// [`DeviceError`] naming what was asked for and what exists.
pub fn parse_device(text: &str) -> Result<Device, DeviceError> {
    let asked = || text.to_owned();
    let found = || devices().join(", ");
    let (kind, number) = match text.split_once(':') {
        None if text == "cpu" => (Kind::Cpu, 0),
        None if text == "cuda" => (Kind::Cuda, 0),
        Some(("cuda", n)) if n.bytes().all(|b| b.is_ascii_digit()) => match n.parse::<usize>() {
            Ok(number) => (Kind::Cuda, number),
            Err(_) => {
                return Err(DeviceError::Unknown {
                    asked: asked(),
                    found: found(),
                });
            }
        },
        _ => {
            return Err(DeviceError::Unknown {
                asked: asked(),
                found: found(),
            });
        }
    };
    let built = kind.devices().ok_or_else(|| DeviceError::NotBuilt {
        asked: asked(),
        feature: kind.feature(),
        found: found(),
    })?;
    let device = built.into_iter().nth(number);
    device.ok_or_else(|| DeviceError::Absent {
        asked: asked(),
        found: found(),
    })
}

/// Turns names separated by commas, such as `cuda:0,cuda:1`, into devices that exist. A GPU stands there
/// once; `cpu,cpu` shares the work as two GPUs would, without being faster.
///
/// # Errors
/// [`DeviceError`] naming what was asked for and what exists.
pub fn parse_devices(text: &str) -> Result<Vec<Device>, DeviceError> {
    let mut devices = Vec::new();
    for name in text.split(',') {
        let device = parse_device(name)?;
        if name != "cpu" && devices.contains(&device) {
            let asked = text.to_owned();
            return Err(DeviceError::Twice { asked });
        }
        devices.push(device);
    }
    Ok(devices)
}

/// The first of the devices that are named.
pub(crate) fn first_device(text: &str) -> Result<Device, DeviceError> {
    let first = text.split_once(',').map_or(text, |(first, _)| first);
    parse_device(first)
}

/// The devices that exist, by name, such as `["cpu", "cuda:0"]`.
#[must_use]
pub fn devices() -> Vec<String> {
    let cpu = Kind::Cpu.devices().unwrap_or_default();
    let cuda = Kind::Cuda.devices().unwrap_or_default();
    let cpu = cpu.iter().take(1).map(|_| "cpu".to_owned());
    cpu.chain((0..cuda.len()).map(|n| format!("cuda:{n}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_exists_by_its_name() {
        assert!(devices().contains(&"cpu".to_owned()));
        assert!(parse_device("cpu").is_ok());
    }

    #[test]
    fn a_device_that_does_not_exist_is_named_with_those_that_do() {
        let error = parse_device("cuda:99").unwrap_err().to_string();
        assert!(
            error.contains("`cuda:99`") && error.contains("cpu"),
            "{error}"
        );
    }

    #[test]
    fn several_devices_are_separated_by_commas() {
        assert_eq!(parse_devices("cpu").unwrap().len(), 1);
        assert_eq!(parse_devices("cpu,cpu").unwrap().len(), 2);
        for text in ["cpu,", ",cpu", "cpu, cpu", "cpu;cpu"] {
            assert!(parse_devices(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_name_is_refused() {
        for text in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "CPU"] {
            let error = parse_device(text).unwrap_err();
            assert!(
                matches!(error, DeviceError::Unknown { .. }),
                "{text}: {error}"
            );
        }
    }
}
