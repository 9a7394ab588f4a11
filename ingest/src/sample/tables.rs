//! The tables beside the pixels: v1's label files and name lists, v2's two metadata tables.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use chipmill_schemas::band::PATCH_METRES;
use chipmill_schemas::label::{CLASSES_19, CLC_43, LabelSet};
use chipmill_schemas::patch::Split;
use chipmill_schemas::patch_id::DatasetVersion;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Serialize;

use super::SampleError;
use super::names::utm_wkt;
use super::plan::{PatchPlan, Weather};
use super::random::{Purpose, Stream};

/// A patch with the labels that its ground gave it.
pub(super) type Labelled<'a> = (&'a PatchPlan, LabelSet);

#[derive(Serialize)]
struct LabelFile {
    labels: Vec<&'static str>,
    coordinates: Coordinates,
    projection: String,
    tile_source: String,
    acquisition_date: String,
}

#[derive(Serialize)]
struct Coordinates {
    ulx: u32,
    uly: u32,
    lrx: u32,
    lry: u32,
}

/// v1's `<patch>_labels_metadata.json`: one line, without a line end.
pub(super) fn label_file(plan: &PatchPlan, labels: LabelSet) -> Result<Vec<u8>, SampleError> {
    let acquisition = plan.acquisition();
    let file = LabelFile {
        labels: labels.iter().map(|i| CLC_43[i].name).collect(),
        coordinates: coordinates(plan),
        projection: utm_wkt(acquisition.epsg()),
        tile_source: acquisition.safe_name(),
        acquisition_date: acquisition.date_time(),
    };
    json(&plan.id, &file)
}

#[derive(Serialize)]
struct S1LabelFile {
    labels: Vec<&'static str>,
    coordinates: Coordinates,
    projection: String,
    corresponding_s2_patch: String,
    scene_source: String,
    acquisition_time: String,
}

/// v1's label file of a Sentinel-1 patch, with the labels of the Sentinel-2 one.
pub(super) fn s1_label_file(
    plan: &PatchPlan,
    s1_name: &str,
    labels: LabelSet,
) -> Result<Vec<u8>, SampleError> {
    let acquisition = plan.acquisition();
    let scene = s1_scene(s1_name);
    let time = scene.rsplit('_').next().unwrap_or_default();
    let file = S1LabelFile {
        labels: labels.iter().map(|i| CLC_43[i].name).collect(),
        coordinates: coordinates(plan),
        projection: utm_wkt(acquisition.epsg()),
        corresponding_s2_patch: plan.id.clone(),
        scene_source: scene.to_owned(),
        acquisition_time: format!(
            "{}-{}-{}T{}:{}:{}",
            &time[..4],
            &time[4..6],
            &time[6..8],
            &time[9..11],
            &time[11..13],
            &time[13..]
        ),
    };
    json(&plan.id, &file)
}

/// The scene in the name of a Sentinel-1 patch: all but tile, H and V.
pub(super) fn s1_scene(name: &str) -> &str {
    let mut end = name.len();
    for _ in 0..3 {
        end = name[..end].rfind('_').unwrap_or(end);
    }
    &name[..end]
}

fn coordinates(plan: &PatchPlan) -> Coordinates {
    let (ulx, uly) = plan.acquisition().corner(plan.h, plan.v);
    Coordinates {
        ulx,
        uly,
        lrx: ulx + PATCH_METRES,
        lry: uly - PATCH_METRES,
    }
}

fn json(patch: &str, file: &impl Serialize) -> Result<Vec<u8>, SampleError> {
    let text = serde_json::to_string(file).map_err(|e| SampleError::Json {
        patch: patch.to_owned(),
        source: e,
    })?;
    Ok(spaced(&text).into_bytes())
}

