//! A gray view, which is the same in every band, from its resolutions to memory in one go.

use chipmill_schemas::band::Resolution;

use super::columns::{Columns, MOST_TAPS};
use super::separable::stride;
use crate::augment::stream::{lines_of, rows_of_lines, stream_to_bands};
use crate::element::Element;
use crate::simd::{LANES, Lanes, kernel};

/// A row that an output is made from, and its weight.
type Tap<'a> = (&'a [f32], f32);

/// The sum of several passes, sixteen values after sixteen without a gap from one row to the next.
struct Flow<'a> {
    passes: &'a [Option<Columns<'a>>],
    side: usize,
    row: usize,
    column: usize,
    /// Those of the row.
    taps: [Tap<'a>; Resolution::ALL.len() * MOST_TAPS],
    count: usize,
    offset: f32,
}

impl<'a> Flow<'a> {
    /// `None` where rows do not end with a vector or in its middle, or have too many taps.
    #[inline(always)]
    fn new(passes: &'a [Option<Columns<'a>>], side: usize) -> Option<Self> {
        let mut all = passes.iter().flatten();
        let few_taps = all.all(|pass| pass.y.width <= MOST_TAPS);
        if !few_taps || !side.is_multiple_of(LANES / 2) || side < LANES {
            return None;
        }
        let offset = passes.iter().flatten().find(|pass| !pass.adds);
        let mut flow = Self {
            passes,
            side,
            row: 0,
            column: 0,
            taps: [(&[], 0.0); _],
            count: 0,
            offset: offset.map_or(0.0, |pass| pass.map.offset),
        };
        flow.set_taps();
        Some(flow)
    }

    /// The next sixteen outputs.
    #[inline(always)]
    fn next<L: Lanes>(&mut self, lanes: L) -> L::F {
        let sum = self.sum(lanes);
        self.column += LANES;
        if self.column < self.side {
            return sum;
        }
        self.row += 1;
        self.set_taps();
        if self.column == self.side {
            self.column = 0;
            return sum;
        }
        self.column = 0;
        let begin = self.sum(lanes);
        self.column = LANES / 2;
        lanes.join(sum, begin)
    }

    /// The weighted sum of sixteen values of each row.
    #[inline(always)]
    fn sum<L: Lanes>(&self, lanes: L) -> L::F {
        let mut sum = lanes.splat(self.offset);
        for (row, weight) in &self.taps[..self.count] {
            if let Some(values) = row[self.column..].first_chunk() {
                sum = lanes.mul_add(lanes.load(values), lanes.splat(*weight), sum);
            }
        }
        sum
    }

    /// Those of the row, if there is one.
    #[inline(always)]
    fn set_taps(&mut self) {
        let row = self.row;
        if row == self.side {
            return;
        }
        let most = self.taps.len();
        let mut taps = self.taps.iter_mut();
        for Columns {
            rows, top, y, map, ..
        } in self.passes.iter().flatten()
        {
            let (first, weights) = y.line(row);
            let rows = rows[(first - top) * stride(self.side)..].chunks(stride(self.side));
            for ((row, weight), tap) in rows.zip(weights).zip(taps.by_ref()) {
                *tap = (row, weight * map.gain);
            }
        }
        self.count = most - taps.len();
    }
}

kernel! {
    /// The sum of several passes, streamed to every band of a view, where whole cache lines can be made of few rows: while
    /// some are on their way to memory, the next are made. Else does nothing and says so.
    ///
    /// `memory` holds four rows.
    pub(crate) fn gray_to_view[E: Element](
        lanes,
        passes: &[Option<Columns<'_>>],
        side: usize,
        memory: &mut [f32],
        out: &mut [E],
    ) -> bool {
        let (Some(lines), Some(mut flow)) = (lines_of(out), Flow::new(passes, side)) else {
            return false;
        };
        let together = rows_of_lines::<E>();
        for piece in 0..side / together {
            let memory = &mut memory[..together * side];
            for row in memory.as_chunks_mut().0 {
                lanes.store(flow.next(lanes), row);
            }
            stream_to_bands::<L, E>(lanes, memory, piece, lines, side * side);
        }
        true
    }
}
