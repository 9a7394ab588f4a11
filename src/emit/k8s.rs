//! Two Jobs for Kubernetes: an indexed one, and a suspended one that completes it.

use std::path::{Path, PathBuf};

use chipmill_store::is_address;

use super::shell::is_unseen;
use super::{Common, Steps, heading, plain};

/// Print two Jobs for Kubernetes (1.29 or newer); nothing is applied. The first is an indexed Job, one index
/// a task; the second, which completes the work, is suspended until all indices are done. Applying them
/// again harms nothing: what is finished is no work.
///
/// Exit codes 75, 130 and 143 are tried again, within bounds for each index; lost and drained nodes are
/// not counted; every other code fails its index at once. SIGTERM lets chipmill finish its unit, or save a
/// checkpoint.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    chipmill ingest emit k8s --store /data/ben.zarr --image registry/chipmill:0.1 \\\n    \
        --volume-claim bigearthnet --mount /data > ingest.yaml\n  \
    kubectl apply -f ingest.yaml\n\n\
    The file's head says what comes next; docs/cluster.md goes through it line by line.")]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,

    /// The image that holds chipmill.
    #[arg(long, value_name = "IMAGE")]
    image: String,

    /// The claim of a volume that many nodes may write at once; needed unless all that they share lies at
    /// addresses, such as s3://.
    #[arg(long, value_name = "CLAIM")]
    volume_claim: Option<String>,

    /// A Secret whose keys are the environment variables that an object store's client reads, such as
    /// `AWS_ACCESS_KEY_ID`.
    #[arg(long, value_name = "SECRET")]
    secret: Option<String>,

    /// Where the volume is mounted; the plan was made under the same path.
    #[arg(long, value_name = "PATH", default_value = "/data")]
    mount: PathBuf,

    /// The namespace.
    #[arg(long, value_name = "NAME", value_parser = plain)]
    namespace: Option<String>,

    /// Memory of a task, as Kubernetes writes it.
    #[arg(long, value_name = "SIZE", default_value = "4Gi", value_parser = plain)]
    memory: String,

    /// Seconds between SIGTERM and the end of a pod that must go.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    grace: u64,
}

pub(super) fn manifests(args: &Args, steps: &Steps) -> anyhow::Result<String> {
    anyhow::ensure!(
        steps.tasks > 0,
        "there is nothing to do: the plan has no tasks"
    );
    let mount = super::absolute(&args.mount)?;
    for path in steps.paths.iter().filter(|path| !is_address(path)) {
        anyhow::ensure!(
            args.volume_claim.is_some(),
            "{} is a folder: name the claim of the volume that holds it (--volume-claim), or plan at an \
             address",
            path.display()
        );
        anyhow::ensure!(
            path.starts_with(Path::new(&mount)),
            "{} is not below --mount {mount}, where the pods have the volume; plan in a pod that mounts \
             it there (docs/cluster.md)",
            path.display()
        );
    }
    let pod = Pod { args, mount };
    Ok([
        teaching(args, steps),
        units(&pod, steps)?,
        "---\n".to_owned(),
        completing(&pod, steps)?,
    ]
    .concat())
}

