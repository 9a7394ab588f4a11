//! Landscapes: which land-cover classes lie together, and the zones that they fill.

use super::cover;
use super::ground::Ground;
use super::lines;
use super::noise::{AREA, Field, Grain, position};
use super::random::Stream;
use super::relief::Sun;

/// A kind of country, as a mixture of land-cover classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landscape {
    Lowland,
    Alpine,
    Boreal,
    Mediterranean,
    Coast,
    Town,
    Wetland,
}

impl Landscape {
    /// CLC codes with their weights.
    #[rustfmt::skip]
    const fn classes(self) -> &'static [(u16, f32)] {
        match self {
            Self::Lowland => &[(211, 5.0), (231, 2.5), (242, 2.0), (243, 2.0), (311, 1.2), (313, 1.2), (312, 0.6),
                (112, 1.5), (512, 0.4), (222, 0.3), (121, 0.4), (142, 0.3), (131, 0.25), (324, 0.5)],
            Self::Alpine => &[(321, 3.0), (312, 3.0), (333, 1.6), (322, 1.2), (324, 1.2), (313, 1.5), (231, 1.2),
                (512, 0.4), (311, 1.0), (131, 0.15)],
            Self::Boreal => &[(312, 4.0), (313, 3.0), (324, 2.0), (412, 1.2), (512, 2.0), (311, 1.0), (211, 0.8),
                (243, 1.0), (112, 0.4), (322, 0.4)],
            Self::Mediterranean => &[(223, 2.0), (221, 1.5), (244, 2.0), (323, 2.2), (311, 1.2), (212, 1.0), (213, 0.6),
                (242, 1.6), (243, 1.6), (241, 0.6), (222, 0.6), (112, 0.8), (324, 1.4), (211, 1.5), (333, 0.5), (131, 0.25)],
            Self::Coast => &[(523, 4.0), (331, 0.9), (421, 0.8), (422, 0.5), (521, 0.8), (522, 0.8), (423, 0.5),
                (211, 1.2), (231, 1.0), (322, 0.8), (112, 0.8), (123, 0.3), (312, 0.6)],
            Self::Town => &[(112, 4.0), (111, 1.6), (121, 2.0), (141, 0.8), (142, 0.8), (122, 0.5), (211, 1.6),
                (242, 1.2), (133, 0.4), (311, 0.6), (231, 0.6)],
            Self::Wetland => &[(411, 2.2), (412, 1.2), (512, 1.6), (231, 1.6), (311, 1.2), (324, 1.2), (211, 0.8),
                (313, 0.8), (243, 0.8)],
        }
    }

    /// Whether the ground is open country, where any of the sparse classes may lie.
    pub(super) const fn is_open(self) -> bool {
        !matches!(self, Self::Coast | Self::Town | Self::Wetland)
    }

    /// Chance of a river through a patch.
    const fn river(self) -> f32 {
        match self {
            Self::Coast => 0.0,
            Self::Mediterranean | Self::Alpine => 0.1,
            _ => 0.16,
        }
    }
}

/// Classes that v2.0's nomenclature dropped: never alone in a patch, so that every patch has labels
/// in both nomenclatures.
const DROPPED: [u16; 7] = [122, 123, 131, 133, 141, 142, 423];

/// Covers the whole patch with a landscape.
pub(super) fn paint(ground: &mut Ground, stream: &mut Stream, landscape: Landscape, sun: Sun) {
    let classes = landscape.classes();
    let keeps: Vec<_> = classes
        .iter()
        .copied()
        .filter(|c| !DROPPED.contains(&c.0))
        .collect();
    for (nth, pixels) in zones(stream).into_iter().enumerate() {
        let among = if nth == 0 { keeps.as_slice() } else { classes };
        if let Some(code) = stream.weighted(among) {
            cover::paint(ground, stream, code, &pixels, sun);
        }
    }
    if stream.chance(landscape.river()) {
        lines::river(ground, stream);
    }
    for _ in 0..stream.below(4) {
        lines::road(ground, stream);
    }
}

/// Parts the patch into one to four zones, the largest first, with borders from straight to ragged.
fn zones(stream: &mut Stream) -> Vec<Vec<usize>> {
    let count = stream
        .weighted(&[(1, 0.15), (2, 0.3), (3, 0.35), (4, 0.2)])
        .unwrap_or(1);
    let mut site = || (stream.range(-55.0, 55.0), stream.range(-55.0, 55.0));
    let sites: Vec<(f32, f32)> = (0..count).map(|_| site()).collect();
    let warp = stream.range(2.0, 13.0);
    let grain = Grain::new(stream.range(20.0, 45.0), 4);
    let (east, south) = (Field::random(stream, grain), Field::random(stream, grain));
    let mut zones = vec![Vec::new(); count];
    for index in 0..AREA {
        let (x, y) = position(index);
        let (x, y) = (x + warp * east.at(index), y + warp * south.at(index));
        let distance = |(sx, sy): (f32, f32)| (x - sx) * (x - sx) + (y - sy) * (y - sy);
        let nearest = (0..count)
            .min_by(|&a, &b| distance(sites[a]).total_cmp(&distance(sites[b])))
            .unwrap_or(0);
        zones[nearest].push(index);
    }
    zones.sort_by_key(|z| std::cmp::Reverse(z.len()));
    zones
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::random::Purpose;
    use chipmill_schemas::label::CLC_43;

    const ALL: [Landscape; 7] = [
        Landscape::Lowland,
        Landscape::Alpine,
        Landscape::Boreal,
        Landscape::Mediterranean,
        Landscape::Coast,
        Landscape::Town,
        Landscape::Wetland,
    ];

    #[test]
    fn the_dropped_classes_are_those_without_a_counterpart() {
        for code in ALL.iter().flat_map(|l| l.classes()).map(|c| c.0) {
            let class = CLC_43.iter().find(|c| c.code == code).unwrap();
            assert_eq!(
                class.to_19.is_none(),
                DROPPED.contains(&code),
                "{}",
                class.name
            );
        }
    }

    #[test]
    fn every_landscape_gives_labels_in_both_nomenclatures() {
        for (nth, &landscape) in ALL.iter().cycle().take(70).enumerate() {
            let mut stream = Stream::new(1, nth as u64, Purpose::Land);
            let mut ground = Ground::new();
            paint(&mut ground, &mut stream, landscape, Sun::new(2.5, 0.7));
            let labels = ground.labels();
            assert!((1..=6).contains(&labels.count()), "{landscape:?}");
            assert!(labels.to_nineteen().count() >= 1, "{landscape:?}");
        }
    }
}
