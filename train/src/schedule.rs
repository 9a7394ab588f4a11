//! The learning rate as a pure function of the step.

use std::f64::consts::PI;

use chipmill_schemas::config::{PretrainConfig, ScheduleConfig, ScheduleKind};

/// The learning rate of every step of a run.
///
/// With `W` warm-up steps, `N` steps in all and peak `p`, `warmup_cosine` gives step `t` (from 1)
/// `p t / W` up to `t = W` and `p (1 + cos(pi (t - W) / (N - W))) / 2` after it: `p` at `t = W`, 0
/// at `t = N`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    kind: ScheduleKind,
    warmup_steps: u64,
    max_steps: u64,
    peak: f64,
}

impl Schedule {
    /// A schedule over `max_steps` steps with the given peak.
    #[must_use]
    pub const fn new(config: ScheduleConfig, max_steps: u64, peak: f64) -> Self {
        Self {
            kind: config.kind,
            warmup_steps: config.warmup_steps,
            max_steps,
            peak,
        }
    }

    /// The schedule of a run.
    #[must_use]
    pub const fn of(config: &PretrainConfig) -> Self {
        Self::new(
            config.schedule,
            config.max_steps,
            config.optimizer.learning_rate,
        )
    }

    /// Learning rate of step `step`, counted from 1. Steps after the last keep the last's.
    #[must_use]
    pub fn learning_rate(&self, step: u64) -> f64 {
        match self.kind {
            ScheduleKind::Constant => self.peak,
            ScheduleKind::WarmupCosine if step <= self.warmup_steps => {
                self.peak * step as f64 / self.warmup_steps as f64
            }
            ScheduleKind::WarmupCosine => {
                let done = step.min(self.max_steps).saturating_sub(self.warmup_steps) as f64;
                let all = self.max_steps.saturating_sub(self.warmup_steps).max(1) as f64;
                self.peak * 0.5 * (1.0 + libm::cos(PI * done / all))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(warmup_steps: u64, max_steps: u64) -> Schedule {
        let kind = ScheduleKind::WarmupCosine;
        Schedule::new(ScheduleConfig { kind, warmup_steps }, max_steps, 0.5)
    }

    #[test]
    fn a_constant_schedule_is_constant() {
        let schedule = Schedule::new(ScheduleConfig::default(), 10, 1e-3);
        assert!((0..20).all(|t| schedule.learning_rate(t) == 1e-3));
    }

    #[test]
    fn warm_up_is_linear_and_the_cosine_falls_from_the_peak_to_zero() {
        let schedule = cosine(4, 12);
        let rates: Vec<f64> = (1..=12).map(|t| schedule.learning_rate(t)).collect();
        assert_eq!(rates[..4], [0.125, 0.25, 0.375, 0.5]);
        assert!(rates[3..].windows(2).all(|w| w[0] > w[1]));
        assert!((rates[7] - 0.25).abs() < 1e-15 && rates[11].abs() < 1e-15);
    }

    #[test]
    fn no_warm_up_and_a_warm_up_of_the_whole_run_are_finite() {
        assert!(cosine(0, 5).learning_rate(1) < 0.5);
        assert_eq!(cosine(5, 5).learning_rate(5), 0.5);
        assert!(cosine(9, 5).learning_rate(5) < 0.5);
        assert!(cosine(0, 5).learning_rate(99).abs() < 1e-15);
    }
}
