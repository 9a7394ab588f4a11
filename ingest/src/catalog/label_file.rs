//! v1's `_labels_metadata.json`, one beside the band files of each patch.

use chipmill_schemas::label::Nomenclature;
use chipmill_schemas::patch::Georeference;
use serde::Deserialize;

use super::Told;
use super::table::unknown_class;

/// The file as it is written. Only the labels are needed; the rest differs between copies.
#[derive(Deserialize)]
struct LabelFile {
    labels: Vec<String>,
    #[serde(default)]
    coordinates: Option<Coordinates>,
    #[serde(default)]
    projection: Option<String>,
    #[serde(default)]
    tile_source: Option<String>,
    #[serde(default)]
    acquisition_date: Option<String>,
}

#[derive(Deserialize)]
struct Coordinates {
    ulx: f64,
    uly: f64,
}

/// Reads a label file; the error is a reason in words.
///
/// The 43-class labels must be known names. Tile, date and position are taken where they are well
/// formed: some copies have mangled tile names.
pub(crate) fn read(bytes: &[u8]) -> Result<Told, String> {
    let file: LabelFile = serde_json::from_slice(bytes)
        .map_err(|e| shortened(&format!("is no v1 label file: {e}")))?;
    let class = |name: &String| {
        let index = Nomenclature::Clc43.index_of(name);
        index.ok_or_else(|| unknown_class(name, Nomenclature::Clc43))
    };
    let labels = file.labels.iter().map(class).collect::<Result<_, _>>()?;
    let epsg = file.projection.as_deref().and_then(epsg);
    let place = |c: Coordinates| {
        Some(Georeference {
            epsg: epsg?,
            ulx: c.ulx,
            uly: c.uly,
        })
    };
    Ok(Told {
        labels_43: Some(labels),
        georeference: file.coordinates.and_then(place),
        tile: file.tile_source.as_deref().and_then(tile),
        date: file.acquisition_date.as_deref().and_then(date),
    })
}

/// Errors of JSON repeat the text at fault, however long it is.
pub(super) fn shortened(reason: &str) -> String {
    const MOST: usize = 300;
    match reason.char_indices().nth(MOST) {
        Some((end, _)) => format!("{} ...", &reason[..end]),
        None => reason.to_owned(),
    }
}

/// The MGRS tile in an L1C product name: the part such as `T29SND`.
fn tile(product: &str) -> Option<String> {
    let is_tile = |part: &&str| {
        let b = part.as_bytes();
        b.len() == 6
            && b[0] == b'T'
            && b[1..3].iter().all(u8::is_ascii_digit)
            && b[3..].iter().all(u8::is_ascii_uppercase)
    };
    product.split('_').find(is_tile).map(str::to_owned)
}

/// The day of `YYYY-MM-DD hh:mm:ss`.
fn date(time: &str) -> Option<String> {
    let day = time.get(..10)?;
    let shape = day.bytes().enumerate().all(|(i, b)| match i {
        4 | 7 => b == b'-',
        _ => b.is_ascii_digit(),
    });
    shape.then(|| day.to_owned())
}

/// The code in the outermost `AUTHORITY["EPSG","32629"]` of a WKT1 string, which is its last.
fn epsg(wkt: &str) -> Option<u32> {
    let (_, code) = wkt.rsplit_once("AUTHORITY[\"EPSG\",\"")?;
    code.split('"').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"{"labels": ["Bare rock", "Broad-leaved forest"],
        "coordinates": {"ulx": 567180, "uly": 4358040, "lrx": 568380, "lry": 4356840},
        "projection": "PROJCS[\"WGS 84 / UTM zone 29N\",GEOGCS[\"WGS 84\",AUTHORITY[\"EPSG\",\"4326\"]],AUTHORITY[\"EPSG\",\"32629\"]]",
        "tile_source": "S2A_MSIL1C_20180510T94033_N0206_R036_T29SND_20180510T114819.SAFE",
        "acquisition_date": "2018-05-10 09:40:33"}"#;

    #[test]
    fn a_label_file_gives_labels_tile_date_and_place() {
        for text in [FILE.to_owned(), format!("{FILE}\n")] {
            let told = read(text.as_bytes()).unwrap();
            assert_eq!(told.labels_43.unwrap().iter().collect::<Vec<_>>(), [22, 30]);
            assert_eq!(told.tile.as_deref(), Some("T29SND"));
            assert_eq!(told.date.as_deref(), Some("2018-05-10"));
            let place = Georeference {
                epsg: 32629,
                ulx: 567_180.0,
                uly: 4_358_040.0,
            };
            assert_eq!(told.georeference, Some(place));
        }
    }

    #[test]
    fn an_unknown_class_and_missing_labels_are_named() {
        let wrong = FILE.replace("Bare rock", "Bare rocks");
        let text = read(wrong.as_bytes()).unwrap_err();
        assert!(
            text.contains("`Bare rocks`") && text.contains("`Bare rock`"),
            "{text}"
        );
        assert!(read(b"{}").unwrap_err().contains("labels"));
        assert!(read(b"\xff\xfe").is_err());
        assert!(read("[".repeat(10_000).as_bytes()).is_err());
    }

    #[test]
    fn a_mangled_tile_name_is_unknown_rather_than_wrong() {
        assert_eq!(tile("S2A_MSIL1C_20180510T94033_N0206.SAFE"), None);
        assert_eq!(date("yesterday at noon"), None);
        assert_eq!(epsg("LOCAL_CS"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }
    }
}
