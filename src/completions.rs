//! `chipmill completions`

use clap::CommandFactory;

use crate::exit::Outcome;

/// Print shell completions, to be saved where the shell looks for them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: chipmill completions bash > ~/.local/share/bash-completion/completions/chipmill"
)]
pub(crate) struct Args {
    /// The shell.
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<Outcome> {
    let mut text = Vec::new();
    clap_complete::generate(
        args.shell,
        &mut crate::cli::Cli::command(),
        "chipmill",
        &mut text,
    );
    crate::output::result(&String::from_utf8(text)?)?;
    Ok(Outcome::Done)
}
