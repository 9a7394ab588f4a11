//! The eight ways to lay a square image.

/// Flips and rotations by 90 degrees, as an index map: pixel `[y, x]` of the result is pixel
/// `[y', x']` of the source, where `y` and `x` are first mirrored and then, if `transposed`, swapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Orientation {
    pub(crate) transposed: bool,
    pub(crate) flip_y: bool,
    pub(crate) flip_x: bool,
}

impl Orientation {
    pub(crate) fn flipped_left_right(self) -> Self {
        Self {
            flip_x: !self.flip_x,
            ..self
        }
    }

    pub(crate) fn flipped_up_down(self) -> Self {
        Self {
            flip_y: !self.flip_y,
            ..self
        }
    }

    /// A quarter turn against the clock: the new `[y, x]` is the old `[x, n - 1 - y]`.
    pub(crate) fn turned(self) -> Self {
        Self {
            transposed: !self.transposed,
            flip_y: !self.flip_x,
            flip_x: self.flip_y,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(o: Orientation, image: &[[u8; 3]; 3]) -> [[u8; 3]; 3] {
        let mirror = |i: usize, flip: bool| if flip { 2 - i } else { i };
        let mut out = [[0; 3]; 3];
        for (y, row) in out.iter_mut().enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let (a, b) = (mirror(y, o.flip_y), mirror(x, o.flip_x));
                *value = if o.transposed {
                    image[b][a]
                } else {
                    image[a][b]
                };
            }
        }
        out
    }

    #[test]
    fn steps_add_up_as_if_done_one_by_one() {
        let image = [[1, 2, 3], [4, 5, 6], [7, 8, 9]];
        let turned = [[3, 6, 9], [2, 5, 8], [1, 4, 7]];
        let start = Orientation::default();
        assert_eq!(apply(start, &image), image);
        assert_eq!(apply(start.turned(), &image), turned);
        assert_eq!(start.turned().turned().turned().turned(), start);
        // Every sequence of four steps equals the steps on the pixels.
        for code in 0..81_u32 {
            let (mut fold, mut pixels) = (start, image);
            for place in 0..4 {
                let step = match code / 3_u32.pow(place) % 3 {
                    0 => Orientation::flipped_left_right,
                    1 => Orientation::flipped_up_down,
                    _ => Orientation::turned,
                };
                fold = step(fold);
                pixels = apply(step(start), &pixels);
            }
            assert_eq!(apply(fold, &image), pixels);
        }
    }
}
