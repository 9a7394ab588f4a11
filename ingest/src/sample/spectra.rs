//! Materials and their spectra.
//!
//! Values are round numbers typical of Sentinel-2 surface reflectance (x 10,000) in summer, chosen for
//! the shape that matters: water dark and falling, vegetation with its red edge and plateau, soils
//! rising towards the short-wave infrared, char dark in the near infrared and bright at 2.2 µm.

use super::random::Stream;

/// Bands of a spectrum, in the order of `Band::ALL`.
pub(super) const BANDS: usize = 12;

/// Reflectance x 10,000 in each band.
pub(super) type Spectrum = [f32; BANDS];

/// What the ground is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Material {
    Water,
    TurbidWater,
    Broadleaf,
    Conifer,
    Grass,
    DryGrass,
    GreenCrop,
    RipeCrop,
    PaleSoil,
    DarkSoil,
    RedSoil,
    Shrub,
    Heath,
    Marsh,
    Peat,
    Sand,
    DarkRock,
    PaleRock,
    Char,
    Ash,
    Asphalt,
    Concrete,
    TileRoof,
    MetalRoof,
    Waste,
    Snow,
    Cloud,
}

/// How a material follows the year.
#[derive(Clone, Copy)]
enum Season {
    /// The same all year.
    Constant,
    /// Turns into another spectrum as greenness goes from 1 to 0.
    Towards(Spectrum),
}

const LEAFLESS: Spectrum = [
    330., 400., 540., 600., 880., 1150., 1350., 1480., 1620., 1680., 1950., 1250.,
];
const WINTER_GRASS: Spectrum = [
    380., 480., 700., 720., 1150., 1850., 2150., 2300., 2450., 2500., 2250., 1450.,
];
const STRAW: Spectrum = [
    520., 680., 980., 1250., 1650., 2000., 2200., 2380., 2600., 2680., 3100., 2250.,
];

impl Material {
    pub(super) const COUNT: usize = Self::Cloud as usize + 1;

    #[rustfmt::skip]
    const ALL: [Self; Self::COUNT] = [
        Self::Water, Self::TurbidWater, Self::Broadleaf, Self::Conifer, Self::Grass, Self::DryGrass,
        Self::GreenCrop, Self::RipeCrop, Self::PaleSoil, Self::DarkSoil, Self::RedSoil, Self::Shrub,
        Self::Heath, Self::Marsh, Self::Peat, Self::Sand, Self::DarkRock, Self::PaleRock, Self::Char,
        Self::Ash, Self::Asphalt, Self::Concrete, Self::TileRoof, Self::MetalRoof, Self::Waste,
        Self::Snow, Self::Cloud,
    ];

    /// Spectrum at full greenness, and how it follows the year.
    #[rustfmt::skip]
    const fn spectrum(self) -> (Spectrum, Season) {
        use Season::{Constant, Towards};
        match self {
            Self::Water => ([380., 330., 290., 190., 160., 130., 120., 110., 100., 95., 60., 45.], Constant),
            Self::TurbidWater => ([560., 680., 820., 700., 560., 340., 310., 290., 210., 190., 90., 65.], Constant),
            Self::Broadleaf => ([180., 220., 460., 260., 740., 2250., 2950., 3150., 3350., 3350., 1600., 740.], Towards(LEAFLESS)),
            Self::Conifer => ([150., 180., 320., 220., 460., 1250., 1550., 1700., 1800., 1820., 850., 420.], Constant),
            Self::Grass => ([300., 390., 760., 490., 1150., 2750., 3350., 3550., 3700., 3700., 2200., 1220.], Towards(WINTER_GRASS)),
            Self::DryGrass => ([480., 630., 920., 1100., 1520., 2000., 2250., 2400., 2600., 2680., 3000., 2050.], Constant),
            Self::GreenCrop => ([250., 330., 700., 340., 950., 3200., 4150., 4350., 4550., 4500., 1900., 900.], Towards(WINTER_GRASS)),
            Self::RipeCrop => (STRAW, Towards([560., 700., 900., 1080., 1280., 1450., 1560., 1680., 1850., 1900., 2450., 2050.])),
            Self::PaleSoil => ([850., 1100., 1450., 1850., 2130., 2320., 2460., 2600., 2760., 2800., 3500., 3050.], Constant),
            Self::DarkSoil => ([520., 620., 790., 950., 1130., 1270., 1370., 1470., 1620., 1680., 2200., 1880.], Constant),
            Self::RedSoil => ([480., 620., 950., 1650., 1950., 2120., 2250., 2380., 2550., 2600., 3200., 2650.], Constant),
            Self::Shrub => ([260., 330., 560., 480., 850., 1700., 2050., 2200., 2350., 2400., 1800., 1040.], Towards(LEAFLESS)),
            Self::Heath => ([290., 350., 490., 540., 810., 1300., 1500., 1640., 1790., 1850., 1700., 1050.], Constant),
            Self::Marsh => ([260., 320., 520., 420., 800., 1650., 2000., 2130., 2280., 2320., 1350., 700.], Towards(LEAFLESS)),
            Self::Peat => ([300., 360., 470., 520., 720., 1050., 1220., 1350., 1500., 1550., 1300., 780.], Constant),
            Self::Sand => ([1350., 1750., 2250., 2700., 2950., 3120., 3240., 3380., 3500., 3450., 4200., 3800.], Constant),
            Self::DarkRock => ([640., 730., 850., 930., 1000., 1060., 1110., 1170., 1240., 1280., 1500., 1380.], Constant),
            Self::PaleRock => ([1350., 1600., 1850., 2030., 2120., 2200., 2280., 2360., 2430., 2430., 2550., 2250.], Constant),
            Self::Char => ([360., 400., 460., 510., 590., 700., 790., 880., 1000., 1060., 1650., 1650.], Constant),
            Self::Ash => ([720., 820., 950., 1060., 1160., 1260., 1340., 1430., 1550., 1600., 2200., 2150.], Constant),
            Self::Asphalt => ([660., 760., 870., 950., 1020., 1090., 1140., 1210., 1280., 1310., 1420., 1270.], Constant),
            Self::Concrete => ([1350., 1600., 1850., 2030., 2140., 2230., 2300., 2380., 2450., 2440., 2580., 2350.], Constant),
            Self::TileRoof => ([700., 850., 1050., 1550., 1850., 2050., 2180., 2330., 2450., 2450., 2650., 2250.], Constant),
            Self::MetalRoof => ([2000., 2350., 2550., 2700., 2760., 2820., 2870., 2930., 2950., 2850., 2750., 2450.], Constant),
            Self::Waste => ([900., 1080., 1280., 1430., 1550., 1680., 1770., 1860., 1960., 1980., 2200., 1980.], Constant),
            Self::Snow => ([7600., 7900., 7800., 7700., 7600., 7500., 7400., 7300., 7000., 6300., 900., 700.], Constant),
            Self::Cloud => ([5600., 5700., 5700., 5800., 6000., 6200., 6300., 6400., 6300., 4300., 3900., 2900.], Constant),
        }
    }

