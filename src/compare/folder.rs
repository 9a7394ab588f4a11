//! The experiment: from its file into the folder of the comparison.

use std::path::Path;

use anyhow::Context;
use chipmill_schemas::config::resolve;
use chipmill_schemas::experiment::ExperimentConfig;

use super::place::Place;

/// Where the experiment is kept, its base configuration in place.
const KEPT: &str = "experiment.toml";

/// Reads an experiment and what it refers to, and checks it.
pub(super) fn read_experiment(path: &Path) -> anyhow::Result<ExperimentConfig> {
    let text = read(path)?;
    let name = path.display().to_string();
    let experiment: ExperimentConfig =
        resolve(Some((&name, &text)), &[]).with_context(|| format!("experiment {name}"))?;
    let experiment = match experiment.base_file() {
        None => experiment,
        Some(base) => {
            let base = path.parent().unwrap_or(Path::new("")).join(base);
            let text = read(&base)?;
            experiment.with_base(&base.display().to_string(), &text)?
        }
    };
    experiment
        .validate()
        .with_context(|| format!("experiment {name}"))?;
    Ok(experiment)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The experiment that is kept there, `None` where there is none.
pub(super) fn kept(place: &Place) -> anyhow::Result<Option<ExperimentConfig>> {
    place.fetch_own(KEPT)?;
    let kept = place.folder().join(KEPT);
    kept.is_file().then(|| read_experiment(&kept)).transpose()
}

/// Makes the folder, or finds that it is this experiment's already; at an address likewise.
pub(super) fn settle(place: &Place, experiment: &ExperimentConfig) -> anyhow::Result<()> {
    let is_shared = place.fetch_own(KEPT)?;
    settle_folder(place.folder(), experiment)?;
    if is_shared {
        return Ok(());
    }
    place.check()?;
    place.give_own(KEPT)?;
    // Of two machines that begin at once, the first one's experiment counts.
    refuse_another(place.folder(), experiment)
}

fn settle_folder(out: &Path, experiment: &ExperimentConfig) -> anyhow::Result<()> {
    let kept = out.join(KEPT);
    if !kept.exists() {
        std::fs::create_dir_all(out.join("runs"))
            .with_context(|| format!("cannot make {}", out.display()))?;
        let text = toml::to_string(experiment).context("the experiment cannot be written")?;
        // Whole or not at all; of two processes that begin at once, both write the same or the check
        // below finds out.
        let part = out.join(format!("{KEPT}.{}.tmp", std::process::id()));
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, &kept))
            .with_context(|| format!("cannot write {}", kept.display()))?;
    }
    refuse_another(out, experiment)
}

fn refuse_another(out: &Path, experiment: &ExperimentConfig) -> anyhow::Result<()> {
    let kept = out.join(KEPT);
    let found = read_experiment(&kept)?;
    anyhow::ensure!(
        found == *experiment,
        "{} is the folder of another experiment, `{}`, or of another form of this one: choose another \
         --out, or compare {} with your file",
        out.display(),
        found.name,
        kept.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn experiment(temperature: f32) -> ExperimentConfig {
        let text = format!(
            r#"
            name = "e"
            question = "Does it?"
            seeds = [0, 1]
            [base.loss]
            temperature = {temperature}
            [probe]
            task = "notes4"
            [[arm]]
            name = "a"
            [[arm]]
            name = "b"
            [[family]]
            name = "f"
            verdicts = false
            comparison = [{{ a = "a", b = "b" }}]
            "#
        );
        resolve(Some(("e.toml", &text)), &[]).unwrap()
    }

    #[test]
    fn a_folder_keeps_its_experiment_and_refuses_another() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let place = Place::new(&out, None).unwrap();
        settle(&place, &experiment(0.1)).unwrap();
        settle(&place, &experiment(0.1)).unwrap();
        let refused = settle(&place, &experiment(1.0)).unwrap_err().to_string();
        assert!(refused.contains("another experiment"), "{refused}");
        let left: Vec<_> = std::fs::read_dir(&out).unwrap().flatten().collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn a_base_file_is_read_from_beside_the_experiment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.toml");
        let text = toml::to_string(&experiment(0.1)).unwrap();
        let (before, after) = text.split_once("[base.loss]\ntemperature = 0.1").unwrap();
        let text = format!("base = \"base.toml\"\n{before}{after}");
        std::fs::write(&path, text).unwrap();
        let missing = read_experiment(&path).unwrap_err().to_string();
        assert!(missing.contains("base.toml"), "{missing}");
        std::fs::write(
            folder.path().join("base.toml"),
            "[loss]\ntemperature = 0.25\n",
        )
        .unwrap();
        let read = read_experiment(&path).unwrap();
        let run = read.runs().next().unwrap();
        assert_eq!(read.run_config(&run).unwrap().loss.temperature, 0.25);
    }
}
