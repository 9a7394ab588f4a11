//! What a radar sees of the ground of one patch: Sentinel-1's VV and VH, in decibels.
//!
//! Each material sends back its share, whatever the light; clouds and dry snow do not matter. Speckle is
//! normal in decibels, as that of a few looks nearly is.

use chipmill_schemas::s1::S1_LEN;

use super::ground::{Ground, Surface};
use super::noise::AREA;
use super::plan::PatchPlan;
use super::random::{Purpose, Stream};
use super::spectra::Material;

/// Standard deviation of the speckle: 4.3 dB / sqrt(looks), of about five looks.
const SPECKLE: f32 = 1.9;

/// Renders a patch: VV, then VH, each row by row.
pub(super) fn render(seed: u64, plan: &PatchPlan, ground: &Ground) -> Vec<f32> {
    let mut stream = Stream::new(seed, plan.key, Purpose::Speckle);
    // Moisture moves all of a patch.
    let moisture = 0.7 * stream.normal();
    let mut values = Vec::with_capacity(S1_LEN);
    for polarisation in 0..S1_LEN / AREA {
        for surface in ground.surfaces() {
            let mean = decibels(surface, polarisation) + moisture;
            values.push(mean + SPECKLE * stream.normal());
        }
    }
    values
}

/// Mixed as decibels: the error is far below the speckle. Slopes that catch light from the south-east
/// face the radar more or less, too.
fn decibels(surface: &Surface, polarisation: usize) -> f32 {
    let first = backscatter(surface.first)[polarisation];
    let second = backscatter(surface.second)[polarisation];
    first + (second - first) * surface.share + 1.5 * (surface.shade - 1.0)
}

/// VV and VH of a material, in decibels. Levels are made up in the order that the textbooks give: calm
/// water is a mirror, fields are rough, trees scatter in all directions, houses are corners.
const fn backscatter(material: Material) -> [f32; 2] {
    match material {
        Material::Water => [-19.5, -27.5],
        Material::TurbidWater => [-18.0, -26.0],
        Material::Broadleaf => [-9.0, -14.0],
        Material::Conifer => [-9.8, -15.2],
        Material::Grass => [-12.5, -19.5],
        Material::DryGrass => [-13.0, -20.5],
        Material::GreenCrop => [-11.0, -17.5],
        Material::RipeCrop => [-11.8, -18.4],
        Material::PaleSoil => [-12.2, -21.5],
        Material::DarkSoil => [-11.4, -20.5],
        Material::RedSoil => [-12.0, -21.0],
        Material::Shrub => [-10.5, -16.3],
        Material::Heath => [-11.2, -17.2],
        Material::Marsh => [-10.2, -18.0],
        Material::Peat => [-11.6, -18.2],
        Material::Sand => [-17.0, -25.0],
        Material::DarkRock => [-10.0, -18.5],
        Material::PaleRock => [-10.4, -18.9],
        Material::Char | Material::Ash => [-12.8, -20.2],
        Material::Asphalt => [-16.0, -24.0],
        Material::Concrete => [-9.0, -17.0],
        Material::TileRoof => [-4.5, -12.5],
        Material::MetalRoof => [-2.0, -11.0],
        Material::Waste => [-8.0, -15.5],
        Material::Snow | Material::Cloud => [-12.0, -19.0],
    }
}