/// The head: what to type.
fn teaching(args: &Args, steps: &Steps) -> String {
    let seen = |c: char| {
        if is_unseen(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    let heading = heading(steps, "indices, then finalize");
    let title: String = heading.chars().map(seen).collect();
    let name = args.common.name(steps);
    let namespace = args
        .namespace
        .as_ref()
        .map_or_else(String::new, |n| format!(" -n {n}"));
    format!(
        "# {title}\n#\n\
         #   kubectl{namespace} apply -f THIS-FILE\n\
         #   kubectl{namespace} wait --for=condition=Complete --timeout=-1s job/{name}\n\
         #   kubectl{namespace} patch job/{name}-finalize --type=merge -p '{{\"spec\":{{\"suspend\":false}}}}'\n\
         #   kubectl{namespace} wait --for=condition=Complete --timeout=-1s job/{name}-finalize\n\
         #\n\
         # An index that failed: kubectl{namespace} logs -l job-name={name}; mend it, delete both jobs, apply again.\n"
    )
}

fn units(pod: &Pod<'_>, steps: &Steps) -> anyhow::Result<String> {
    let Common { at_most, tries, .. } = pod.args.common;
    let parallel = at_most.unwrap_or(steps.tasks).min(steps.tasks);
    let index = "$(JOB_COMPLETION_INDEX)";
    let spec = format!(
        "  completionMode: Indexed\n\
         \x20 completions: {}\n\
         \x20 parallelism: {parallel}\n\
         \x20 backoffLimitPerIndex: {}\n\
         {}",
        steps.tasks,
        tries - 1,
        policy("FailIndex")
    );
    pod.job(steps, "", &spec, &steps.work, Some(index))
}

fn completing(pod: &Pod<'_>, steps: &Steps) -> anyhow::Result<String> {
    let spec = format!(
        "  suspend: true\n\
         \x20 backoffLimit: {}\n\
         {}",
        pod.args.common.tries - 1,
        policy("FailJob")
    );
    pod.job(steps, "-finalize", &spec, &steps.finalize, None)
}

/// Disruptions are not counted; codes that may not be tried again end it.
fn policy(end: &str) -> String {
    format!(
        "  podFailurePolicy:\n\
         \x20   rules:\n\
         \x20     - action: Ignore\n\
         \x20       onPodConditions:\n\
         \x20         - type: DisruptionTarget\n\
         \x20     - action: {end}\n\
         \x20       onExitCodes:\n\
         \x20         containerName: chipmill\n\
         \x20         operator: NotIn\n\
         \x20         values: [75, 130, 143]\n"
    )
}

struct Pod<'a> {
    args: &'a Args,
    mount: String,
}

impl Pod<'_> {
    /// A Job whose spec begins with `spec`, and whose container calls chipmill.
    fn job(
        &self,
        steps: &Steps,
        suffix: &str,
        spec: &str,
        arguments: &[String],
        index: Option<&str>,
    ) -> anyhow::Result<String> {
        let Args {
            common,
            image,
            namespace,
            memory,
            grace,
            ..
        } = self.args;
        let mut words = common.words()?;
        words.extend_from_slice(arguments);
        let mut lines: Vec<String> = words.iter().map(|w| literal(w)).collect();
        lines.extend(index.map(quote));
        let command: String = lines
            .iter()
            .map(|w| format!("            - {w}\n"))
            .collect();
        let namespace = namespace
            .as_ref()
            .map_or_else(String::new, |n| format!("  namespace: {}\n", quote(n)));
        let gpus = match common.gpus {
            0 => String::new(),
            n => format!("              nvidia.com/gpu: {n}\n"),
        };
        let (name, cpus) = (common.name(steps) + suffix, common.cpus);
        let [name, image, memory] = [&name, image, memory].map(|text| quote(text));
        let (environment, mounts, volumes) = (self.environment(), self.mounts(), self.volumes());
        Ok(format!(
            "apiVersion: batch/v1\n\
             kind: Job\n\
             metadata:\n\
             \x20 name: {name}\n\
             {namespace}\
             spec:\n\
             {spec}\
             \x20 template:\n\
             \x20   spec:\n\
             \x20     restartPolicy: Never\n\
             \x20     terminationGracePeriodSeconds: {grace}\n\
             \x20     containers:\n\
             \x20       - name: chipmill\n\
             \x20         image: {image}\n\
             \x20         command:\n\
             {command}\
             \x20         resources:\n\
             \x20           requests:\n\
             \x20             cpu: {cpus}\n\
             \x20             memory: {memory}\n\
             \x20           limits:\n\
             \x20             memory: {memory}\n\
             {gpus}{environment}{mounts}{volumes}"
        ))
    }

    /// Of a container: what the object store's client reads.
    fn environment(&self) -> String {
        let secret = self.args.secret.as_ref().map(|name| {
            let name = quote(name);
            format!(
                "          envFrom:\n\
                 \x20           - secretRef:\n\
                 \x20               name: {name}\n"
            )
        });
        secret.unwrap_or_default()
    }

    /// Of a container: the volume, if there is one.
    fn mounts(&self) -> String {
        let mount = self.args.volume_claim.as_ref().map(|_| {
            let mount = quote(&self.mount);
            format!(
                "          volumeMounts:\n\
                 \x20           - name: data\n\
                 \x20             mountPath: {mount}\n"
            )
        });
        mount.unwrap_or_default()
    }

    fn volumes(&self) -> String {
        let volume = self.args.volume_claim.as_ref().map(|claim| {
            let claim = quote(claim);
            format!(
                "      volumes:\n\
                 \x20       - name: data\n\
                 \x20         persistentVolumeClaim:\n\
                 \x20           claimName: {claim}\n"
            )
        });
        volume.unwrap_or_default()
    }
}

/// A word of a container's command, in which Kubernetes would put variables in the place of `$(NAME)`.
fn literal(word: &str) -> String {
    quote(&word.replace('$', "$$"))
}

/// A double-quoted scalar of YAML, on one line.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_unseen(c) => quoted += &format!("\\U{:08X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::super::shell::HOSTILE;
    use super::*;

    #[test]
    fn a_yaml_reader_gives_back_every_text_as_it_was() {
        let document: String = HOSTILE
            .iter()
            .map(|text| format!("- {}\n", quote(text)))
            .collect();
        let read = yaml_rust2::YamlLoader::load_from_str(&document).unwrap();
        let read: Vec<&str> = read[0]
            .as_vec()
            .unwrap()
            .iter()
            .map(|y| y.as_str().unwrap())
            .collect();
        assert_eq!(read, HOSTILE);
    }
}
