//! What every command does with bad input, without a cluster: the built program, its exit code, and one line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_linkerd-failover");

/// Every command that asks a cluster, with arguments that are right. `check` and `migrate` are apart: the one
/// reports what is wrong on standard output, the other asks only for what its input does not have.
const ASKING: [&str; 15] = [
    "status",
    "status -w",
    "status --wait-for primary --timeout 1s",
    "explain trafficsplit/emoji",
    "plan trafficsplit/emoji --down emoji-svc",
    "validate -f /dev/null --live",
    "pin trafficsplit/emoji emoji-svc",
    "unpin trafficsplit/emoji",
    "pause trafficsplit/emoji",
    "resume trafficsplit/emoji",
    "failback trafficsplit/emoji",
    "freeze",
    "unfreeze",
    "drill trafficsplit/emoji --for 1m",
    "release trafficsplit/emoji",
];

/// No API server listens there.
const DEAD: &str = "apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: u, user: {}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
";

fn command(line: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(line.split_whitespace()).stdin(Stdio::null());
    // Not that of whoever runs the test.
    for name in ["KUBECONFIG", "LINKERD_FAILOVER_KUBECONFIG", "KUBERNETES_SERVICE_HOST"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent");
    command
}

fn run(line: &str) -> Output {
    command(line).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Nothing on standard output, and one line that has what was found, what is expected, and the next step.
fn one_line(line: &str, code: i32) -> String {
    let output = run(line);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}: {error}");
    assert_eq!(text(&output.stdout), "", "{line}");
    assert_eq!(error.lines().count(), 1, "{line}: {error}");
    for part in ["linkerd-failover: ", ": found ", ", expected ", "; "] {
        assert!(error.contains(part), "{line}: {part:?} is missing in {error}");
    }
    error
}

/// What cannot be read is 2, and `validate` gives no verdict without the cluster that it is to ask.
fn code_without_a_cluster(line: &str) -> i32 {
    if line.starts_with("validate") { 2 } else { 1 }
}

#[test]
fn without_a_cluster_every_command_says_so_in_the_same_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (dead, broken, empty) = (at("dead", DEAD), at("broken", "a: [\n"), at("empty", ""));
    for flags in [
        "--kubeconfig /nonexistent/config".to_owned(),
        format!("--kubeconfig {broken}"),
        format!("--kubeconfig {empty}"),
        format!("--kubeconfig {dead} --context other"),
        format!("--kubeconfig {dead}"),
        format!("--kubeconfig {dead} --as ana --as-group admins"),
        format!("--kubeconfig {dead} --as-group admins"),
        String::new(),
    ] {
        let lines: Vec<String> = ASKING
            .into_iter()
            .chain(["uninstall", "release --all"])
            .map(|line| one_line(&format!("{line} {flags}"), code_without_a_cluster(line)))
            .collect();
        assert!(lines.iter().all(|line| *line == lines[0]), "{flags}: {lines:#?}");
        let check = run(&format!("check -o json --wait=0s {flags}"));
        assert_eq!(check.status.code(), Some(1), "{flags}");
        assert!(serde_json::from_slice::<serde_json::Value>(&check.stdout).is_ok(), "{flags}");
    }
}

#[test]
fn a_name_that_is_no_object_is_one_line_before_any_cluster_is_asked() {
    for name in ["emoji", "trafficsplit/", "pod/emoji", "trafficsplit/a/b"] {
        for line in ASKING.into_iter().filter(|line| line.contains("trafficsplit/emoji")) {
            let error = one_line(&line.replace("trafficsplit/emoji", name), 2);
            assert!(error.contains(name), "{error}");
        }
        one_line(&format!("status {name}"), 2);
    }
}

#[test]
fn commands_without_a_cluster_fail_in_one_line_too() {
    one_line("install -n Mesh", 2);
    one_line("install --image a::b", 2);
    one_line("release", 2);
    one_line("pin trafficsplit/emoji emoji-svc --for 0s", 2);
    one_line("pin trafficsplit/emoji ,", 2);
    one_line("drill trafficsplit/emoji --for 1s", 2);
    one_line("man /dev/null/man1", 1);
    one_line("migrate -f /dev/null", 1);
}

/// A reader that goes, as `head` does, is no failure, and makes nothing panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/manifests/wrong");
    for line in [
        "install",
        "completion bash",
        "check --wait=0s --kubeconfig /nonexistent/config",
        &format!("validate -f {}", fixture.display()),
        &format!("migrate --port 80 -f {}", fixture.display()),
        "status --kubeconfig /nonexistent/config",
        "--help",
    ] {
        let mut child =
            command(line).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop((child.stdout.take(), child.stderr.take()));
        let code = child.wait().unwrap().code();
        assert!(code.is_some_and(|code| code < 3), "{line}: {code:?}");
    }
}
