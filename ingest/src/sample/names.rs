//! Acquisitions and names: MGRS tiles with their true origins, dates that the real data set does not
//! have, and ids in the forms of v1.0 and v2.0.

use chipmill_schemas::band::PATCH_METRES;
use chipmill_schemas::patch_id::DatasetVersion;

use super::landscape::Landscape;

/// Patches along each side of a tile: 109.8 km / 1.2 km, the incomplete last one dropped.
pub(super) const GRID: u8 = 91;

/// One Sentinel-2 acquisition of one tile.
#[derive(Debug)]
pub(super) struct Acquisition {
    satellite: &'static str,
    /// `YYYYMMDD`. Real acquisitions end in 2018: no synthetic id is a real one.
    day: &'static str,
    /// `hhmmss`.
    time: &'static str,
    orbit: u16,
    /// MGRS tile without the `T`.
    tile: &'static str,
    zone: u32,
    /// Left edge of the tile's 100 km square, km.
    east: u32,
    /// Top edge of the tile's 100 km square, km.
    north: u32,
    /// As in the v2 tables.
    pub(super) country: &'static str,
    /// Landscapes to be found there, the commonest first.
    pub(super) landscapes: [Landscape; 3],
}

#[expect(clippy::too_many_arguments, reason = "the columns of the table below")]
const fn row(
    satellite: &'static str,
    day: &'static str,
    time: &'static str,
    orbit: u16,
    (zone, tile): (u32, &'static str),
    (east, north): (u32, u32),
    country: &'static str,
    landscapes: [Landscape; 3],
) -> Acquisition {
    Acquisition {
        satellite,
        day,
        time,
        orbit,
        tile,
        zone,
        east,
        north,
        country,
        landscapes,
    }
}

use Landscape::{Alpine, Boreal, Coast, Lowland, Mediterranean, Town, Wetland};

/// All acquisitions: 16 tiles in ten countries, all seasons.
#[rustfmt::skip]
pub(super) const ACQUISITIONS: [Acquisition; 16] = [
    row("S2A", "20190627", "113321", 80, (29, "29UPU"), (600, 5900), "Ireland", [Lowland, Coast, Wetland]),
    row("S2B", "20190409", "112119", 37, (29, "29SND"), (500, 4400), "Portugal", [Mediterranean, Coast, Alpine]),
    row("S2A", "20190822", "112121", 37, (29, "29SNC"), (500, 4300), "Portugal", [Mediterranean, Town, Coast]),
    row("S2B", "20190720", "105039", 51, (31, "31UER"), (500, 5600), "Belgium", [Lowland, Town, Wetland]),
    row("S2A", "20191013", "104021", 8, (31, "31UGR"), (700, 5600), "Luxembourg", [Lowland, Alpine, Town]),
    row("S2B", "20190917", "103019", 108, (32, "32TMT"), (400, 5300), "Switzerland", [Alpine, Lowland, Town]),
    row("S2A", "20190612", "101031", 22, (33, "33UUP"), (300, 5400), "Austria", [Lowland, Alpine, Town]),
    row("S2B", "20190218", "100029", 122, (33, "33UWP"), (500, 5400), "Austria", [Lowland, Alpine, Town]),
    row("S2A", "20190830", "095031", 79, (33, "33TXN"), (600, 5300), "Austria", [Lowland, Wetland, Town]),
    row("S2B", "20190514", "093039", 136, (34, "34TEP"), (500, 4900), "Serbia", [Lowland, Alpine, Mediterranean]),
    row("S2A", "20191101", "094141", 36, (34, "34TCR"), (300, 5100), "Serbia", [Lowland, Wetland, Town]),
    row("S2B", "20190728", "093049", 136, (34, "34TEN"), (500, 4800), "Kosovo", [Alpine, Mediterranean, Lowland]),
    row("S2A", "20190419", "095031", 79, (34, "34UEG"), (500, 6200), "Lithuania", [Lowland, Boreal, Wetland]),
    row("S2B", "20190605", "101039", 22, (34, "34VDN"), (400, 6800), "Finland", [Boreal, Wetland, Coast]),
    row("S2A", "20190313", "093051", 136, (35, "35VPK"), (600, 7000), "Finland", [Boreal, Wetland, Lowland]),
    row("S2B", "20190916", "094029", 36, (35, "35VLC"), (300, 6300), "Lithuania", [Boreal, Lowland, Wetland]),
];

impl Acquisition {
    /// Month, 1..=12.
    pub(super) fn month(&self) -> u8 {
        self.day[4..6].parse().unwrap_or(1)
    }

    /// EPSG code of the tile's UTM zone (north).
    pub(super) const fn epsg(&self) -> u32 {
        32_600 + self.zone
    }

    /// Upper left corner of a patch, metres.
    ///
    /// A tile begins at the multiples of 60 m that just enclose its 100 km square.
    pub(super) fn corner(&self, h: u8, v: u8) -> (u32, u32) {
        let east = self.east * 1000 / 60 * 60 + PATCH_METRES * u32::from(h);
        let north = (self.north * 1000).div_ceil(60) * 60 - PATCH_METRES * u32::from(v);
        (east, north)
    }

    /// The acquisition as v2 names it, which is the name of its folder.
    pub(super) fn v2_name(&self) -> String {
        let Self {
            satellite,
            day,
            time,
            orbit,
            tile,
            ..
        } = self;
        format!("{satellite}_MSIL2A_{day}T{time}_N9999_R{orbit:03}_T{tile}")
    }

    /// The id of a patch.
    pub(super) fn patch_id(&self, version: DatasetVersion, h: u8, v: u8) -> String {
        match version {
            DatasetVersion::V1 => {
                format!(
                    "{}_MSIL2A_{}T{}_{h}_{v}",
                    self.satellite,
                    self.day,
                    self.v1_time()
                )
            }
            DatasetVersion::V2 => format!("{}_{h:02}_{v:02}", self.v2_name()),
        }
    }

    /// The matching Sentinel-1 patch: an afternoon pass one day later.
    pub(super) fn s1_name(&self, second: usize, h: u8, v: u8) -> String {
        let day = self.day.parse::<u32>().unwrap_or(0) + 1;
        let (tile, minute, second) = (self.tile, second / 60, second % 60);
        format!("S1A_IW_GRDH_1SDV_{day}T16{minute:02}{second:02}_{tile}_{h}_{v}")
    }

    /// The L1C product of v1's `tile_source`; it has the time as mangled as the name has.
    pub(super) fn safe_name(&self) -> String {
        let Self {
            satellite,
            day,
            time,
            orbit,
            tile,
            ..
        } = self;
        let v1_time = self.v1_time();
        format!("{satellite}_MSIL1C_{day}T{v1_time}_N0207_R{orbit:03}_T{tile}_{day}T{time}.SAFE")
    }

    /// `YYYY-MM-DD hh:mm:ss`.
    pub(super) fn date_time(&self) -> String {
        let (d, t) = (self.day, self.time);
        format!(
            "{}-{}-{} {}:{}:{}",
            &d[..4],
            &d[4..6],
            &d[6..],
            &t[..2],
            &t[2..4],
            &t[4..]
        )
    }

    /// v1 names of the morning lack the leading zero of the hour.
    fn v1_time(&self) -> &'static str {
        self.time.strip_prefix('0').unwrap_or(self.time)
    }
}

