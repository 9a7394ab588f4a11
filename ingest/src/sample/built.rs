//! Built-up land: streets around blocks of houses, halls and gardens.

use super::ground::{Ground, Surface};
use super::noise::{Field, Frame, Grain, floor, position, smoothstep};
use super::random::{Purpose, Stream, hash, unit_of};
use super::spectra::Material;

/// Paints a quarter of a town. `spacing` is the distance of its streets in pixels.
pub(super) fn quarter(
    ground: &mut Ground,
    stream: &mut Stream,
    pixels: &[usize],
    spacing: f32,
    roofs: &[(Material, f32)],
    gardens: f32,
) {
    let frame = Frame::any(stream);
    let bend = Field::random(stream, Grain::new(60.0, 2));
    let bending = stream.range(0.0, 5.0);
    let size = (
        spacing * stream.range(0.8, 1.3),
        spacing * stream.range(1.0, 1.8),
    );
    let lots = (spacing / 4.5).max(1.6);
    let key = stream.bits();
    for &index in pixels {
        let (x, y) = position(index);
        let (u, v) = frame.local((x + bending * bend.at(index), y));
        let street = to_line(u, size.0).min(to_line(v, size.1));
        let lot = lot_key(key, u / lots, v / (lots * 1.2));
        ground.set(index, on_lot(lot, roofs, gardens));
        ground.cover(
            index,
            Material::Asphalt,
            0.85 * (1.0 - smoothstep(0.3, 1.2, street)),
        );
    }
}

fn to_line(x: f32, distance: f32) -> f32 {
    let along = (x / distance).rem_euclid(1.0);
    along.min(1.0 - along) * distance
}

fn lot_key(key: u64, x: f32, y: f32) -> u64 {
    let row = hash(key, u64::from(floor(y).cast_unsigned()));
    hash(row, u64::from(floor(x).cast_unsigned()))
}

fn on_lot(lot: u64, roofs: &[(Material, f32)], gardens: f32) -> Surface {
    let mut draws = Stream::new(lot, 0, Purpose::Land);
    let shade = draws.range(0.7, 1.3);
    if unit_of(hash(lot, 5)) < gardens {
        let share = draws.unit();
        return Surface::of(Material::Grass)
            .with(Material::Broadleaf, share)
            .shaded(shade);
    }
    let roof = draws.weighted(roofs).unwrap_or(Material::Concrete);
    Surface::of(roof)
        .with(Material::Grass, 0.4 * draws.unit() * gardens)
        .shaded(shade)
}
