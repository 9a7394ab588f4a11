//! Pages of neighbouring rows, mixed within a window: an order for disks that seek slowly.
//!
//! The rows are cut into pages of `page_rows` consecutive ones (a selection gives rows as they lie in
//! the store). Every epoch lays the pages end to end in an order of its own, and shuffles the rows
//! within each window of as many positions as `window_pages` pages have. Reading then stays within
//! `window_pages` small regions of the store. They are announced one window ahead, page by page
//! ([`PagedOrder::announce`]), so that the system can load each in one piece into its file cache, which
//! should have room for two windows.
//!
//! What it costs is mixing: see [`Pages::expected_mixing`].

use std::ops::Range;

use super::{PAGES, Sampler, WINDOWS, shuffle};

/// Size of pages and of the window that they are mixed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pages {
    /// Consecutive rows in a page; the last page may have fewer. 0 counts as 1.
    pub page_rows: u32,
    /// Pages whose rows are mixed. 0 counts as 1.
    pub window_pages: u32,
}

impl Pages {
    pub(super) fn page_rows(self) -> usize {
        self.page_rows.max(1) as usize
    }

    /// Rows in a window.
    #[must_use]
    pub fn window_rows(self) -> usize {
        self.page_rows() * self.window_pages.max(1) as usize
    }

    /// Pairs of one shard in a batch, relative to a uniform shuffle, to be expected with batches that
    /// are not larger than the window: 1 is a uniform shuffle's, larger is worse.
    ///
    /// Two positions of a window of `w` rows hold one page of `p` rows with probability
    /// `(p - 1) / (w - 1)`, and then one shard of `s`; else they hold two of the `n / p` pages, and one
    /// shard with probability `(s / p - 1) / (n / p - 1)`. (Of a page larger than a shard, two rows are
    /// of one shard with probability `(s - 1) / (p - 1)`.) A uniform shuffle has `(s - 1) / (n - 1)`.
    /// Exact where the smaller of page and shard divides the larger, and windows divide the rows.
    #[must_use]
    pub fn expected_mixing(self, rows: usize, shard_rows: usize) -> f64 {
        let share = |part: f64, whole: f64| ((part - 1.0) / (whole - 1.0)).clamp(0.0, 1.0);
        let (n, s) = (rows as f64, shard_rows as f64);
        let (p, w) = (self.page_rows() as f64, self.window_rows() as f64);
        let one_page = share(p, w.min(n));
        let one_shard = if p <= s {
            one_page + (1.0 - one_page) * share(s / p, n / p)
        } else {
            one_page * share(s, p)
        };
        one_shard / share(s, n)
    }
}

/// The order of pages, and which window's rows are held.
#[derive(Debug, Default)]
pub(super) struct PagedOrder {
    pages: Vec<u32>,
    /// Place of the last page, and by how many rows it is shorter than the others.
    short: (usize, usize),
    window: Option<usize>,
    /// Positions before this one have been announced.
    announced: usize,
}

impl PagedOrder {
    /// Lays the pages of an epoch.
    pub(super) fn begin(&mut self, sampler: &Sampler, pages: Pages, epoch: u64) {
        let rows = sampler.rows.len();
        let count = rows.div_ceil(pages.page_rows());
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.pages.clear();
        self.pages.reserve_exact(count as usize);
        self.pages.extend(0..count);
        shuffle(&mut self.pages, &mut sampler.stream(epoch, [PAGES, 0, 0]));
        let place = self.pages.iter().position(|&page| page + 1 == count);
        let missing = count as usize * pages.page_rows() - rows;
        self.short = (place.unwrap_or(0), missing);
        self.window = None;
        self.announced = 0;
    }

    /// Appends the rows at these positions of this rank, window by window; `held` are the rows of the
    /// window that was looked at last.
    pub(super) fn append(
        &mut self,
        sampler: &Sampler,
        pages: Pages,
        epoch: u64,
        positions: Range<usize>,
        held: &mut Vec<u32>,
        into: &mut Vec<u32>,
    ) {
        let window_rows = pages.window_rows();
        let mut next = positions.start;
        while next < positions.end {
            let window = next / window_rows;
            let start = window * window_rows;
            let end = (start + window_rows).min(sampler.rows_per_epoch());
            if self.window != Some(window) {
                self.mix(sampler, pages, epoch, (window, start..end), held);
            }
            let until = positions.end.min(end);
            into.extend_from_slice(&held[next - start..until - start]);
            next = until;
        }
    }

    /// Appends to `into` the rows that will be read until one window after `until`, as ranges that are
    /// each on one page; every row is announced once an epoch, unless reading starts in its middle.
    pub(super) fn announce(
        &mut self,
        sampler: &Sampler,
        pages: Pages,
        positions: &Range<usize>,
        into: &mut Vec<Range<u32>>,
    ) {
        let first = sampler.first_position();
        // A run that goes on in the middle needs the window that it goes on in.
        let window = positions.start - positions.start % pages.window_rows();
        let from = self.announced.max(window);
        let until = (positions.end + pages.window_rows()).min(sampler.rows_per_epoch());
        for position in from..until {
            let place = self.place(pages, first + position);
            let row = sampler.rows[place];
            let same_page = !place.is_multiple_of(pages.page_rows());
            match into.last_mut() {
                Some(last) if last.end == row && same_page => last.end += 1,
                _ => into.push(row..row + 1),
            }
        }
        self.announced = self.announced.max(until);
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pages.capacity()
    }

    fn mix(
        &mut self,
        sampler: &Sampler,
        pages: Pages,
        epoch: u64,
        (window, positions): (usize, Range<usize>),
        held: &mut Vec<u32>,
    ) {
        let first = sampler.first_position();
        held.clear();
        held.reserve_exact(pages.window_rows().min(sampler.rows_per_epoch()));
        held.extend(positions.map(|p| sampler.rows[self.place(pages, first + p)]));
        let number = u32::try_from(window).unwrap_or(u32::MAX);
        let rank = u32::try_from(sampler.rank).unwrap_or(u32::MAX);
        shuffle(held, &mut sampler.stream(epoch, [WINDOWS, number, rank]));
        self.window = Some(window);
    }

    /// Where the row at a position of the laid pages stands among the given rows.
    fn place(&self, pages: Pages, position: usize) -> usize {
        let rows = pages.page_rows();
        let (short, missing) = self.short;
        let before = position < (short + 1) * rows - missing;
        // Behind the short page everything stands as many places earlier as rows are missing in it.
        let position = if before { position } else { position + missing };
        self.pages[position / rows] as usize * rows + position % rows
    }
}