/// With a space after each `,` and `:` outside of texts, as in the official files.
fn spaced(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 64);
    let (mut in_text, mut escaped) = (false, false);
    for c in json.chars() {
        out.push(c);
        if c == '"' && !escaped {
            in_text = !in_text;
        } else if !in_text && matches!(c, ',' | ':') {
            out.push(' ');
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

/// Writes v1's five name lists.
pub(super) fn write_v1_lists(out: &Path, patches: &[Labelled<'_>]) -> Result<(), SampleError> {
    let of_split = |split: Split| {
        move |p: &Labelled<'_>| {
            p.0.split == split && !p.0.flagged() && p.1.to_nineteen().count() > 0
        }
    };
    let list = |name: &str, keep: &dyn Fn(&Labelled<'_>) -> bool| {
        let ids = patches
            .iter()
            .filter(|p| keep(p))
            .map(|p| format!("{}\n", p.0.id));
        let path = out.join(name);
        fs::write(&path, ids.collect::<String>()).map_err(|e| SampleError::io(&path, e))
    };
    list("train.csv", &of_split(Split::Train))?;
    list("val.csv", &of_split(Split::Validation))?;
    list("test.csv", &of_split(Split::Test))?;
    list("patches_with_seasonal_snow.csv", &|p| {
        p.0.weather == Weather::Snow
    })?;
    list("patches_with_cloud_and_shadow.csv", &|p| {
        p.0.weather == Weather::Cloud
    })
}

/// Writes v2's two metadata tables.
pub(super) fn write_v2_tables(
    out: &Path,
    seed: u64,
    patches: &[Labelled<'_>],
) -> Result<(), SampleError> {
    let (flagged, clear): (Vec<_>, Vec<_>) = patches.iter().copied().partition(|p| p.0.flagged());
    write_table(&out.join("metadata.parquet"), seed, &clear)?;
    let name = "metadata_for_patches_with_snow_cloud_or_shadow.parquet";
    write_table(&out.join(name), seed, &flagged)
}

fn write_table(path: &Path, seed: u64, patches: &[Labelled<'_>]) -> Result<(), SampleError> {
    let fail = |e: parquet::errors::ParquetError| SampleError::Parquet {
        path: path.to_owned(),
        source: e,
    };
    let batch = batch(seed, patches).map_err(|e| fail(e.into()))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let file = fs::File::create(path).map_err(|e| SampleError::io(path, e))?;
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).map_err(fail)?;
    writer.write(&batch).map_err(fail)?;
    writer.close().map_err(fail)?;
    Ok(())
}

/// The eight official columns.
fn batch(seed: u64, patches: &[Labelled<'_>]) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let text = |column: &dyn Fn(&PatchPlan) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(
            patches.iter().map(|p| column(p.0)),
        ))
    };
    let flag = |weather: Weather| -> ArrayRef {
        let flags = patches.iter().map(|p| Some(p.0.weather == weather));
        Arc::new(flags.collect::<BooleanArray>())
    };
    RecordBatch::try_from_iter_with_nullable([
        ("patch_id", text(&|p| p.id.clone()), true),
        ("labels", labels_column(patches), true),
        ("split", text(&|p| p.split.name().to_owned()), true),
        (
            "country",
            text(&|p| p.acquisition().country.to_owned()),
            true,
        ),
        ("s1_name", text(&|p| s1_name(seed, p)), true),
        (
            "s2v1_name",
            text(&|p| p.acquisition().patch_id(DatasetVersion::V1, p.h, p.v)),
            true,
        ),
        ("contains_seasonal_snow", flag(Weather::Snow), true),
        ("contains_cloud_or_shadow", flag(Weather::Cloud), true),
    ])
}

fn labels_column(patches: &[Labelled<'_>]) -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    for (_, labels) in patches {
        let mut names: Vec<_> = labels.to_nineteen().iter().map(|i| CLASSES_19[i]).collect();
        names.sort_unstable();
        names
            .into_iter()
            .for_each(|name| lists.values().append_value(name));
        lists.append(true);
    }
    Arc::new(lists.finish())
}

/// The name of the Sentinel-1 patch of a patch.
pub(super) fn s1_name(seed: u64, plan: &PatchPlan) -> String {
    let mut stream = Stream::new(seed, plan.acquisition as u64, Purpose::Radar);
    let second = stream.below(3600);
    plan.acquisition().s1_name(second, plan.h, plan.v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_spaced_outside_of_texts_alone() {
        let json = r#"{"a":["b,c:d","e\",f"],"g":1}"#;
        assert_eq!(spaced(json), r#"{"a": ["b,c:d", "e\",f"], "g": 1}"#);
    }
}
