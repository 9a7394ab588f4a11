//! Progress on stderr: a bar on a terminal, a plain line every few seconds elsewhere.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

static QUIET: AtomicBool = AtomicBool::new(false);

/// How often a plain line is written where there is no terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Switches all progress off.
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// One line of talk, unless `--quiet`.
pub(crate) fn say(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        output::talk(text);
    }
}

/// A running count of something, with free text behind it.
pub(crate) struct Meter {
    bar: Option<ProgressBar>,
    plain: Mutex<Plain>,
    unit: &'static str,
}

struct Plain {
    done: u64,
    total: Option<u64>,
    message: String,
    /// Where the count stood when it was first told: a resumed run does not begin at nothing.
    first: Option<u64>,
    began: Instant,
    last: Instant,
}

impl Meter {
    /// A meter for `unit`, such as `patches`.
    pub(crate) fn new(unit: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal() && !QUIET.load(Ordering::Relaxed);
        Self {
            bar: terminal.then(|| ProgressBar::new_spinner().with_style(style(false, unit))),
            plain: Mutex::new(Plain {
                done: 0,
                total: None,
                message: String::new(),
                first: None,
                began: Instant::now(),
                last: Instant::now(),
            }),
            unit,
        }
    }

    /// Says how many there will be, where that is known.
    pub(crate) fn total(&self, total: Option<u64>) {
        if let (Some(bar), Some(total)) = (&self.bar, total) {
            bar.set_style(style(true, self.unit));
            bar.set_length(total);
        }
        self.plain().total = total;
    }

    /// Counts on.
    #[cfg(feature = "ingest")]
    pub(crate) fn advance(&self, count: u64) {
        let done = self.plain().done + count;
        self.position(done);
    }

    /// Counts to `done`.
    pub(crate) fn position(&self, done: u64) {
        let mut plain = self.plain();
        plain.done = done;
        plain.first.get_or_insert(done);
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        } else if plain.last.elapsed() >= PLAIN_EVERY {
            plain.last = Instant::now();
            say(&plain.line(self.unit));
        }
    }

    /// Text behind the count.
    pub(crate) fn message(&self, text: String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.clone());
        }
        self.plain().message = text;
    }

    /// A line of its own, above the bar.
    pub(crate) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(text),
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn plain(&self) -> std::sync::MutexGuard<'_, Plain> {
        self.plain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Plain {
    /// Such as `12,288 of 549,488 patches, 2,310/s, 233 s to go  work, 380 MB/s`.
    fn line(&self, unit: &str) -> String {
        let done = output::grouped(self.done);
        let here = self.done - self.first.unwrap_or_default().min(self.done);
        let seconds = self.began.elapsed().as_secs_f64().max(1e-3);
        let rate = Rate {
            count: here,
            seconds,
        };
        let message = &self.message;
        match self.total {
            Some(total) => {
                let left = rate.time_for(total.saturating_sub(self.done));
                let total = output::grouped(total);
                format!("{done} of {total} {unit}, {rate}, {left} to go  {message}")
            }
            None => format!("{done} {unit}, {rate}  {message}"),
        }
    }
}

/// So many in so many seconds.
#[derive(Clone, Copy)]
struct Rate {
    count: u64,
    seconds: f64,
}

impl Rate {
    fn time_for(self, left: u64) -> String {
        if self.count == 0 {
            return "unknown time".to_owned();
        }
        match self.seconds / count(self.count) * count(left) {
            s if s < 120.0 => format!("{s:.0} s"),
            s if s < 7200.0 => format!("{:.0} min", s / 60.0),
            s => format!("{:.1} h", s / 3600.0),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let per_second = count(self.count) / self.seconds;
        if per_second < 10.0 {
            return write!(f, "{per_second:.2}/s");
        }
        let whole = self.count / Duration::from_secs_f64(self.seconds).as_secs().max(1);
        write!(f, "{}/s", output::grouped(whole))
    }
}

/// Counts of what passes a meter are far below 2^53.
const fn count(n: u64) -> f64 {
    n as f64
}

fn style(bounded: bool, unit: &str) -> ProgressStyle {
    let template = if bounded {
        format!("{{bar:24}} {{human_pos}}/{{human_len}} {unit} {{per_sec:.0}} eta {{eta}} {{msg}}")
    } else {
        format!("{{spinner}} {{human_pos}} {unit} {{per_sec:.0}} {{elapsed}} {{msg}}")
    };
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_work_has_a_rate_and_a_time_to_go() {
        let rate = |count, seconds| Rate { count, seconds };
        assert_eq!(rate(3, 10.0).to_string(), "0.30/s");
        assert_eq!(rate(3, 10.0).time_for(60), "3 min");
        assert_eq!(rate(3, 10.0).time_for(30), "100 s");
        assert_eq!(rate(1, 60.0).time_for(600), "10.0 h");
        assert_eq!(rate(0, 5.0).time_for(9), "unknown time");
        assert_eq!(rate(23_100, 10.0).to_string(), "2,310/s");
    }
}
