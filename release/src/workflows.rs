//! What holds of every workflow: actions are pinned, jobs have the rights they need and no more.

use anyhow::Context;
use serde_json::Value;
use std::collections::BTreeSet;

/// The folder of the workflows.
pub const FOLDER: &str = ".github/workflows";

/// The workflow that makes a release.
pub const RELEASE: &str = "release.yaml";

/// The job that every other job of a release waits for.
const TESTS: &str = "tests";

/// The jobs that may write, and what: whatever else they ask for is a fault.
const WRITES: &[(&str, &str, &[&str])] = &[
    (RELEASE, "image", &["packages"]),
    (RELEASE, "index", &["packages", "id-token", "attestations"]),
    (RELEASE, "chart", &["packages", "id-token", "attestations"]),
    (RELEASE, "release", &["contents", "id-token", "attestations"]),
];

/// Reads every workflow; the faults of all, each with its file.
pub fn check() -> anyhow::Result<Vec<String>> {
    let mut faults = vec![];
    for entry in std::fs::read_dir(crate::workspace_root().join(FOLDER))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let text = crate::text(&format!("{FOLDER}/{name}"))?;
        let found = faults_of(&name, &text).with_context(|| name.clone())?;
        faults.extend(found.into_iter().map(|fault| format!("{FOLDER}/{name}: {fault}")));
    }
    Ok(faults)
}

/// What is wrong with one workflow.
pub fn faults_of(name: &str, text: &str) -> anyhow::Result<Vec<String>> {
    let workflow: Value = serde_saphyr::from_str(text)?;
    let mut faults: Vec<String> = text.lines().filter_map(unpinned).collect();
    if workflow["permissions"] != serde_json::json!({}) {
        faults.push("permissions: expected {} at the top; each job says what it needs".into());
    }
    for trigger in ["pull_request_target", "workflow_run"] {
        let on = &workflow["on"];
        if on.get(trigger).is_some() || on == trigger {
            faults.push(format!("on: found {trigger}, which runs foreign code with rights"));
        }
    }
    let jobs = workflow["jobs"].as_object().context("no jobs")?;
    for (job, body) in jobs {
        let mut fault = |text: String| faults.push(format!("jobs.{job}: {text}"));
        permissions(name, job, &body["permissions"]).into_iter().for_each(&mut fault);
        let steps = body["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !steps.is_empty() && body["timeout-minutes"].is_null() {
            fault("expected timeout-minutes".into());
        }
        steps.iter().filter_map(step).for_each(&mut fault);
        if name == RELEASE && job != TESTS && !needed(jobs, job).contains(TESTS) {
            fault(format!("expected that it needs the job {TESTS}"));
        }
    }
    Ok(faults)
}

/// A `uses:` that is not `owner/name@<40 digits> # v…`; an action or workflow of this repository is of its commit.
fn unpinned(line: &str) -> Option<String> {
    let used = line.trim_start().trim_start_matches("- ").strip_prefix("uses:")?.trim();
    let (action, comment) = used.split_once('#').unwrap_or((used, ""));
    let action = action.trim();
    if action.starts_with("./") {
        return None;
    }
    let commit = action.split_once('@').map_or("", |(_, commit)| commit);
    let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let version = comment.trim().strip_prefix('v').unwrap_or_default();
    let is_version = version.split('.').count() == 3
        && version.split('.').all(|part| part.parse::<u32>().is_ok());
    (!is_commit || !is_version).then(|| {
        format!("uses: found {used:?}, expected owner/name@<commit, 40 digits> # v<major>.<minor>.<patch>")
    })
}

fn permissions(workflow: &str, job: &str, permissions: &Value) -> Vec<String> {
    let Some(permissions) = permissions.as_object() else {
        return vec!["permissions: expected those that the job needs, by name".into()];
    };
    let is_allowed = |permission: &str| {
        WRITES.iter().any(|(of, name, writes)| {
            (*of, *name) == (workflow, job) && writes.contains(&permission)
        })
    };
    let more = permissions.iter().filter(|(name, value)| **value != "read" && !is_allowed(name));
    more.map(|(name, _)| {
        format!("permissions.{name}: found more than read, which it has no use for")
    })
    .collect()
}

