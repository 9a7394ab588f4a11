//! Land cover: what each CORINE class looks like from above.

use super::built;
use super::ground::{Ground, Surface};
use super::noise::{Field, Frame, Grain, floor, position, smoothstep};
use super::random::{Purpose, Stream, hash, unit_of};
use super::relief::{self, Sun};
use super::spectra::Material;
use super::tip;

use Material::{
    Asphalt, Broadleaf, Concrete, Conifer, DarkSoil, DryGrass, Grass, GreenCrop, Heath, Marsh,
    MetalRoof, PaleRock, PaleSoil, Peat, RedSoil, RipeCrop, Sand, Shrub, TileRoof, TurbidWater,
    Waste, Water,
};

/// The look of a class.
#[derive(Debug, Clone, Copy)]
enum Texture {
    /// Fields with straight borders, each with one crop. `size` in pixels; share of hedged borders.
    Parcels {
        size: f32,
        crops: &'static [(Material, f32)],
        hedges: f32,
    },
    /// Rows (or a grid) of plants on soil.
    Rows {
        plant: Material,
        soil: Material,
        dotted: bool,
    },
    /// Tree crowns of two species; share of the second.
    Canopy {
        main: Material,
        other: Material,
        share: f32,
    },
    /// Patches of one material in another; size in pixels and share.
    Mottle {
        main: Material,
        other: Material,
        scale: f32,
        share: f32,
    },
    /// Streets and houses: street distance in pixels, share of gardens.
    Built {
        spacing: f32,
        roofs: &'static [(Material, f32)],
        gardens: f32,
    },
    /// Open water.
    Still { other: Material },
    /// Rough open slopes, shaded by the sun.
    Slopes { main: Material, other: Material },
    /// Excavated or heaped ground of one material.
    Pit { material: Material },
}

const FIELDS: &[(Material, f32)] = &[
    (GreenCrop, 3.0),
    (RipeCrop, 2.5),
    (PaleSoil, 1.2),
    (DarkSoil, 1.6),
    (Grass, 0.8),
    (RedSoil, 0.3),
];
const GARDENS: &[(Material, f32)] = &[
    (GreenCrop, 2.0),
    (Grass, 2.0),
    (RipeCrop, 1.0),
    (DarkSoil, 1.0),
    (Broadleaf, 1.0),
    (TileRoof, 0.4),
];
const HALLS: &[(Material, f32)] = &[
    (MetalRoof, 2.0),
    (Concrete, 2.0),
    (Asphalt, 1.5),
    (TileRoof, 0.4),
];
const HOUSES: &[(Material, f32)] = &[(TileRoof, 2.5), (Concrete, 1.0), (Asphalt, 0.7)];

