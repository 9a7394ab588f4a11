//! What is to be ingested, as flags.

use std::path::PathBuf;

use chipmill_ingest::IngestOptions;
use chipmill_schemas::manifest::Codec;
use chipmill_schemas::patch::Split;
use chipmill_schemas::selection::Selection;
use clap::ValueEnum;

#[derive(Debug, clap::Args)]
pub(crate) struct What {
    /// Folders or archives of patches, reference maps or Sentinel-1, recognised by content; - is an
    /// archive of any of them on standard input.
    #[arg(required = true, value_name = "SOURCE")]
    sources: Vec<PathBuf>,

    /// Where the store will be.
    #[arg(long, required = true)]
    store: Option<PathBuf>,

    /// v2 metadata.parquet, or v1 split and snow/cloud lists; may be given several times.
    #[arg(long, value_name = "FILE")]
    metadata: Vec<PathBuf>,

    /// Threads; 0 means one a core.
    #[arg(long, default_value_t = 0)]
    threads: usize,

    /// Compression of the pixels (all lossless).
    #[arg(long, value_enum, default_value_t = CodecArg::Lz4)]
    codec: CodecArg,

    /// Patches in a shard.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1024))]
    shard_patches: u32,

    /// Stop at the first defective patch instead of quarantining it.
    #[arg(long)]
    strict: bool,

    /// The source holds only a part of what the tables list: count the rest as excluded.
    #[arg(long)]
    allow_subset: bool,

    /// Share of a reference map's pixels from which a class is present (any class needs one pixel).
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    map_min_share: f64,

    #[command(flatten)]
    wanted: Wanted,

    /// Print one JSON document.
    #[arg(long, help_heading = "Options")]
    pub(super) json: bool,
}

/// Which patches are wanted; the others count as excluded and their pixels are not read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Selection")]
struct Wanted {
    /// Only these official splits.
    #[arg(long, value_enum, value_delimiter = ',')]
    split: Vec<SplitArg>,

    /// Only these countries, as the v2 tables name them.
    #[arg(long, value_delimiter = ',')]
    country: Vec<String>,

    /// Leave out patches with seasonal snow.
    #[arg(long)]
    exclude_snow: bool,

    /// Leave out patches with cloud or cloud shadow.
    #[arg(long)]
    exclude_cloud: bool,

    /// Only patches with one of these classes (43 or 19); give the sources before it.
    #[arg(long, value_name = "CLASS", num_args = 1..)]
    labels_any: Vec<String>,

    /// Only the patches that FILE names, one a line; one that no source holds is missing.
    #[arg(long, value_name = "FILE")]
    patches: Option<PathBuf>,

    /// Take only the first N of them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CodecArg {
    Lz4,
    Zstd,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SplitArg {
    Train,
    #[value(alias = "val")]
    Validation,
    Test,
}

impl What {
    pub(crate) fn options(&self) -> IngestOptions {
        IngestOptions {
            sources: self.sources.clone(),
            metadata: self.metadata.clone(),
            store: self.store.clone().unwrap_or_default(),
            threads: self.threads,
            shard_patches: self.shard_patches,
            codec: match self.codec {
                CodecArg::Lz4 => Codec::Lz4,
                CodecArg::Zstd => Codec::Zstd,
                CodecArg::None => Codec::None,
            },
            strict: self.strict,
            allow_subset: self.allow_subset,
            selection: self.wanted.selection(),
            patches: self.wanted.patches.clone(),
            map_min_share: self.map_min_share,
        }
    }
}

impl Wanted {
    fn selection(&self) -> Selection {
        let split = |split: &SplitArg| match split {
            SplitArg::Train => Split::Train,
            SplitArg::Validation => Split::Validation,
            SplitArg::Test => Split::Test,
        };
        Selection {
            splits: self.split.iter().map(split).collect(),
            countries: self.country.clone(),
            labels_any: self.labels_any.clone(),
            exclude_task: None,
            exclude_snow: self.exclude_snow,
            exclude_cloud: self.exclude_cloud,
            limit: self
                .limit
                .map_or(0, |l| usize::try_from(l).unwrap_or(usize::MAX)),
        }
    }
}
