//! What an experiment must satisfy, said before the first run and not after the last.

use std::collections::BTreeSet;

use super::{
    Endpoint, Expectation, ExperimentConfig, Family, PlannedRun, Prediction, ProbeClassifier,
    seeds_needed, smallest_p,
};
use crate::config::{ConfigError, resolve};
use crate::nearest;
use crate::probe::ProbeConfig;

fn bad(key: impl Into<String>, message: impl Into<String>) -> ConfigError {
    ConfigError::BadValue {
        key: key.into(),
        message: message.into(),
    }
}

impl ExperimentConfig {
    /// Checks names, ranges, every run's configuration (when the base is in place), and that the seeds
    /// can resolve the comparisons listed.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key, what was found and what was expected.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.name.trim().is_empty() || self.question.trim().is_empty() {
            return Err(bad("name, question", "expected a text"));
        }
        self.check_seeds()?;
        self.check_names()?;
        self.check_statistics()?;
        self.check_probe()?;
        self.check_endpoints()?;
        for family in &self.families {
            self.check_comparisons(family)?;
        }
        for (number, prediction) in (1..).zip(&self.predictions) {
            self.check_prediction(&format!("prediction {number}"), prediction)?;
        }
        self.check_gradients()?;
        if self.base_file().is_none() {
            self.check_runs()?;
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), ConfigError> {
        let arms: Vec<&str> = self.arms.iter().map(|a| a.name.as_str()).collect();
        let families: Vec<&str> = self.families.iter().map(|f| f.name.as_str()).collect();
        check_list("arm", &arms)?;
        check_list("family", &families)?;
        for family in &self.families {
            for name in &family.arms {
                let key = format!("family.{}.arms", family.name);
                known(&key, name, &arms)?;
            }
        }
        let mut folders = BTreeSet::new();
        for run in self.runs() {
            let name = run.name();
            if !folders.insert(name.clone()) {
                let message = format!("two runs would have the folder `{name}`; rename one arm");
                return Err(bad("family, arm", message));
            }
        }
        Ok(())
    }

    fn check_seeds(&self) -> Result<(), ConfigError> {
        let different: BTreeSet<u64> = self.seeds.iter().copied().collect();
        match (self.seeds.len(), different.len()) {
            (0, _) => Err(bad("seeds", "is empty, expected one seed or more")),
            (all, some) if some < all => Err(bad("seeds", "names a seed twice")),
            _ => Ok(()),
        }
    }

    fn check_statistics(&self) -> Result<(), ConfigError> {
        let statistics = &self.statistics;
        if !(statistics.alpha > 0.0 && statistics.alpha < 1.0) {
            let message = format!("is {}, expected a number in 0..1", statistics.alpha);
            return Err(bad("statistics.alpha", message));
        }
        if statistics.resamples < 1_000 {
            let message = format!("is {}, expected 1000 or more", statistics.resamples);
            return Err(bad("statistics.resamples", message));
        }
        Ok(())
    }

    fn check_probe(&self) -> Result<(), ConfigError> {
        let probe = &self.probe;
        match (&probe.task, probe.labels) {
            (Some(_), Some(_)) => {
                return Err(bad("probe", "has both `task` and `labels`, expected one"));
            }
            (None, None) => {
                return Err(bad(
                    "probe",
                    "has neither `task` nor `labels`, expected one",
                ));
            }
            (None, Some(labels)) if labels != 19 && labels != 43 => {
                let message = format!("is {labels}, expected 19 or 43");
                return Err(bad("probe.labels", message));
            }
            _ => {}
        }
        if !probe.classifiers.contains(&ProbeClassifier::Multinomial) {
            return Err(bad(
                "probe.classifiers",
                "lacks `multinomial`, which is always reported",
            ));
        }
        let settings: ProbeConfig = resolve(None, &probe.set)?;
        settings.validate()
    }

    fn check_endpoints(&self) -> Result<(), ConfigError> {
        let share = self.endpoints.early_share;
        if !(share > 0.0 && share <= 1.0) {
            let message = format!("is {share}, expected a number above 0 and up to 1");
            return Err(bad("endpoints.early_share", message));
        }
        let mut seen = BTreeSet::new();
        for endpoint in self.endpoints.all() {
            if !seen.insert(endpoint) {
                let message = format!("names `{}` twice", endpoint.name());
                return Err(bad("endpoints", message));
            }
            self.check_endpoint("endpoints", endpoint)?;
        }
        Ok(())
    }

    /// Whether the probe gives that number.
    fn check_endpoint(&self, key: &str, endpoint: Endpoint) -> Result<(), ConfigError> {
        let name = endpoint.name();
        let single = self.probe.is_single_label();
        if endpoint.wants_single_label().is_some_and(|s| s != single) {
            let wanted = if single { "`labels`" } else { "a `task`" };
            return Err(bad(key, format!("`{name}` needs {wanted} in [probe]")));
        }
        let needs = match endpoint {
            Endpoint::ProbeOneVsRest => Some((ProbeClassifier::OneVsRest, "one_vs_rest")),
            Endpoint::ProbeKnn => Some((ProbeClassifier::Knn, "knn")),
            _ => None,
        };
        if let Some((classifier, word)) = needs
            && !self.probe.classifiers.contains(&classifier)
        {
            let message = format!("`{name}` needs `{word}` among probe.classifiers");
            return Err(bad(key, message));
        }
        let never = |f: &Family| self.probe_every(f) == 0;
        if endpoint == Endpoint::EarlyArea && self.families.iter().any(never) {
            let message = format!("`{name}` needs probes during training: set probe.every_steps");
            return Err(bad(key, message));
        }
        Ok(())
    }

    fn check_comparisons(&self, family: &Family) -> Result<(), ConfigError> {
        let arms: Vec<&str> = self.arms_of(family).map(|a| a.name.as_str()).collect();
        let key = format!("family.{}.comparison", family.name);
        let mut seen = BTreeSet::new();
        for comparison in &family.comparisons {
            let (a, b) = (comparison.a.as_str(), comparison.b.as_str());
            known(&key, a, &arms)?;
            known(&key, b, &arms)?;
            if a == b {
                return Err(bad(key, format!("compares `{a}` with itself")));
            }
            if !seen.insert((a.min(b), a.max(b))) {
                return Err(bad(key, format!("lists `{a}` and `{b}` twice")));
            }
        }
        self.check_power(family)
    }

    /// Refuses what no outcome could resolve: with too few seeds even differences that agree in every
    /// sign stay above Holm's first step.
    fn check_power(&self, family: &Family) -> Result<(), ConfigError> {
        let (count, seeds) = (family.comparisons.len(), self.seeds.len());
        if !family.verdicts || count == 0 {
            return Ok(());
        }
        let alpha = self.statistics.alpha;
        let resamples = self.statistics.resamples;
        let asked = alpha / (count as f64);
        let smallest = smallest_p(seeds, resamples);
        if smallest <= asked {
            return Ok(());
        }
        let most = (0..count)
            .rev()
            .find(|&m| m == 0 || smallest <= alpha / (m as f64))
            .unwrap_or(0);
        let message = format!(
            "lists {count} comparison(s), which {seeds} seed(s) cannot resolve: the smallest two-sided \
             p of the sign-flip test is {smallest:.4}, and Holm's first step asks for {alpha}/{count} = \
             {asked:.4}; expected {} seeds or more, or {most} comparison(s), or `verdicts = false` in \
             the family for intervals alone",
            seeds_needed(count, alpha)
        );
        Err(bad(format!("family.{}", family.name), message))
    }

    fn check_prediction(&self, key: &str, prediction: &Prediction) -> Result<(), ConfigError> {
        let families: Vec<&str> = self.families.iter().map(|f| f.name.as_str()).collect();
        let named = std::iter::once(&prediction.family).chain(&prediction.than_in);
        for name in named {
            known(&format!("{key}, family"), name, &families)?;
            let arms: Vec<&str> = self
                .family(name)
                .into_iter()
                .flat_map(|f| self.arms_of(f))
                .map(|a| a.name.as_str())
                .collect();
            known(&format!("{key}, a"), &prediction.a, &arms)?;
            known(&format!("{key}, b"), &prediction.b, &arms)?;
        }
        if let Some(endpoint) = prediction.endpoint {
            if !self.endpoints.all().any(|e| e == endpoint) {
                let message = format!("`{}` is not among [endpoints]", endpoint.name());
                return Err(bad(format!("{key}, endpoint"), message));
            }
            self.check_endpoint(key, endpoint)?;
        }
        let within_key = format!("{key}, within");
        match (prediction.expect, prediction.within) {
            (Expectation::Level, None) => Err(bad(
                within_key,
                "is missing: `level` needs to know how far apart is still level",
            )),
            (Expectation::Level, Some(within)) if !(within.is_finite() && within > 0.0) => {
                let message = format!("is {within}, expected a number above 0");
                Err(bad(within_key, message))
            }
            (Expectation::Above | Expectation::Below, Some(_)) => {
                Err(bad(within_key, "goes with `expect = \"level\"` only"))
            }
            _ => Ok(()),
        }
    }

    fn check_gradients(&self) -> Result<(), ConfigError> {
        let Some(study) = &self.gradients else {
            return Ok(());
        };
        let good = |t: &f32| t.is_finite() && *t > 0.0;
        if study.temperatures.is_empty() || !study.temperatures.iter().all(good) {
            let message = "expected one temperature or more, each above 0";
            return Err(bad("gradients.temperatures", message));
        }
        if study.batches == 0 {
            return Err(bad("gradients.batches", "is 0, expected 1 or more"));
        }
        Ok(())
    }

    /// Every configuration resolves, and one family has one number of steps, so that its curves and
    /// last checkpoints can be compared.
    fn check_runs(&self) -> Result<(), ConfigError> {
        let mut steps: Vec<(&str, u64)> = Vec::new();
        for run in self.runs() {
            let config = self.run_config(&run).map_err(|e| {
                let message = e.to_string();
                bad(format!("run `{}`", run.name()), message)
            })?;
            self.check_early_area(&run, config.max_steps)?;
            let family = run.family.name.as_str();
            match steps.iter().find(|(name, _)| *name == family) {
                Some(&(_, others)) if others != config.max_steps => {
                    let message = format!(
                        "has max_steps {} where others of its family have {others}",
                        config.max_steps
                    );
                    return Err(bad(format!("run `{}`", run.name()), message));
                }
                Some(_) => {}
                None => steps.push((family, config.max_steps)),
            }
        }
        Ok(())
    }

    /// The area needs a probe at, or after, the end of its stretch, and one before.
    fn check_early_area(&self, run: &PlannedRun<'_>, max_steps: u64) -> Result<(), ConfigError> {
        let wanted = self.endpoints.all().any(|e| e == Endpoint::EarlyArea);
        let stretch = self.endpoints.early_share * (max_steps as f64);
        let every = self.probe_every(run.family);
        if wanted && !run.arm.random_encoder && (every as f64) > stretch {
            let message = format!(
                "probes every {every} steps, expected {stretch:.0} or fewer: `early_area` is over the \
                 first {} of {max_steps} steps",
                self.endpoints.early_share
            );
            return Err(bad(format!("family.{}", run.family.name), message));
        }
        Ok(())
    }
}

fn check_list(key: &str, names: &[&str]) -> Result<(), ConfigError> {
    if names.is_empty() {
        return Err(bad(
            key,
            format!("is missing, expected one [[{key}]] or more"),
        ));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name.starts_with('.') {
            let message =
                format!("is named `{name}`, expected small letters, digits, `.`, `_`, `-`");
            return Err(bad(key, message));
        }
        if !seen.insert(name) {
            return Err(bad(key, format!("`{name}` is there twice")));
        }
    }
    Ok(())
}

fn known(key: &str, name: &str, names: &[&str]) -> Result<(), ConfigError> {
    if names.contains(&name) {
        return Ok(());
    }
    let near = nearest(name, names.iter().copied()).unwrap_or_default();
    let message = format!(
        "`{name}` is not known; did you mean `{near}`? (known here: {})",
        names.join(", ")
    );
    Err(bad(key, message))
}

#[cfg(test)]
mod tests;