fn step(step: &Value) -> Option<String> {
    let is_checkout =
        step["uses"].as_str().is_some_and(|uses| uses.starts_with("actions/checkout@"));
    if is_checkout && step["with"]["persist-credentials"] != false {
        return Some("actions/checkout: expected persist-credentials: false".into());
    }
    let script = step["run"].as_str().unwrap_or_default();
    let line = script.lines().find(|line| line.contains("${{"))?;
    Some(format!("run: found {line:?}, expected a variable of env: a value is no part of a script"))
}

/// The jobs that a job waits for, also through others.
fn needed(jobs: &serde_json::Map<String, Value>, job: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let mut open = vec![job.to_owned()];
    while let Some(job) = open.pop() {
        let needs = match &jobs.get(&job).unwrap_or(&Value::Null)["needs"] {
            Value::String(one) => vec![one.clone()],
            Value::Array(many) => {
                many.iter().filter_map(Value::as_str).map(str::to_owned).collect()
            }
            _ => vec![],
        };
        open.extend(needs.into_iter().filter(|need| all.insert(need.clone())));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "3d3c42e5aac5ba805825da76410c181273ba90b1";

    fn faults(name: &str, text: &str) -> String {
        faults_of(name, &text.replace("COMMIT", COMMIT)).unwrap().join("\n")
    }

    #[test]
    fn the_workflows_are_pinned_and_have_the_rights_they_need_and_no_more() {
        assert_eq!(check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn an_action_is_named_by_its_commit_and_the_version_of_that_commit() {
        let with = |uses: &str| {
            faults(
                "ci.yaml",
                &format!(
                    "permissions: {{}}\njobs: {{a: {{permissions: {{}}, timeout-minutes: 1, steps: [\n{{\n\
                     uses: {uses}\n}}]}}}}\n"
                ),
            )
        };
        assert_eq!(with("actions/cache@COMMIT # v5.0.5"), "");
        assert_eq!(with("./.github/workflows/ci.yaml"), "");
        for uses in ["actions/cache@v5", "actions/cache@COMMIT", "actions/cache@main # v5.0.5"] {
            assert!(with(uses).contains("expected owner/name@<commit"), "{uses}: {}", with(uses));
        }
    }

    #[test]
    fn what_gives_a_job_more_than_it_needs_is_a_fault() {
        let bad = "on: {pull_request_target: {}}\npermissions: {contents: read}\njobs:\n  a:\n    \
                   permissions: {contents: write}\n    steps:\n    - uses: actions/checkout@COMMIT # v7.0.1\n    \
                   - run: echo ${{ github.ref_name }}\n  b:\n    permissions: write-all\n    uses: ./b.yaml\n";
        let found = faults("ci.yaml", bad);
        for expected in [
            "permissions: expected {} at the top",
            "on: found pull_request_target",
            "jobs.a: permissions.contents: found more than read",
            "jobs.a: expected timeout-minutes",
            "jobs.a: actions/checkout: expected persist-credentials: false",
            "jobs.a: run: found \"echo ${{ github.ref_name }}\"",
            "jobs.b: permissions: expected those that the job needs",
        ] {
            assert!(found.contains(expected), "{expected}\n{found}");
        }
        assert_eq!(found.lines().count(), 7, "{found}");
    }

    #[test]
    fn every_job_of_a_release_waits_for_the_tests() {
        let text = "permissions: {}\njobs:\n  tests: {permissions: {}}\n  \
                    a: {permissions: {}, needs: tests}\n  b: {permissions: {}, needs: [a]}\n  \
                    c: {permissions: {}}\n";
        assert_eq!(faults(RELEASE, text), "jobs.c: expected that it needs the job tests");
    }

    #[test]
    fn the_release_publishes_where_the_chart_looks() {
        let workflow = crate::yaml(&format!("{FOLDER}/{RELEASE}")).unwrap();
        let values = crate::yaml(&format!("{}/values.yaml", crate::chart::FOLDER)).unwrap();
        let image = &values["image"];
        let (registry, name) = (image["registry"].as_str(), image["name"].as_str());
        assert_eq!((registry, name), (Some(crate::REGISTRY), Some(crate::PROGRAM)));
        let env = &workflow["env"];
        assert_eq!(env["IMAGE"], format!("{}/{}", crate::REGISTRY, crate::PROGRAM));
        assert_eq!(env["CHARTS"], format!("{}/charts", crate::REGISTRY));
    }
}
