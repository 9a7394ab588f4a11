//! Which vector instructions are used.

#[cfg(target_arch = "x86_64")]
use super::{Avx2, Avx512};
use super::{Counting, Scalar};

/// The vector instructions that views are computed with. All give the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum SimdPath {
    /// Plain code, for every processor.
    Scalar,
    /// AVX2 with FMA and F16C (Intel since 2013, AMD since 2015).
    Avx2,
    /// AVX-512 F, BW, DQ and VL (Intel servers since 2017, AMD since 2022).
    Avx512,
}

/// A path that this processor cannot take, or a name that is no path's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SimdError {
    /// The processor lacks instructions.
    #[error(
        "the SIMD path `{path}` needs {}, which this processor lacks; use `auto`, which takes `{}` here",
        missing.join(", "),
        SimdPath::best()
    )]
    Unavailable {
        /// The path asked for.
        path: SimdPath,
        /// What the processor lacks of it.
        missing: Vec<&'static str>,
    },
    /// No path has this name.
    #[error("no SIMD path is named `{found}`; there are auto, avx512, avx2 and scalar")]
    Unknown {
        /// The name found.
        found: String,
    },
}

impl SimdPath {
    /// All paths, from the slowest to the fastest.
    pub const ALL: [Self; 3] = [Self::Scalar, Self::Avx2, Self::Avx512];

    /// The fastest path of this processor.
    #[must_use]
    pub fn best() -> Self {
        let usable = |path: &Self| path.check().is_ok();
        let fastest = Self::ALL.into_iter().rev().find(usable);
        fastest.unwrap_or(Self::Scalar)
    }

    /// The name, as [`FromStr`](std::str::FromStr) takes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this processor can take the path.
    ///
    /// # Errors
    /// [`SimdError::Unavailable`] naming what it lacks.
    pub fn check(self) -> Result<(), SimdError> {
        let missing = self.missing();
        if missing.is_empty() {
            return Ok(());
        }
        Err(SimdError::Unavailable {
            path: self,
            missing,
        })
    }

    #[cfg(target_arch = "x86_64")]
    fn missing(self) -> Vec<&'static str> {
        use std::arch::is_x86_feature_detected as has;
        let avx2 = [
            ("AVX2", has!("avx2")),
            ("FMA", has!("fma")),
            ("F16C", has!("f16c")),
        ];
        let avx512 = [
            ("AVX-512 F", has!("avx512f")),
            ("AVX-512 BW", has!("avx512bw")),
            ("AVX-512 DQ", has!("avx512dq")),
            ("AVX-512 VL", has!("avx512vl")),
        ];
        let needed = match self {
            Self::Scalar => Vec::new(),
            Self::Avx2 => avx2.to_vec(),
            Self::Avx512 => [&avx2[..], &avx512].concat(),
        };
        let lacks = needed.into_iter().filter(|&(_, there)| !there);
        lacks.map(|(name, _)| name).collect()
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn missing(self) -> Vec<&'static str> {
        match self {
            Self::Scalar => Vec::new(),
            Self::Avx2 | Self::Avx512 => vec!["the x86-64 architecture"],
        }
    }
}

impl std::fmt::Display for SimdPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// `auto` is the fastest path of this processor; a name of a path is that path, whether the processor
/// has it or not.
impl std::str::FromStr for SimdPath {
    type Err = SimdError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "auto" {
            return Ok(Self::best());
        }
        let found = Self::ALL.into_iter().find(|path| path.name() == name);
        found.ok_or_else(|| SimdError::Unknown {
            found: name.to_owned(),
        })
    }
}

/// A path that this processor can take, as the lanes to compute with.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Simd {
    Scalar(Scalar),
    Counting(Counting),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl Simd {
    pub(crate) fn new(path: SimdPath) -> Result<Self, SimdError> {
        path.check()?;
        Ok(match path {
            SimdPath::Scalar => Self::Scalar(Scalar),
            #[cfg(target_arch = "x86_64")]
            SimdPath::Avx2 => Avx2::detect().map_or(Self::Scalar(Scalar), Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            SimdPath::Avx512 => Avx512::detect().map_or(Self::Scalar(Scalar), Self::Avx512),
            #[cfg(not(target_arch = "x86_64"))]
            SimdPath::Avx2 | SimdPath::Avx512 => Self::Scalar(Scalar),
        })
    }

    /// The fastest lanes of this processor.
    pub(crate) fn best() -> Self {
        Self::new(SimdPath::best()).unwrap_or(Self::Scalar(Scalar))
    }

    pub(crate) fn path(self) -> SimdPath {
        match self {
            Self::Scalar(_) | Self::Counting(_) => SimdPath::Scalar,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => SimdPath::Avx2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => SimdPath::Avx512,
        }
    }
}