/// The look of each class that landscapes are made of, by CLC code.
#[rustfmt::skip]
const fn texture(code: u16) -> Texture {
    use Texture::{Built, Canopy, Mottle, Parcels, Pit, Rows, Slopes, Still};
    match code {
        111 => Built { spacing: 7.0, roofs: HOUSES, gardens: 0.12 },
        112 => Built { spacing: 9.0, roofs: HOUSES, gardens: 0.55 },
        121 | 123 => Built { spacing: 22.0, roofs: HALLS, gardens: 0.15 },
        122 => Built { spacing: 30.0, roofs: &[(Asphalt, 1.0), (Concrete, 0.4)], gardens: 0.4 },
        131 => Pit { material: PaleRock },
        133 => Pit { material: PaleSoil },
        141 => Canopy { main: Grass, other: Broadleaf, share: 0.4 },
        142 => Parcels { size: 12.0, crops: &[(Grass, 3.0), (Broadleaf, 1.0), (Sand, 0.3)], hedges: 0.5 },
        211 => Parcels { size: 24.0, crops: FIELDS, hedges: 0.15 },
        212 => Parcels { size: 34.0, crops: &[(GreenCrop, 4.0), (DarkSoil, 1.0), (RipeCrop, 1.0)], hedges: 0.0 },
        213 => Parcels { size: 18.0, crops: &[(Marsh, 3.0), (TurbidWater, 1.5), (GreenCrop, 1.0)], hedges: 0.0 },
        221 => Rows { plant: Shrub, soil: RedSoil, dotted: false },
        222 => Rows { plant: Broadleaf, soil: Grass, dotted: true },
        223 => Rows { plant: Conifer, soil: PaleSoil, dotted: true },
        231 => Parcels { size: 22.0, crops: &[(Grass, 5.0), (DryGrass, 0.7), (GreenCrop, 0.7)], hedges: 0.6 },
        241 => Rows { plant: Broadleaf, soil: RipeCrop, dotted: true },
        242 => Parcels { size: 9.0, crops: GARDENS, hedges: 0.3 },
        243 => Parcels { size: 14.0, crops: &[(Grass, 2.0), (GreenCrop, 1.2), (Broadleaf, 1.5), (Shrub, 1.5), (RipeCrop, 0.8)], hedges: 0.5 },
        244 => Mottle { main: DryGrass, other: Broadleaf, scale: 4.0, share: 0.25 },
        312 => Canopy { main: Conifer, other: Broadleaf, share: 0.06 },
        313 => Canopy { main: Conifer, other: Broadleaf, share: 0.5 },
        321 => Slopes { main: Grass, other: DryGrass },
        322 => Mottle { main: Heath, other: Grass, scale: 14.0, share: 0.3 },
        323 => Mottle { main: Shrub, other: DryGrass, scale: 7.0, share: 0.3 },
        324 => Mottle { main: Shrub, other: Conifer, scale: 10.0, share: 0.35 },
        331 => Mottle { main: Sand, other: DryGrass, scale: 16.0, share: 0.15 },
        333 => Slopes { main: DryGrass, other: PaleRock },
        411 | 421 => Mottle { main: Marsh, other: Water, scale: 9.0, share: 0.2 },
        412 => Mottle { main: Peat, other: Heath, scale: 6.0, share: 0.4 },
        422 => Parcels { size: 13.0, crops: &[(TurbidWater, 2.0), (Water, 1.0), (Waste, 0.6)], hedges: 0.0 },
        423 => Mottle { main: Sand, other: TurbidWater, scale: 22.0, share: 0.45 },
        511 | 521 | 522 => Still { other: TurbidWater },
        512 | 523 => Still { other: Water },
        _ => Canopy { main: Broadleaf, other: Conifer, share: 0.05 },
    }
}

/// Paints a zone of one class.
pub(super) fn paint(
    ground: &mut Ground,
    stream: &mut Stream,
    code: u16,
    pixels: &[usize],
    sun: Sun,
) {
    for &index in pixels {
        ground.classify(index, code);
    }
    match texture(code) {
        Texture::Parcels {
            size,
            crops,
            hedges,
        } => {
            parcels(ground, stream, pixels, size, crops, hedges);
        }
        Texture::Rows {
            plant,
            soil,
            dotted,
        } => rows(ground, stream, pixels, plant, soil, dotted),
        Texture::Canopy { main, other, share } => {
            canopy(ground, stream, pixels, main, other, share);
        }
        Texture::Mottle {
            main,
            other,
            scale,
            share,
        } => {
            mottle(ground, stream, pixels, (main, other), scale, share);
        }
        Texture::Built {
            spacing,
            roofs,
            gardens,
        } => {
            built::quarter(ground, stream, pixels, spacing, roofs, gardens);
        }
        Texture::Still { other } => still(ground, stream, pixels, other),
        Texture::Slopes { main, other } => {
            relief::slopes(ground, stream, pixels, (main, other), sun);
        }
        Texture::Pit { material } => tip::pit(ground, stream, pixels, material),
    }
}

/// A division of the plane into rectangles of uneven size.
struct Division {
    frame: Frame,
    size: (f32, f32),
    key: u64,
}

impl Division {
    fn new(stream: &mut Stream, size: f32) -> Self {
        let length = stream.range(1.0, 2.6);
        Self {
            frame: Frame::any(stream),
            size: (size * length, size / length.sqrt()),
            key: stream.bits(),
        }
    }

    /// Key of the rectangle that holds a point, its local coordinates, and the distance to the border.
    fn cell(&self, point: (f32, f32)) -> (u64, (f32, f32), f32) {
        let (u, v) = self.frame.local(point);
        let row = v / self.size.1;
        let row_key = hash(self.key, u64::from(floor(row).cast_unsigned()));
        let width = self.size.0 * (0.6 + 0.9 * unit_of(row_key));
        let column = u / width + unit_of(hash(row_key, 1)) * 7.0;
        let key = hash(row_key, u64::from(floor(column).cast_unsigned()) + 2);
        let to_border = |x: f32, size: f32| x.rem_euclid(1.0).min(1.0 - x.rem_euclid(1.0)) * size;
        let border = to_border(row, self.size.1).min(to_border(column, width));
        (key, (u, v), border)
    }
}

