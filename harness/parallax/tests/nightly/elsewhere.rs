//! Machines elsewhere have all the parts of a night: the workflow, the Kubernetes job and the Slurm job.

use std::fs;
use std::process::Command;

fn file(path: &str) -> String {
    fs::read_to_string(format!("../../{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between `before` and `after`.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let rest = text.split_once(before).unwrap_or_else(|| panic!("no {before}")).1;
    rest.split_once(after).unwrap_or_else(|| panic!("no {after}")).0
}

/// What the shell makes of `text` with `variable`.
fn expanded(text: &str, variable: &str, value: usize) -> String {
    let mut shell = Command::new("bash");
    shell.args(["-c", &format!("printf %s \"{text}\"")]).env(variable, value.to_string());
    String::from_utf8(shell.output().expect("a shell").stdout).expect("text")
}

fn parts(count: usize) -> Vec<String> {
    (1..=count).map(|part| format!("{part}/{count}")).collect()
}

#[test]
fn the_workflow_has_all_parts() {
    let workflow = file(".github/workflows/nightly.yml");
    let parts: Vec<&str> = between(&workflow, "part: [", "]").split(", ").collect();
    let count = parts.len();
    assert_eq!(parts, (1..=count).map(|part| part.to_string()).collect::<Vec<_>>());
    assert!(workflow.contains(&format!("ci/nightly --partition \"$PART/{count}\"")));
    assert!(workflow.contains(&format!("nightly-[1-{count}]")));
    assert!(workflow.contains("parallax nightly merge parts/*"));
}

#[test]
fn the_pods_have_all_parts() {
    let job = file("ci/k8s/nightly-job.yaml");
    let pods: usize = between(&job, "completions: ", "\n").parse().expect("a number");
    let part = between(&job, "--partition \"", "\" --results");
    let told: Vec<String> = (0..pods).map(|index| expanded(part, "JOB_COMPLETION_INDEX", index)).collect();
    assert_eq!(told, parts(pods));
}

#[test]
fn the_array_has_all_parts() {
    let job = file("ci/slurm/nightly.sbatch");
    let last: usize = between(&job, "#SBATCH --array=0-", "%").parse().expect("a number");
    let part = between(&job, "--partition \"", "\"");
    let told: Vec<String> = (0..=last).map(|index| expanded(part, "SLURM_ARRAY_TASK_ID", index)).collect();
    assert_eq!(told, parts(last + 1));
    let merge = file("ci/slurm/merge.sbatch");
    let folders: Vec<String> = (1..=last + 1).map(|part| format!("\"$NIGHT/{part}\"")).collect();
    assert!(merge.contains(&folders.join(" ")), "{merge}");
}
