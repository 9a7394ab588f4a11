//! Promises of the whole module, on data sets of a few patches.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use chipmill_schemas::band::Band;
use chipmill_schemas::label::{CLC_43, Nomenclature};
use chipmill_schemas::patch_id::{DatasetVersion, PatchId};
use gdal::Dataset;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;

/// Contents by path.
type Files = BTreeMap<String, Vec<u8>>;

fn options(out: &Path, layout: DatasetVersion, patches: usize, seed: u64) -> SampleOptions {
    SampleOptions {
        out: out.to_owned(),
        layout,
        patches,
        seed,
        archive: None,
        s1: false,
    }
}

fn made(layout: DatasetVersion, patches: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write(&options(dir.path(), layout, patches, 1)).unwrap();
    dir
}

fn files_below(root: &Path) -> Files {
    let mut files = Files::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn named(root: &Path, ending: &str) -> Vec<PathBuf> {
    let names = files_below(root).into_keys();
    names
        .filter(|n| n.ends_with(ending))
        .map(|n| root.join(n))
        .collect()
}

#[test]
fn the_seed_alone_decides_the_bytes_for_any_number_of_threads() {
    for layout in [DatasetVersion::V1, DatasetVersion::V2] {
        let run = |seed, threads| {
            let dir = tempfile::tempdir().unwrap();
            let mut options = options(dir.path(), layout, 5, seed);
            options.s1 = true;
            write_with(&options, threads).unwrap();
            files_below(dir.path())
        };
        let one = run(1, 1);
        assert_eq!(one, run(1, 3));
        let other = run(2, 1);
        assert!(one.keys().ne(other.keys()));
    }
}

#[test]
fn each_archive_holds_the_files_of_the_folder_in_order() {
    for layout in [DatasetVersion::V1, DatasetVersion::V2] {
        let folder = tempfile::tempdir().unwrap();
        let mut of_folder = options(folder.path(), layout, 4, 1);
        of_folder.s1 = true;
        write(&of_folder).unwrap();
        let mut expected = files_below(folder.path());
        expected.retain(|name, _| name.contains('/'));
        for kind in ArchiveKind::ALL {
            let dir = tempfile::tempdir().unwrap();
            let mut options = options(dir.path(), layout, 4, 1);
            options.archive = Some(kind);
            options.s1 = true;
            let summary = write(&options).unwrap();
            assert_eq!(summary.files, expected.len() as u64);
            let mut members = Vec::new();
            let of_kind = |p: &&PathBuf| p.to_str().unwrap().ends_with(kind.extension());
            for archive in summary.written.iter().filter(of_kind) {
                members.extend(read_archive(archive, kind));
            }
            let by_name: Files = members.iter().cloned().collect();
            assert_eq!(by_name, expected);
            assert!(
                fs::read_dir(dir.path())
                    .unwrap()
                    .all(|e| e.unwrap().path().is_file())
            );
        }
    }
}

/// The members of an archive, whose headers are checked on the way.
fn read_archive(path: &Path, kind: ArchiveKind) -> Vec<(String, Vec<u8>)> {
    let file = File::open(path).unwrap();
    let reader: Box<dyn Read> = match kind {
        ArchiveKind::Tar => Box::new(file),
        ArchiveKind::TarGz => Box::new(flate2::read::GzDecoder::new(file)),
        ArchiveKind::TarZst => Box::new(zstd::Decoder::new(file).unwrap()),
    };
    let mut archive = tar::Archive::new(reader);
    let (mut members, mut names) = (Vec::new(), Vec::new());
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (0, 0));
        assert_eq!(header.mtime().unwrap(), 1_704_067_200);
        assert!(header.as_gnu().is_some());
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        names.push(name.clone());
        if header.entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            members.push((name, bytes));
        }
    }
    assert!(names.windows(2).all(|w| w[0] < w[1]), "{names:?}");
    members
}

