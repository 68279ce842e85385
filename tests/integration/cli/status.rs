//! `status`, `explain` and `plan` through a failover, and while no replica runs.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use linkerd_failover::kinds::Kind;
use serde_json::Value;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use test_cluster::{Cluster, Output, eventually};

const BOTH: &str = "trafficsplit/emoji httproute/emoji -n emojivoto";
const BOTH_NAMES: &str = "trafficsplit/emoji httproute/emoji";

/// The user `somebody` may read in the namespace `emojivoto`.
const ONE_NAMESPACE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: emojivoto}
rules: [{apiGroups: ['*'], resources: ['*'], verbs: [get, list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader, namespace: emojivoto}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: somebody}]
";

async fn call(cluster: &Cluster, line: &str) -> Result<Output> {
    cluster.sh(&format!("{PROGRAM} {line}")).output().await
}

/// The result of a call that succeeds.
async fn shown(cluster: &Cluster, line: &str) -> Result<String> {
    cluster.sh(&format!("{PROGRAM} {line}")).ok().await
}

/// One line on standard error, nothing on standard output, and the exit code.
async fn failure(cluster: &Cluster, line: &str) -> Result<(String, i32)> {
    let Output { status, stdout, stderr } = call(cluster, line).await?;
    ensure!(stdout.is_empty() && stderr.lines().count() == 1, "{line}: {stdout}{stderr}");
    Ok((stderr.trim_end().to_owned(), status.code().context("ended by a signal")?))
}

async fn json(cluster: &Cluster) -> Result<Vec<Value>> {
    Ok(serde_json::from_str(&shown(cluster, &format!("status {BOTH} -o json")).await?)?)
}

/// `status -w` with this standard output; ended when dropped.
struct Watching(Child);

impl Watching {
    fn start(cluster: &Cluster, line: &str, terminal: &str, stdout: File) -> Result<Self> {
        let child = Command::new(PROGRAM)
            .args(format!("status -w -n emojivoto {line}").split_whitespace())
            .env_clear()
            .env("KUBECONFIG", cluster.kubeconfig())
            .env("TERM", terminal)
            .stdin(Stdio::null())
            .stdout(stdout)
            .spawn()?;
        Ok(Self(child))
    }

    fn signal(&self, name: &str) -> Result<()> {
        let pid = self.0.id().to_string();
        ensure!(Command::new("kill").args([format!("-{name}"), pid]).status()?.success());
        Ok(())
    }

