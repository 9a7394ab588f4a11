//! How an ingest goes, on stderr.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chipmill_ingest::Progress;
use chipmill_schemas::ingest::Defect;

use super::line;
use crate::progress::Meter;

/// Defects that get a line of their own; the summary lists all.
const LINES: u64 = 20;

/// How often the text behind the count is made anew.
const RENEWED: Duration = Duration::from_millis(250);

pub(super) struct Shown {
    meter: Meter,
    seen: Mutex<Seen>,
}

struct Seen {
    stage: String,
    began: Instant,
    renewed: Instant,
    bytes: u64,
    defects: u64,
}

impl Shown {
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            meter: Meter::new("patches"),
            seen: Mutex::new(Seen {
                stage: String::new(),
                began: now,
                renewed: now,
                bytes: 0,
                defects: 0,
            }),
        }
    }

    pub(super) fn finish(&self) {
        self.meter.finish();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Such as `work, 381 MB/s, 2 quarantined`.
    fn text(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
        let megabytes = self.bytes as f64 / 1e6 / self.began.elapsed().as_secs_f64();
        let mut text = self.stage.clone();
        if self.bytes > 0 {
            text += &format!(", {megabytes:.0} MB/s");
        }
        if self.defects > 0 {
            text += &format!(", {} quarantined", self.defects);
        }
        text
    }
}

impl Progress for Shown {
    fn stage(&self, name: &str) {
        let mut seen = self.seen();
        name.clone_into(&mut seen.stage);
        (seen.began, seen.bytes) = (Instant::now(), 0);
        self.meter.message(seen.text());
    }

    fn total(&self, patches: Option<u64>) {
        self.meter.total(patches);
    }

    fn advance(&self, patches: u64, bytes: u64) {
        let mut seen = self.seen();
        seen.bytes += bytes;
        if seen.renewed.elapsed() >= RENEWED {
            seen.renewed = Instant::now();
            self.meter.message(seen.text());
        }
        drop(seen);
        self.meter.advance(patches);
    }

    fn defect(&self, defect: &Defect) {
        let mut seen = self.seen();
        seen.defects += 1;
        if seen.defects <= LINES {
            self.meter.line(&format!("quarantined {}", line(defect)));
        } else if seen.defects == LINES + 1 {
            self.meter
                .line("more are quarantined; the summary lists them (--json: all)");
        }
    }
}
