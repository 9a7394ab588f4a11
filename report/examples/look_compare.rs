//! Writes reports of made-up comparisons, to look at: `look_compare FOLDER`.

use std::path::PathBuf;

use chipmill_report::compare::write_comparison;

#[path = "../tests/made/mod.rs"]
#[expect(dead_code, reason = "shared with the tests")]
mod made;

#[path = "../tests/compared/mod.rs"]
mod compared;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = std::env::args_os()
        .nth(1)
        .ok_or("usage: look_compare FOLDER")?
        .into();
    let experiment = compared::experiment()?;
    let complete = folder.join("complete");
    compared::write_complete(&complete, &experiment)?;
    compared::write_extras(&complete)?;
    let partial = folder.join("partial");
    compared::write_partial(&partial, &experiment)?;
    let none = folder.join("none");
    compared::write_experiment(&none, &experiment)?;
    for out in [complete, partial, none] {
        let (path, report) = write_comparison(&out)?;
        println!("{}", path.display());
        report.sentences.iter().for_each(|s| println!("  {s}"));
        report.remarks.iter().for_each(|r| println!("  ! {r}"));
    }
    Ok(())
}
