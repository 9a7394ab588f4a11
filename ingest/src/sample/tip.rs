//! Heaped and dug ground: dump sites (132), quarries and building sites.

use super::ground::{Ground, Surface};
use super::noise::{AREA, Field, Frame, Grain, floor, position, smoothstep};
use super::random::{Purpose, Stream, hash};
use super::spectra::Material;

/// A roundish mound or pit with an uneven outline.
struct Mound {
    x: f32,
    y: f32,
    radius: f32,
    flatness: f32,
    frame: Frame,
}

impl Mound {
    fn new(stream: &mut Stream, radius: f32) -> Self {
        let (x, y) = (stream.range(-32.0, 32.0), stream.range(-32.0, 32.0));
        Self {
            x,
            y,
            radius,
            flatness: stream.range(1.0, 1.7),
            frame: Frame::at(x, y, stream.range(0.0, std::f32::consts::PI)),
        }
    }

    /// 0 at the middle, 1 at the foot.
    fn reach(&self, point: (f32, f32)) -> f32 {
        let (u, v) = self.frame.local(point);
        u.hypot(v * self.flatness) / self.radius
    }
}

/// Brightness of terraces: each step has a lit edge and a dark foot.
fn terrace(reach: f32, steps: f32, depth: f32) -> f32 {
    let within = (reach * steps).rem_euclid(1.0);
    1.0 + depth * (smoothstep(0.0, 0.6, within) - 0.5) - 0.6 * depth * smoothstep(0.8, 1.0, within)
}

const HEAPED: &[(Material, f32)] = &[
    (Material::Waste, 3.0),
    (Material::PaleSoil, 1.6),
    (Material::DarkSoil, 1.6),
    (Material::RedSoil, 0.7),
    (Material::MetalRoof, 0.5),
    (Material::Asphalt, 0.8),
    (Material::Grass, 0.7),
];

/// Paints a dump site over part of the patch: terraced mounds of blotchy waste, haul roads, a pond.
pub(super) fn dump(ground: &mut Ground, stream: &mut Stream) {
    let mounds: Vec<Mound> = (0..1 + stream.below(3))
        .map(|_| {
            let radius = stream.range(18.0, 30.0);
            Mound::new(stream, radius)
        })
        .collect();
    let outline = Field::random(stream, Grain::new(16.0, 3));
    let tone = Field::random(stream, Grain::new(7.0, 3));
    let raggedness = stream.range(0.08, 0.2);
    let (steps, depth) = (stream.range(2.5, 4.5), stream.range(0.3, 0.55));
    let blotch = stream.range(2.2, 4.5);
    // The closed parts of a site are covered with soil and sown with grass.
    let closed = if stream.chance(0.35) {
        stream.range(0.2, 0.6)
    } else {
        0.0
    };
    let growth = Field::random(stream, Grain::new(13.0, 3));
    let closed_edge = growth.quantile(1.0 - closed);
    let key = stream.bits();
    let reach_at = |index: usize| {
        let nearest = mounds.iter().map(|m| m.reach(position(index)));
        nearest.fold(f32::INFINITY, f32::min) + raggedness * outline.at(index)
    };
    for index in 0..AREA {
        let reach = reach_at(index);
        if reach < 1.2 {
            ground.classify(index, 132);
        }
        if reach < 1.0 {
            let light = terrace(reach, steps, depth) + 0.06 * tone.at(index);
            let surface = if closed > 0.0 && growth.at(index) > closed_edge {
                Surface::of(Material::DryGrass).with(Material::Grass, 0.5 + 0.3 * growth.at(index))
            } else {
                waste(key, index, blotch, &tone)
            };
            ground.set(index, surface.shaded(light));
        } else {
            let bare = 0.7 * (1.0 - smoothstep(1.1, 1.25, reach));
            ground.cover(index, Material::DarkSoil, bare);
        }
    }
    if let Some(mound) = mounds.first() {
        haul_roads(ground, stream, mound, steps);
        pond(ground, stream, mound);
    }
}