/// The coordinate system as WKT 1, written as v1's label files have it.
pub(super) fn utm_wkt(epsg: u32) -> String {
    let zone = epsg.saturating_sub(32_600);
    let meridian = i64::from(zone) * 6 - 183;
    let datum = "DATUM[\"WGS_1984\",SPHEROID[\"WGS 84\",6378137,298.257223563,\
                 AUTHORITY[\"EPSG\",\"7030\"]],AUTHORITY[\"EPSG\",\"6326\"]]";
    let geographic = format!(
        "GEOGCS[\"WGS 84\",{datum},PRIMEM[\"Greenwich\",0,AUTHORITY[\"EPSG\",\"8901\"]],\
         UNIT[\"degree\",0.0174532925199433,AUTHORITY[\"EPSG\",\"9122\"]],\
         AXIS[\"Latitude\",NORTH],AXIS[\"Longitude\",EAST],AUTHORITY[\"EPSG\",\"4326\"]]"
    );
    let parameters = format!(
        "PARAMETER[\"latitude_of_origin\",0],PARAMETER[\"central_meridian\",{meridian}],\
         PARAMETER[\"scale_factor\",0.9996],PARAMETER[\"false_easting\",500000],\
         PARAMETER[\"false_northing\",0]"
    );
    format!(
        "PROJCS[\"WGS 84 / UTM zone {zone}N\",{geographic},PROJECTION[\"Transverse_Mercator\"],\
         {parameters},UNIT[\"metre\",1,AUTHORITY[\"EPSG\",\"9001\"]],AXIS[\"Easting\",EAST],\
         AXIS[\"Northing\",NORTH],AUTHORITY[\"EPSG\",\"{epsg}\"]]"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use chipmill_schemas::patch_id::PatchId;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_ids_of_their_release_and_all_different() {
        for version in [DatasetVersion::V1, DatasetVersion::V2] {
            let mut seen = BTreeSet::new();
            for acquisition in &ACQUISITIONS {
                let text = acquisition.patch_id(version, 4, 55);
                let id: PatchId = text.parse().unwrap();
                assert_eq!((id.version(), id.h(), id.v()), (version, 4, 55));
                assert!(seen.insert(text));
            }
        }
    }

    #[test]
    fn corners_are_those_of_real_patches() {
        // From original files: T33UUP 75_43 and 26_57, T29UPU 36_85, T29SND 56_35, T33UUP 87_48.
        let corner = |tile: &str, h, v| {
            let found = ACQUISITIONS.iter().find(|a| a.tile == tile).unwrap();
            found.corner(h, v)
        };
        assert_eq!(corner("33UUP", 75, 43), (390_000, 5_348_400));
        assert_eq!(corner("33UUP", 26, 57), (331_200, 5_331_600));
        assert_eq!(corner("33UUP", 87, 48), (404_400, 5_342_400));
        assert_eq!(corner("29UPU", 36, 85), (643_200, 5_798_040));
        assert_eq!(corner("29SND", 56, 35), (567_180, 4_358_040));
    }

    #[test]
    fn morning_times_lose_their_zero_in_v1_alone() {
        let morning = ACQUISITIONS.iter().find(|a| a.tile == "34TEP").unwrap();
        assert_eq!(
            morning.patch_id(DatasetVersion::V1, 1, 2),
            "S2B_MSIL2A_20190514T93039_1_2"
        );
        assert!(morning.safe_name().contains("T93039_N0207_R136_T34TEP"));
        assert_eq!(morning.date_time(), "2019-05-14 09:30:39");
        assert!(morning.v2_name().contains("T093039"));
    }

    #[test]
    fn ten_countries_and_all_seasons_occur() {
        let countries: BTreeSet<_> = ACQUISITIONS.iter().map(|a| a.country).collect();
        let quarters: BTreeSet<_> = ACQUISITIONS.iter().map(|a| a.month() % 12 / 3).collect();
        assert_eq!((countries.len(), quarters.len()), (10, 4));
    }
}
