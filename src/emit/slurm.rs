//! A job array for Slurm: one bash script that submits itself.

use std::fmt::Write;

use super::shell::{quote, quote_all};
use super::{Common, Steps, heading, plain};

/// Print a bash script for Slurm; nothing is submitted. `bash FILE` submits a job array, one index a task,
/// and a job that completes the work when all indices have ended well. Submitting it again, or one index of
/// it, harms nothing: what is finished is no work.
///
/// Exit codes 75, 130 and 143 (try again, stopped) put a task back into the queue; a lost node and
/// preemption do so by Slurm's --requeue; every other code is final. Before the time is up, chipmill is
/// told to finish its unit, or to save a checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill ingest emit slurm --store /shared/ben.zarr --partition cpu --time 00:30:00 > ingest.slurm\n  \
    bash ingest.slurm                      submits the units, and finalize behind them\n  \
    sbatch --array=17 ingest.slurm         one unit again\n\n\
    docs/cluster.md goes through it line by line.")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    /// The partition.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    partition: Option<String>,

    /// The account.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    account: Option<String>,

    /// Time limit of a task, as Slurm writes it.
    #[arg(long, value_name = "[D-]HH:MM:SS", default_value = "01:00:00", value_parser = plain)]
    time: String,

    /// Memory of a task, as Slurm writes it.
    #[arg(long, value_name = "SIZE", default_value = "4G", value_parser = plain)]
    memory: String,

    /// Seconds before the time limit at which chipmill is told to come to an end.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=65535))]
    grace: u64,

    /// Line of bash to run before chipmill, as it stands, such as `module load gdal`; may be given several
    /// times.
    #[arg(long, value_name = "LINE")]
    setup: Vec<String>,
}

/// The script: a head for sbatch, and one body for its three parts.
pub(super) fn script(args: &Args, steps: &Steps) -> anyhow::Result<String> {
    let mut text = head(args, steps)?;
    let chipmill = quote_all(&args.common.words()?);
    let values = [
        ("@NAME@", args.common.name(steps)),
        ("@TRIES@", args.common.tries.to_string()),
        (
            "@SETUP@",
            args.setup
                .iter()
                .map(|line| format!("    {line}\n"))
                .collect(),
        ),
        ("@WORK@", format!("{chipmill} {}", quote_all(&steps.work))),
        (
            "@FINALIZE@",
            format!("{chipmill} {}", quote_all(&steps.finalize)),
        ),
    ];
    text += &fill(BODY, &values);
    Ok(text)
}

/// Puts values in the place of marks, in one pass: a value may look like a mark.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = template;
    let first = |rest: &str| {
        let found = values
            .iter()
            .filter_map(|(mark, value)| Some((rest.find(mark)?, mark, value)));
        found
            .min_by_key(|(at, ..)| *at)
            .map(|(at, mark, value)| (at, mark.len(), value))
    };
    while let Some((at, length, value)) = first(rest) {
        text += &rest[..at];
        text += value;
        rest = &rest[at + length..];
    }
    text + rest
}

fn head(args: &Args, steps: &Steps) -> anyhow::Result<String> {
    anyhow::ensure!(
        steps.tasks > 0,
        "there is nothing to do: the plan has no tasks"
    );
    let Common {
        at_most,
        cpus,
        gpus,
        ..
    } = &args.common;
    let throttle = at_most.map_or_else(String::new, |n| format!("%{n}"));
    let mut text = format!(
        "#!/usr/bin/env bash\n# {}\n{TEACHING}",
        quote_in_comment(&heading(steps, "tasks, then finalize"))
    );
    let mut option = |name: &str, value: &str| writeln!(text, "#SBATCH --{name}={value}");
    option("job-name", &args.common.name(steps))?;
    option("array", &format!("0-{}{throttle}", steps.tasks - 1))?;
    for (name, value) in [("partition", &args.partition), ("account", &args.account)] {
        if let Some(value) = value {
            option(name, value)?;
        }
    }
    option("time", &args.time)?;
    option("mem", &args.memory)?;
    option("cpus-per-task", &cpus.to_string())?;
    if *gpus > 0 {
        option("gpus", &gpus.to_string())?;
    }
    option("signal", &format!("B:USR1@{}", args.grace))?;
    option("open-mode", "append")?;
    text += "#SBATCH --requeue\n";
    Ok(text)
}

/// Text that cannot leave its line.
fn quote_in_comment(text: &str) -> String {
    if text.chars().any(super::shell::is_unseen) {
        quote(text)
    } else {
        text.to_owned()
    }
}

const TEACHING: &str = "#
#   bash THIS-FILE               submits the array, and finalize behind it
#   sbatch THIS-FILE             submits the array alone
#   sbatch --array=17 THIS-FILE  does one task again: what is finished is no work
#   squeue --me                  shows how it goes; slurm-*.out is what the tasks say
#
";

const BODY: &str = r#"set -o pipefail

work() {
    run @WORK@ "$1"
}

finalize() {
    run @FINALIZE@
}

setup() {
    :
@SETUP@}

# Slurm sends USR1 here before the time is up: chipmill finishes its unit or saves a checkpoint.
# TERM (preemption, scancel) reaches chipmill by itself, and Slurm decides what becomes of the task.
run() {
    signalled=0 ended=0
    "$@" &
    child=$!
    trap 'signalled=1; kill -TERM "$child" 2>/dev/null' USR1
    trap 'signalled=1 ended=1' TERM INT
    wait "$child"
    code=$?
    while [ "$signalled" = 1 ]; do
        signalled=0
        wait "$child" 2>/dev/null
        again=$?
        [ "$again" = 127 ] || code=$again
    done
    return "$code"
}

# 75, 130 and 143 may be tried again, a bounded number of times; every other code is final.
try_again() {
    case $1 in 75 | 130 | 143) ;; *) return 1 ;; esac
    [ "$ended" = 0 ] || return 1
    [ "$((${SLURM_RESTART_COUNT:-0} + 1))" -lt @TRIES@ ] || return 1
    task=${SLURM_ARRAY_JOB_ID:-${SLURM_JOB_ID:-}}${SLURM_ARRAY_TASK_ID:+_$SLURM_ARRAY_TASK_ID}
    echo "exit code $1: putting task $task back into the queue" >&2
    scontrol requeue "$task"
}

# The job that completes the work keeps its name apart, and is an array of one.
submit() {
    array=$(sbatch --parsable "$0") || exit
    sbatch --parsable --dependency="afterok:${array%%;*}" --kill-on-invalid-dep=yes \
        --array=0 --job-name=@NAME@-finalize "$0" finalize >/dev/null || exit
    echo "array job ${array%%;*} is submitted, and finalize behind it"
}

ended=0
if [ "${1:-}" = finalize ]; then
    setup && finalize
elif [ -n "${SLURM_ARRAY_TASK_ID:-}" ]; then
    setup && work "$SLURM_ARRAY_TASK_ID"
else
    submit
fi
code=$?
try_again "$code"
exit "$code"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_looks_like_a_mark_stays_as_it_is() {
        let values = [("@A@", "@B@ @A@".to_owned()), ("@B@", "b".to_owned())];
        assert_eq!(fill("<@A@> @B@ @C@", &values), "<@B@ @A@> b @C@");
    }
}