    async fn wait(mut self) -> Result<Option<i32>> {
        eventually("status -w ends", PATIENCE, || {
            let ended = self.0.try_wait();
            async move { Ok::<_, anyhow::Error>(ended?.context("it runs")?.code()) }
        })
        .await
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn wait_text(what: &str, text: impl Fn() -> String, wanted: &str) -> Result<()> {
    eventually(what, PATIENCE, || async {
        let text = text();
        ensure!(text.contains(wanted), "{text}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_is_seen_in_every_format_and_also_while_no_replica_runs() -> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install(&cluster, 2, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    workload.apply(&route(Kind::HttpRoute, &[("", both)]).to_string()).await?;
    shown(&cluster, &format!("status {BOTH} --wait-for primary --timeout 60s")).await?;
    for object in json(&cluster).await? {
        assert_eq!((&object["status"], &object["on"]), (&"primary".into(), &"primary".into()));
        assert_eq!(object["services"], serde_json::json!(["emoji-svc"]));
    }

    // What would be, before it is; nothing of it is written.
    let plan =
        shown(&cluster, "plan ts/emoji -n emojivoto --down emoji-svc --ready emoji-svc-west=3")
            .await?;
    assert!(plan.contains("Traffic would move to emoji-svc-west"), "{plan}");
    assert!(plan.contains("1 -> 0") && plan.contains("0 -> 1"), "{plan}");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("changes");
    let pipe = Watching::start(&cluster, BOTH_NAMES, "dumb", File::create(&path)?)?;
    let changes = || std::fs::read_to_string(&path).unwrap_or_default();
    let terminal = PseudoTerminal::open(100, 24)?;
    let drawing = Watching::start(&cluster, "", "xterm", terminal.stdout()?)?;
    wait_text("the changes begin", changes, "emojivoto trafficsplit/emoji primary").await?;
    wait_text("the terminal is drawn", || terminal.text(), "2 primary").await?;

    workload.scale("emoji", 0).await?;
    let table = format!("status {BOTH} --wait-for fallback --timeout 60s");
    let table = shown(&cluster, &table).await?;
    assert!(table.starts_with("NAME") && table.contains("emoji-svc=0/"), "{table}");
    for object in json(&cluster).await? {
        assert_eq!((&object["status"], &object["on"]), (&"fallback".into(), &"fallback".into()));
        assert_eq!(object["sets"][0]["active"], serde_json::json!(["emoji-svc-west"]));
        assert!(object["sets"][0]["since"].is_string(), "{object}");
    }
    let wide = shown(&cluster, "status -A -o wide -l failover.linkerd.io/controlled-by").await?;
    assert!(wide.starts_with("NAMESPACE") && wide.lines().count() == 3, "{wide}");
    assert!(wide.contains("emoji-svc=0,emoji-svc-west=1"), "{wide}");
    let yaml = shown(&cluster, &format!("status {BOTH} -o yaml")).await?;
    assert!(yaml.contains("\"on\": fallback"), "{yaml}");
    let explained = shown(&cluster, "explain httproute/emoji -n emojivoto").await?;
    assert!(explained.contains("Rule: no backend of the tiers before is ready"), "{explained}");
    assert!(explained.contains("Missing for the protection of requests"), "{explained}");
    wait_text("the change is a line", changes, "trafficsplit/emoji primary -> fallback").await?;
    wait_text("the terminal shows it", || terminal.text(), "2 fallback").await?;

    let (line, code) =
        failure(&cluster, "status ts/emoji -n emojivoto --wait-for primary --timeout 2s").await?;
    assert!(line.contains("waited 2 s: found trafficsplit/emoji"), "{line}");
    assert_eq!(code, 1);

    // The API server goes and comes back; who watches goes on.
    cluster.stop_api_server(true).await?;
    wait_text("what is old is said", || terminal.text(), " old: ").await?;
    cluster.start_api_server().await?;
    for replica in installation.replicas() {
        replica.wait_ready(PATIENCE).await?;
    }
    workload.scale("emoji", 1).await?;
    wait_text("the return is a line", changes, "trafficsplit/emoji fallback -> primary").await?;
    terminal.resize(40, 5)?;
    let before = terminal.text().len();
    drawing.signal("WINCH")?;
    let after = || terminal.text()[before..].to_owned();
    wait_text("it is drawn again", after, "\u{1b}[H\u{1b}[2J").await?;
    drawing.signal("INT")?;
    assert_eq!(drawing.wait().await?, Some(0));
    let left = "\u{1b}[?25h\u{1b}[?1049l";
    wait_text("the terminal is given back", || terminal.text(), left).await?;
    assert!(terminal.text().ends_with(left), "nothing follows");

    // What is named and goes is gone, and may come back; a person is named, with the reason.
    let route_of = |text: &str| text.matches("httproute/emoji primary").count();
    let before = route_of(&changes());
    cluster.kubectl(["delete", "httproute", "emoji", "-n", "emojivoto"]).ok().await?;
    wait_text("it is gone", changes, "httproute/emoji gone").await?;
    workload.apply(&route(Kind::HttpRoute, &[("", both)]).to_string()).await?;
    eventually("it is back", PATIENCE, || async {
        ensure!(route_of(&changes()) > before, "{}", changes());
        Ok(())
    })
    .await?;
    let terminal = PseudoTerminal::open(200, 24)?;
    let drawing = Watching::start(&cluster, "ts/emoji", "xterm", terminal.stdout()?)?;
    let dumb = PseudoTerminal::open(200, 24)?;
    let lines = Watching::start(&cluster, "ts/emoji", "dumb", dumb.stdout()?)?;
    wait_text("lines", || dumb.text(), "emojivoto trafficsplit/emoji primary").await?;
    assert!(!dumb.text().contains('\u{1b}'), "{}", dumb.text());
    drop(lines);
    shown(&cluster, "pause ts/emoji -n emojivoto --reason a-release --for 1h").await?;
    wait_text("the pause is drawn", || terminal.text(), ": a-release").await?;
    let explained = shown(&cluster, "explain ts/emoji -n emojivoto").await?;
    assert!(explained.contains("ago: a-release") && explained.contains("nothing is written"));
    shown(&cluster, "resume ts/emoji -n emojivoto").await?;
    shown(&cluster, "freeze --reason an-incident").await?;
    wait_text("the freeze is drawn", || terminal.text(), ": an-incident: nothing").await?;
    let frozen = call(&cluster, &format!("status {BOTH} -o json")).await?;
    assert!(frozen.stderr.contains("the cluster is frozen by"), "{}", frozen.stderr);
    let objects: Vec<Value> = serde_json::from_str(&frozen.stdout)?;
    assert_eq!(objects[0]["frozen"]["by"]["reason"], "an-incident");
    shown(&cluster, "unfreeze").await?;
    drawing.signal("TERM")?;
    assert_eq!(drawing.wait().await?, Some(0));
    wait_text("the terminal is given back", || terminal.text(), left).await?;
    assert!(terminal.text().ends_with(left), "nothing follows");
    pipe.signal("TERM")?;
    assert_eq!(pipe.wait().await?, Some(0));

    // No replica runs: what it would do is known all the same.
    for replica in installation.replicas() {
        replica.process().kill()?;
    }
    workload.scale("emoji", 0).await?;
    workload.wait_endpoints("emoji-svc", 0).await?;
    for object in json(&cluster).await? {
        assert_eq!(object["on"], "primary", "nobody has moved it");
        assert_eq!(object["sets"][0]["next"][0]["kind"], "write");
    }
    let explained = shown(&cluster, "explain ts/emoji -n emojivoto").await?;
    assert!(explained.contains("moves to emoji-svc-west now"), "{explained}");
    let plan = shown(&cluster, "plan ts/emoji -n emojivoto --ready emoji-svc=1").await?;
    assert!(plan.contains("Nothing would be written"), "{plan}");

    // With rights in one namespace alone.
    cluster.apply(ONE_NAMESPACE).await?;
    let (line, code) = failure(&cluster, "status -A --as somebody").await?;
    assert!(line.contains("may not be listed") && line.contains("by -n"), "{line}");
    assert_eq!(code, 1);
    let own = call(&cluster, &format!("status {BOTH} --as somebody")).await?;
    assert!(own.status.success() && own.stdout.lines().count() == 3, "{own:?}");
    assert!(own.stderr.contains("whether the cluster is frozen is not known"), "{own:?}");

    // What goes wrong is one line.
    for (line, wanted, expected_code) in [
        ("status ts/emojy -n emojivoto", "found no such object", 1),
        ("status emoji -n emojivoto", "found no KIND/NAME", 2),
        ("explain service/emoji-svc -n emojivoto", "found the kind", 2),
        ("plan ts/emoji -n emojivoto --down emoji-svk", "did you mean emoji-svc?", 2),
        ("plan ts/emoji -n emojivoto --ready emoji-svc=-1", "expected SERVICE=N", 2),
        ("status ts/emoji?x=y -n emojivoto", "found the name", 2),
        ("status -A --context nowhere", "found no usable configuration", 1),
        ("explain ts/emoji -n emojivoto --as nobody", "may not be listed", 1),
        ("status -n emojivoto --as nobody", "may not be listed", 1),
    ] {
        let (message, code) = failure(&cluster, line).await?;
        assert!(message.contains(wanted), "{line}: {message}");
        assert_eq!(code, expected_code, "{line}: {message}");
    }
    let none = call(&cluster, "status -n default").await?;
    assert_eq!(none.stderr.trim(), "no failover objects in namespace default");
    assert_eq!((none.status.code(), none.stdout.as_str()), (Some(0), ""));
    let none = call(&cluster, "status -A -l app=nothing").await?;
    assert_eq!(none.stderr.trim(), "no failover objects in all namespaces with labels app=nothing");
    assert_eq!((none.status.code(), none.stdout.as_str()), (Some(0), ""));
    Ok(())
}
