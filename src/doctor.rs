//! `chipmill doctor`

use chipmill_pipeline::SimdPath;
use serde::Serialize;

use crate::exit::Outcome;
use crate::output;

/// Print versions, features, GDAL, devices and store formats; exit 2 when something is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    version: &'static str,
    features: Vec<&'static str>,
    store_formats: StoreFormats,
    gdal: Option<Gdal>,
    devices: Vec<String>,
    cores: usize,
    simd: Vec<&'static str>,
    /// The vector instructions that views are computed with.
    views: &'static str,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct StoreFormats {
    writes: String,
    reads: String,
    codecs: Vec<&'static str>,
}

#[derive(Debug, Serialize)]
struct Gdal {
    version: String,
    drivers: Vec<String>,
}

impl Gdal {
    fn reads_geotiff(&self) -> bool {
        self.drivers.iter().any(|d| d == "GTiff")
    }
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let diagnosis = Diagnosis::make();
    if args.json {
        output::json(&diagnosis)?;
    } else {
        output::result(&diagnosis.text())?;
    }
    anyhow::ensure!(
        diagnosis.problems.is_empty(),
        "{}",
        diagnosis.problems.join("; ")
    );
    Ok(Outcome::Done)
}

/// Features this program was built with.
pub(crate) fn features() -> Vec<&'static str> {
    let all = [
        ("ingest", cfg!(feature = "ingest")),
        ("train", cfg!(feature = "train")),
        ("cuda", cfg!(feature = "cuda")),
        ("gdal-bundled", cfg!(feature = "gdal-bundled")),
    ];
    all.into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect()
}

impl Diagnosis {
    fn make() -> Self {
        use chipmill_schemas::manifest::{Codec, FormatVersion};
        let current = FormatVersion::CURRENT;
        let gdal = gdal();
        let devices = devices();
        let mut problems = Vec::new();
        if gdal.as_ref().is_some_and(|gdal| !gdal.reads_geotiff()) {
            problems.push("GDAL has no GTiff driver, so GeoTIFFs cannot be read".to_owned());
        }
        if cfg!(feature = "cuda") && !devices.iter().any(|d| d.starts_with("cuda")) {
            tracing::warn!("built with cuda, but no CUDA device answers (is libcuda.so.1 there?)");
        }
        Self {
            version: env!("CARGO_PKG_VERSION"),
            features: features(),
            store_formats: StoreFormats {
                writes: current.to_string(),
                reads: format!("{}.x", current.major),
                codecs: [Codec::Lz4, Codec::Zstd, Codec::None]
                    .map(Codec::name)
                    .to_vec(),
            },
            gdal,
            devices,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            simd: simd(),
            views: SimdPath::best().name(),
            problems,
        }
    }

    fn text(&self) -> String {
        let none = |list: String| {
            if list.is_empty() {
                "none".to_owned()
            } else {
                list
            }
        };
        let mut lines = vec![
            format!("chipmill   {}", self.version),
            format!("features   {}", none(self.features.join(", "))),
            format!(
                "store      writes format {}, reads {}; codecs {}",
                self.store_formats.writes,
                self.store_formats.reads,
                self.store_formats.codecs.join(", ")
            ),
            match &self.gdal {
                Some(gdal) => format!(
                    "GDAL       {}, {} drivers, GTiff {}",
                    gdal.version,
                    gdal.drivers.len(),
                    if gdal.reads_geotiff() {
                        "among them"
                    } else {
                        "MISSING"
                    }
                ),
                None => "GDAL       not built in (feature `ingest` is off)".to_owned(),
            },
            format!("devices    {}", none(self.devices.join(", "))),
            format!(
                "processor  {} cores, {}",
                self.cores,
                none(self.simd.join(", "))
            ),
            format!(
                "views      computed by the path {}{}",
                self.views,
                slowly(self.views)
            ),
        ];
        lines.extend(self.problems.iter().map(|p| format!("PROBLEM    {p}")));
        lines.join("\n")
    }
}

#[cfg(feature = "ingest")]
#[expect(clippy::unnecessary_wraps, reason = "its twin has none")]
fn gdal() -> Option<Gdal> {
    Some(Gdal {
        version: chipmill_ingest::gdal_version(),
        drivers: chipmill_ingest::gdal_drivers(),
    })
}

#[cfg(not(feature = "ingest"))]
fn gdal() -> Option<Gdal> {
    None
}

#[cfg(feature = "train")]
fn devices() -> Vec<String> {
    chipmill_train::devices()
}

#[cfg(not(feature = "train"))]
fn devices() -> Vec<String> {
    Vec::new()
}

/// What plain code means for whoever loads batches.
fn slowly(path: &str) -> &'static str {
    if path == SimdPath::Scalar.name() {
        ": the same bits, but slow, up to a hundred times; a processor with AVX2 and FMA has faster ones"
    } else {
        ""
    }
}

#[cfg(target_arch = "x86_64")]
fn simd() -> Vec<&'static str> {
    let all = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    all.into_iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| name)
        .collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn simd() -> Vec<&'static str> {
    Vec::new()
}