/// One blotch of waste; the tone field bends the borders between blotches.
fn waste(key: u64, index: usize, size: f32, tone: &Field) -> Surface {
    let (x, y) = position(index);
    let (x, y) = (
        x / size + 0.35 * tone.at(index),
        y / size - 0.35 * tone.at(index),
    );
    let row = hash(key, u64::from(floor(y).cast_unsigned()));
    let cell = hash(row, u64::from(floor(x).cast_unsigned()));
    let mut draws = Stream::new(cell, 0, Purpose::Land);
    let first = draws.weighted(HEAPED).unwrap_or(Material::Waste);
    Surface::of(first)
        .with(Material::Waste, draws.range(0.2, 0.8))
        .shaded(draws.range(0.85, 1.18))
}

/// A road that winds up the mound and one that leads out of the patch.
fn haul_roads(ground: &mut Ground, stream: &mut Stream, mound: &Mound, steps: f32) {
    let heading = stream.range(0.0, std::f32::consts::TAU);
    let out = Frame::at(mound.x, mound.y, heading);
    let pitch = 1.0 / steps;
    for index in 0..AREA {
        let (u, v) = out.local(position(index));
        let reach = mound.reach(position(index));
        let axis = 2.5 * (u / 11.0).sin();
        if u > 0.0 && reach > 0.5 {
            let cover = 1.0 - smoothstep(0.6, 1.5, (v - axis).abs());
            ground.cover(index, Material::PaleSoil, 0.9 * cover);
        }
        if reach < 1.1 {
            let turn = v.atan2(u) / std::f32::consts::TAU;
            let along = (reach / pitch - turn).rem_euclid(1.0);
            let distance = (along - 0.5).abs() * pitch * mound.radius;
            ground.cover(
                index,
                Material::PaleSoil,
                0.7 * (1.0 - smoothstep(0.4, 1.2, distance)),
            );
        }
    }
}

/// A dark pond at the foot of the mound.
fn pond(ground: &mut Ground, stream: &mut Stream, mound: &Mound) {
    let (sin, cos) = stream.range(0.0, std::f32::consts::TAU).sin_cos();
    let away = mound.radius * 1.05;
    let frame = Frame::at(
        mound.x + away * cos,
        mound.y + away * sin,
        stream.range(0.0, 3.0),
    );
    let (length, width) = (stream.range(2.5, 6.0), stream.range(1.5, 3.0));
    for index in 0..AREA {
        let (u, v) = frame.local(position(index));
        let reach = (u / length).hypot(v / width);
        ground.cover(index, Material::Water, 1.0 - smoothstep(0.8, 1.15, reach));
    }
}

/// Paints a zone as a pit: bare terraced ground of one material.
pub(super) fn pit(ground: &mut Ground, stream: &mut Stream, pixels: &[usize], material: Material) {
    let radius = stream.range(40.0, 70.0);
    let hollow = Mound::new(stream, radius);
    let outline = Field::random(stream, Grain::new(22.0, 4));
    let (steps, depth) = (stream.range(4.0, 7.0), stream.range(0.2, 0.4));
    for &index in pixels {
        let reach = hollow.reach(position(index)) + 0.12 * outline.at(index);
        let share = 0.3 + 0.2 * outline.at(index);
        let surface = Surface::of(material).with(Material::DarkSoil, share);
        ground.set(index, surface.shaded(terrace(reach, steps, depth)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_is_large_enough_to_be_a_label_and_is_not_everything() {
        for key in 0..30 {
            let mut ground = Ground::new();
            dump(&mut ground, &mut Stream::new(1, key, Purpose::Land));
            let pixels = ground.codes().iter().filter(|&&c| c == 132).count();
            assert!((AREA / 25..AREA * 2 / 3).contains(&pixels), "{pixels}");
        }
    }
}