#[test]
fn gdal_reads_every_file_with_the_right_size_type_and_place() {
    for layout in [DatasetVersion::V1, DatasetVersion::V2] {
        let dir = made(layout, 3);
        let files = named(dir.path(), ".tif");
        let maps = if layout == DatasetVersion::V2 { 3 } else { 0 };
        assert_eq!(files.len(), 3 * 12 + maps);
        for path in files {
            let name = path.file_name().unwrap().to_str().unwrap();
            let (id, rest) = PatchId::split_file_name(name).unwrap();
            assert_eq!(id.version(), layout);
            let side = rest
                .strip_suffix(".tif")
                .and_then(Band::from_name)
                .map_or(120, |b| b.resolution().side());
            let file = Dataset::open(&path).unwrap();
            assert_eq!((file.raster_size(), file.raster_count()), ((side, side), 1));
            let band = file.rasterband(1).unwrap();
            assert_eq!(band.band_type(), gdal::raster::GdalDataType::UInt16);
            let no_data = (layout == DatasetVersion::V2).then_some(0.0);
            assert_eq!(band.no_data_value(), no_data);
            let pixels = band.read_as::<u16>((0, 0), (side, side), (side, side), None);
            assert!(pixels.unwrap().data().iter().all(|&p| p > 0));
            assert_place(&file, &id, side);
        }
    }
}

fn assert_place(file: &Dataset, id: &PatchId, side: usize) {
    let of_patch =
        |a: &&names::Acquisition| a.patch_id(id.version(), id.h(), id.v()) == id.as_str();
    let acquisition = names::ACQUISITIONS.iter().find(of_patch).unwrap();
    let code = file.spatial_ref().unwrap().auth_code().unwrap();
    assert_eq!(code, i32::try_from(acquisition.epsg()).unwrap());
    let (east, north) = acquisition.corner(id.h(), id.v());
    let pixel = 1200.0 / side as f64;
    let expected = [f64::from(east), pixel, 0.0, f64::from(north), 0.0, -pixel];
    assert_eq!(file.geo_transform().unwrap(), expected);
}

#[test]
fn files_have_the_sizes_of_the_official_ones() {
    let cases = [
        (DatasetVersion::V1, [29_192, 7_560, 1_160]),
        (DatasetVersion::V2, [29_196, 7_572, 1_172]),
    ];
    for (layout, sizes) in cases {
        let dir = made(layout, 1);
        for band in Band::ALL {
            let path = named(dir.path(), &format!("_{band}.tif")).remove(0);
            let bytes = fs::metadata(path).unwrap().len();
            assert_eq!(bytes, sizes[band.resolution().index()], "{layout} {band}");
        }
    }
}

#[test]
fn the_header_is_that_of_an_original_file_but_for_the_zone_and_the_corner() {
    let original = [
        (
            DatasetVersion::V1,
            "bigearthnet-v1/BigEarthNet-v1.0/S2A_MSIL2A_20170613T101031_87_48",
        ),
        (
            DatasetVersion::V2,
            "bigearthnet-v2/BigEarthNet-S2/S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP/S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43",
        ),
    ];
    for (layout, folder) in original {
        let folder = shared().join("data").join(folder);
        if !folder.exists() {
            println!("skipped: needs ../shared ({})", folder.display());
            return;
        }
        let files = tiff::BandFiles::new(layout, 32_633).unwrap();
        for path in named(&folder, ".tif") {
            let expected = fs::read(&path).unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let band = Band::from_name(name.rsplit('_').next().unwrap()).unwrap();
            let corner = match layout {
                DatasetVersion::V1 => (404_400, 5_342_400),
                DatasetVersion::V2 => (390_000, 5_348_400),
            };
            let original = Dataset::open(&path).unwrap();
            let pixels = original.rasterband(1).unwrap().read_band_as::<u16>();
            let pixels = pixels.unwrap();
            let found = files
                .encode(band.resolution(), pixels.data(), corner)
                .unwrap();
            assert!(found == expected, "{} differs", path.display());
        }
    }
}

#[test]
fn a_sentinel_1_file_is_an_original_one_but_for_the_zone_the_corner_and_the_pixels() {
    let name = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48";
    let scene = tables::s1_scene(name);
    assert_eq!(scene, "S1A_IW_GRDH_1SDV_20170613T165043");
    let folder = shared().join(format!("data/bigearthnet-v2/BigEarthNet-S1/{scene}/{name}"));
    if !folder.exists() {
        println!("skipped: needs ../shared ({})", folder.display());
        return;
    }
    let files = tiff::S1Files::new(32_633).unwrap();
    for path in named(&folder, ".tif") {
        let expected = fs::read(&path).unwrap();
        let original = Dataset::open(&path).unwrap();
        let pixels = original
            .rasterband(1)
            .unwrap()
            .read_band_as::<f32>()
            .unwrap();
        let found = files.encode(pixels.data(), (384_000, 5_342_400)).unwrap();
        assert!(found == expected, "{} differs", path.display());
    }
}