fn parcels(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    size: f32,
    crops: &[(Material, f32)],
    hedges: f32,
) {
    let size = size * stream.range(0.7, 1.5);
    let division = Division::new(stream, size);
    let bend = Field::random(stream, Grain::new(50.0, 2));
    let soil = Field::random(stream, Grain::new(18.0, 4));
    let bending = stream.range(0.0, 3.0);
    for &index in pixels {
        let (x, y) = position(index);
        let bent = bending * bend.at(index);
        let (key, (_, v), border) = division.cell((x + bent, y - bent));
        let mut draws = Stream::new(key, 0, Purpose::Land);
        let (first, second) = (draws.weighted(crops), draws.weighted(crops));
        let (Some(first), Some(second)) = (first, second) else {
            continue;
        };
        let shade = draws.range(0.82, 1.18) * (1.0 + 0.04 * soil.at(index));
        let tramlines = 0.03 * (v * draws.range(1.2, 2.2)).sin();
        let blend = 0.18 * draws.unit() + 0.06 * soil.at(index);
        let surface = Surface::of(first)
            .with(second, blend)
            .shaded(shade + tramlines);
        ground.set(index, surface);
        let hedged = unit_of(hash(key, 9)) < hedges;
        if hedged {
            ground.cover(index, Broadleaf, 0.6 * (1.0 - smoothstep(0.2, 1.0, border)));
        } else {
            ground.cover(index, DryGrass, 0.25 * (1.0 - smoothstep(0.2, 0.8, border)));
        }
    }
}

fn rows(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    plant: Material,
    soil: Material,
    dotted: bool,
) {
    let division = Division::new(stream, 30.0);
    let vigour = Field::random(stream, Grain::new(15.0, 4));
    let (period, density) = (stream.range(2.2, 3.2), stream.range(0.35, 0.6));
    for &index in pixels {
        let (key, _, border) = division.cell(position(index));
        let turn = unit_of(hash(key, 3)) * std::f32::consts::PI;
        let (u, v) = Frame::at(0.0, 0.0, turn).local(position(index));
        let wave = |x: f32| (x * std::f32::consts::TAU / period).sin();
        let pattern = if dotted { wave(u) * wave(v) } else { wave(v) };
        let share = density + 0.2 * pattern + 0.1 * vigour.at(index);
        let shade = 0.9 + 0.25 * unit_of(hash(key, 4));
        ground.set(index, Surface::of(soil).with(plant, share).shaded(shade));
        ground.cover(index, DryGrass, 0.5 * (1.0 - smoothstep(0.3, 1.0, border)));
    }
}

fn canopy(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    main: Material,
    other: Material,
    share: f32,
) {
    let scale = stream.range(10.0, 30.0);
    let stands = Field::random(stream, Grain::new(scale, 5).rough(0.65));
    let crowns = Field::random(stream, Grain::new(3.0, 2).rough(0.8));
    let age = Field::random(stream, Grain::new(30.0, 3));
    let cut = stands.quantile(1.0 - share);
    for &index in pixels {
        let of_other = smoothstep(cut - 0.25, cut + 0.25, stands.at(index));
        let shade = 1.0 + 0.13 * crowns.at(index) + 0.07 * age.at(index);
        ground.set(index, Surface::of(main).with(other, of_other).shaded(shade));
    }
}

fn mottle(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    (main, other): (Material, Material),
    scale: f32,
    share: f32,
) {
    let scale = scale * stream.range(0.7, 1.6);
    let spots = Field::random(stream, Grain::new(scale, 4).rough(0.6));
    let tone = Field::random(stream, Grain::new(25.0, 4));
    let cut = spots.quantile(1.0 - share * stream.range(0.6, 1.4));
    for &index in pixels {
        let of_other = smoothstep(cut - 0.4, cut + 0.4, spots.at(index));
        let shade = 1.0 + 0.08 * tone.at(index);
        ground.set(index, Surface::of(main).with(other, of_other).shaded(shade));
    }
}

fn still(ground: &mut Ground, stream: &mut Stream, pixels: &[usize], other: Material) {
    let currents = Field::random(stream, Grain::new(40.0, 3).stretched(2.5));
    for &index in pixels {
        let share = 0.4 + 0.25 * currents.at(index);
        let shade = 1.0 + 0.04 * currents.at(index);
        ground.set(index, Surface::of(Water).with(other, share).shaded(shade));
    }
}