    /// Whether the material varies little from place to place.
    const fn is_steady(self) -> bool {
        matches!(self, Self::Snow | Self::Cloud)
    }
}

/// The spectra of all materials in one patch.
#[derive(Debug, Clone)]
pub(super) struct Palette([Spectrum; Material::COUNT]);

impl Palette {
    /// Draws the patch's varieties of all materials. `greenness` is 1 in high summer, 0 in winter.
    pub(super) fn new(stream: &mut Stream, greenness: f32) -> Self {
        let mut palette = [[0.0; BANDS]; Material::COUNT];
        for material in Material::ALL {
            let (summer, season) = material.spectrum();
            let steadiness = if material.is_steady() { 0.2 } else { 1.0 };
            let local = (greenness + 0.12 * stream.normal()).clamp(0.0, 1.0);
            let brightness = 0.2 * steadiness * stream.normal();
            let tilt = 0.12 * steadiness * stream.normal();
            let spectrum = &mut palette[material as usize];
            for (band, value) in spectrum.iter_mut().enumerate() {
                let base = match season {
                    Season::Constant => summer[band],
                    Season::Towards(winter) => winter[band] + (summer[band] - winter[band]) * local,
                };
                let along = band as f32 / (BANDS - 1) as f32 * 2.0 - 1.0;
                let wobble = 0.025 * steadiness * stream.normal();
                *value = base * (brightness + tilt * along + wobble).exp();
            }
        }
        Self(palette)
    }

    /// Reflectance of a material in a band.
    pub(super) fn value(&self, material: Material, band: usize) -> f32 {
        self.0[material as usize][band]
    }
}

/// Greenness of deciduous vegetation by month (1..=12), northern mid-latitudes.
pub(super) fn greenness(month: u8) -> f32 {
    const YEAR: [f32; 12] = [
        0.05, 0.08, 0.2, 0.55, 0.9, 1.0, 0.95, 0.88, 0.7, 0.45, 0.2, 0.08,
    ];
    YEAR[usize::from(month.clamp(1, 12)) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;
    use chipmill_schemas::band::Band;

    #[test]
    fn the_table_of_materials_is_complete_and_in_order() {
        assert_eq!(BANDS, Band::ALL.len());
        assert!((0..).zip(Material::ALL).all(|(i, m)| m as usize == i));
    }

    #[test]
    fn spectra_have_the_shapes_that_tell_them_apart() {
        let value = |m: Material, b: Band| m.spectrum().0[b.index()];
        let ndvi = |m| {
            let (nir, red) = (value(m, Band::B08), value(m, Band::B04));
            (nir - red) / (nir + red)
        };
        assert!(ndvi(Material::Broadleaf) > 0.8 && ndvi(Material::Grass) > 0.6);
        assert!(ndvi(Material::PaleSoil) < 0.25 && ndvi(Material::Water) < 0.0);
        assert!(value(Material::Char, Band::B12) > value(Material::Char, Band::B08));
        assert!(value(Material::Snow, Band::B11) < value(Material::Snow, Band::B03) / 5.0);
    }

    #[test]
    fn winter_takes_the_green_away() {
        let red_edge = |greenness| {
            let mut stream = Stream::new(1, 1, Purpose::Palette);
            let palette = Palette::new(&mut stream, greenness);
            let value = |b: Band| palette.value(Material::Broadleaf, b.index());
            value(Band::B08) / value(Band::B04)
        };
        assert!(red_edge(greenness(6)) > 2.0 * red_edge(greenness(1)));
    }
}