#[test]
fn sentinel_1_is_named_by_the_tables_or_its_label_files_and_looks_like_radar() {
    for layout in [DatasetVersion::V1, DatasetVersion::V2] {
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(dir.path(), layout, 6, 1);
        options.s1 = true;
        write(&options).unwrap();
        let files = named(dir.path(), "_VV.tif");
        assert_eq!(files.len(), 6);
        for path in files {
            let vh = path.to_str().unwrap().replace("_VV.tif", "_VH.tif");
            let mean = |path: &Path| {
                assert_eq!(fs::metadata(path).unwrap().len(), 58_024);
                let file = Dataset::open(path).unwrap();
                let pixels = file.rasterband(1).unwrap().read_band_as::<f32>().unwrap();
                assert!(pixels.data().iter().all(|v| (-60.0..30.0).contains(v)));
                pixels.data().iter().sum::<f32>() / 14_400.0
            };
            let (vv, vh) = (mean(&path), mean(Path::new(&vh)));
            assert!(vh + 3.0 < vv && (-22.0..0.0).contains(&vv), "{vv} {vh}");
        }
        let mut labels = named(dir.path(), "_labels_metadata.json");
        labels.retain(|p| p.starts_with(dir.path().join("BigEarthNet-S1-v1.0")));
        assert_eq!(
            labels.len(),
            if layout == DatasetVersion::V1 { 6 } else { 0 }
        );
        for path in labels {
            let text = fs::read_to_string(path).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let id: PatchId = json["corresponding_s2_patch"]
                .as_str()
                .unwrap()
                .parse()
                .unwrap();
            assert!(dir.path().join(format!("BigEarthNet-v1.0/{id}")).is_dir());
        }
    }
}

fn shared() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared");
    std::env::var_os("CHIPMILL_SHARED").map_or_else(|| beside.into(), PathBuf::from)
}

#[test]
fn v1_label_files_hold_the_official_keys_and_known_names() {
    let dir = made(DatasetVersion::V1, 12);
    let files = named(dir.path(), "_labels_metadata.json");
    assert_eq!(files.len(), 12);
    for path in files {
        let text = fs::read_to_string(path).unwrap();
        let keys = [
            "{\"labels\": [",
            "], \"coordinates\": {\"ulx\": ",
            ", \"uly\": ",
            ", \"lrx\": ",
            ", \"lry\": ",
            "}, \"projection\": \"PROJCS[\\\"WGS 84 / UTM zone ",
            "\", \"tile_source\": \"S2",
            ".SAFE\", \"acquisition_date\": \"2019-",
        ];
        let places: Vec<_> = keys.iter().map(|k| text.find(k).unwrap()).collect();
        assert!(places.windows(2).all(|w| w[0] < w[1]) && !text.contains('\n'));
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let labels = json["labels"].as_array().unwrap();
        assert!((1..=6).contains(&labels.len()));
        let known = |l: &serde_json::Value| Nomenclature::Clc43.index_of(l.as_str().unwrap());
        assert!(labels.iter().all(|l| known(l).is_some()));
    }
}

#[test]
fn v1_lists_name_each_unflagged_patch_once_and_each_flagged_one_in_its_list() {
    let dir = made(DatasetVersion::V1, 150);
    let list = |name: &str| -> Vec<String> {
        let text = fs::read_to_string(dir.path().join(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let splits = ["train.csv", "val.csv", "test.csv"].map(list);
    assert!(splits.iter().all(|s| !s.is_empty()));
    let snow = list("patches_with_seasonal_snow.csv");
    let cloud = list("patches_with_cloud_and_shadow.csv");
    assert!(!snow.is_empty() || !cloud.is_empty());
    let all: Vec<_> = splits
        .into_iter()
        .flatten()
        .chain(snow)
        .chain(cloud)
        .collect();
    let distinct: BTreeSet<_> = all.iter().collect();
    assert_eq!((all.len(), distinct.len()), (150, 150));
    assert!(all.iter().all(|id| id.parse::<PatchId>().is_ok()));
}

#[test]
fn v2_tables_have_the_official_columns_and_agree_with_the_maps() {
    let dir = made(DatasetVersion::V2, 100);
    let mut seen = BTreeSet::new();
    for (table, flagged) in [
        ("metadata.parquet", false),
        (
            "metadata_for_patches_with_snow_cloud_or_shadow.parquet",
            true,
        ),
    ] {
        let file = File::open(dir.path().join(table)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let columns: Vec<_> = reader
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        let expected = "patch_id labels split country s1_name s2v1_name contains_seasonal_snow \
                        contains_cloud_or_shadow";
        assert_eq!(columns.join(" "), expected);
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                let id = batch.column(0).as_string::<i32>().value(row);
                seen.insert(id.to_owned());
                let flag = |column| batch.column(column).as_boolean().value(row);
                assert_eq!(flag(6) || flag(7), flagged);
                let v1 = batch.column(5).as_string::<i32>().value(row);
                assert!(v1.parse::<PatchId>().is_ok());
                let labels = batch.column(1).as_list::<i32>().value(row);
                let labels: Vec<_> = labels.as_string::<i32>().iter().flatten().collect();
                assert_labels(dir.path(), id, &labels);
            }
        }
    }
    assert_eq!(seen.len(), 100);
}

/// The labels are the 19-class ones of the classes that cover 3 per cent of the reference map, sorted.
fn assert_labels(root: &Path, id: &str, labels: &[&str]) {
    let tile = id.parse::<PatchId>().unwrap().acquisition().to_owned();
    let path = format!("Reference_Maps/{tile}/{id}/{id}_reference_map.tif");
    let map = Dataset::open(root.join(path)).unwrap();
    let codes = map.rasterband(1).unwrap().read_band_as::<u16>().unwrap();
    let covers = |code| codes.data().iter().filter(|&&c| c == code).count() >= 432;
    let found: chipmill_schemas::label::LabelSet = CLC_43
        .iter()
        .enumerate()
        .filter(|(_, class)| covers(class.code))
        .map(|(index, _)| index)
        .collect();
    let mut expected: Vec<_> = found
        .to_nineteen()
        .iter()
        .map(|i| chipmill_schemas::label::CLASSES_19[i])
        .collect();
    expected.sort_unstable();
    assert_eq!(labels, expected, "{id}");
    assert!(!labels.is_empty());
}

#[test]
fn every_sparse_class_becomes_a_label_of_the_patches_that_are_to_show_it() {
    let options = options(Path::new("unused"), DatasetVersion::V1, 300, 3);
    let names = ["Airports", "Bare rock", "Burnt areas", "Dump sites"];
    for plan in plan::plan(&options)
        .iter()
        .filter(|p| p.sparse[1].is_none())
    {
        let labels = scene::render(3, plan).labels;
        let has = |name: &str| labels.contains(Nomenclature::Clc43.index_of(name).unwrap());
        let found: Vec<_> = plan::Sparse::ALL
            .into_iter()
            .zip(names)
            .filter_map(|(class, name)| has(name).then_some(class))
            .collect();
        assert_eq!(
            found,
            plan.sparse.iter().flatten().copied().collect::<Vec<_>>(),
            "{}",
            plan.id
        );
    }
}

#[test]
fn a_folder_that_holds_something_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine.txt"), "mine").unwrap();
    let error = write(&options(dir.path(), DatasetVersion::V2, 1, 1)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("is not empty") && text.contains("mine.txt"),
        "{text}"
    );
    assert_eq!(files_below(dir.path()).len(), 1);
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = write(&options(&file.join("out"), DatasetVersion::V2, 1, 1)).unwrap_err();
    assert!(error.to_string().contains("file/out"), "{error}");
}

#[test]
fn no_patches_and_too_many_are_refused_with_the_limits() {
    for patches in [0, CAPACITY + 1] {
        let dir = tempfile::tempdir().unwrap();
        let error = write(&options(dir.path(), DatasetVersion::V1, patches, 1)).unwrap_err();
        assert!(
            error.to_string().contains("expected 1 to 132496"),
            "{error}"
        );
    }
}

#[test]
fn kinds_of_archive_are_named_by_their_extensions() {
    for kind in ArchiveKind::ALL {
        assert_eq!(kind.extension().parse(), Ok(kind));
    }
    assert!(
        "zip"
            .parse::<ArchiveKind>()
            .unwrap_err()
            .contains("tar.zst")
    );
}
