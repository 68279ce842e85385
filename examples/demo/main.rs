//! `make demo`: the main job on two real clusters, as the story of the emojivoto workshop;
//! with a TrafficSplit, or with `ROUTE=http` an HTTPRoute.
//!
//! Every step is checked; the first that fails ends the demo with a non-zero status.

mod command_line;
mod form;
mod screen;

use anyhow::{Context, Result, ensure};
use command_line::CommandLine;
use form::Form;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use kube::core::DynamicObject;
use screen::{apply, note, show, timing, title};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use test_cluster::{Cluster, InstallOptions, Installation, LINKS, Link, Workload, eventually};

const PATIENCE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = "emojivoto";

#[tokio::main]
async fn main() -> Result<()> {
    let keep = std::env::var("KEEP").is_ok_and(|keep| keep == "1");
    let form = Form::chosen()?;

    title("Two clusters, east and west: etcd, kube-apiserver, kube-controller-manager, kwok each");
    let started = Instant::now();
    let (east, west) = tokio::try_join!(Cluster::start(), Cluster::start())?;
    form.define(&east).await?;
    note(&format!("ready in {:.1} s", started.elapsed().as_secs_f64()));

    title("West is linked to east, as linkerd multicluster link does it");
    east.create_multicluster_namespace().await?;
    Link::create(&west, "west").await?.apply(&east).await?;
    note(&format!("the credentials are in a Secret of the namespace {LINKS}"));

    title(
        "The chart, by Helm; its Deployment's two replicas, with the token of its ServiceAccount",
    );
    let installation = install(&east, form).await?;

    title("emojivoto in both: emoji-svc here, and emoji-svc-west, whose pods are in west");
    let here = Workload::new(&east, NAMESPACE).await?;
    let there = Workload::new(&west, NAMESPACE).await?;
    tokio::try_join!(here.deploy_emoji(1), there.deploy_emoji(1))?;
    here.discovery_mirror("emoji-svc", "west").await?;
    show(&here, &["get", "services"]).await?;

    title("A correct object goes in, and the webhook fills in what its author left out");
    let manifest = PathBuf::from(form.folder).join(form.manifest);
    apply(&here, &manifest).await?;
    show(&here, &["get", &form.resource(), "emoji-svc", "-o", "yaml"]).await?;
    let story = Story { form, objects: form.api(&east, NAMESPACE), here: &here };
    let commands = CommandLine::new(&east);
    let object = form.object;
    story.check(&[1, 0], "the primary has the traffic").await?;

    title("Four misconfigured ones are refused, each with what is wrong and what to do");
    refuse_bad_examples(&here, form).await?;

    title("The primary loses its only pod");
    let (kubectl, slice) = story.flip(0, &[0, 1]).await?;
    note(&timing("the weights flipped", kubectl, slice));
    story.show_weights().await?;

    title("An operator looks: where the traffic is, and why");
    commands.show(&format!("status {object}"), &["fallback", "emoji-svc=0/0"]).await?;
    println!();
    commands.show(&format!("explain {object}"), &["emoji-svc-west"]).await?;

    title("The same manifest again, in the middle of the failover: the weights stay");
    apply(&here, &manifest).await?;
    story.check(&[0, 1], "the fallback has the traffic").await?;

    title("West loses its pods too: nothing is ready anywhere, and the weights stay");
    println!("$ kubectl --context west scale deployment/emoji --replicas=0");
    there.scale("emoji", 0).await?;
    story.wait_reply("emoji-svc-west: no endpoints").await?;
    story.check(&[0, 1], "still the fallback").await?;
    there.scale("emoji", 1).await?;
    there.wait_endpoints("emoji-svc", 1).await?;

    title("West's API server is killed: its health is not known, which is not down");
    west.stop_api_server(true).await?;
    wait_events(&east, LINKS, "reason=RemoteUnreachable", 1).await?;
    show_events(&east, LINKS, "reason=RemoteUnreachable").await?;
    story.check(&[0, 1], "traffic stays where it was").await?;
    commands.check(form.faults, &["\u{203c} linked clusters"]).await?;
    west.start_api_server().await?;
    wait_events(&east, LINKS, "reason=RemoteReachable", 1).await?;
    note("west is back");

    title("The primary comes back, and so do the weights");
    let (kubectl, slice) = story.flip(1, &[1, 0]).await?;
    note(&timing("the weights are back", kubectl, slice));
    story.show_weights().await?;

    title("A drill: a fallback that is never used does not work when it is needed");
    let drill = format!("drill {object} --for 10s --reason \"game day\"");
    commands.show(&drill, &["traffic moved", "traffic had left emoji-svc-west"]).await?;
    story.check(&[1, 0], "the primary has the traffic again").await?;

    title("Is all well? `linkerd check` runs the same");
    commands.check(form.faults, &[]).await?;
    if !form.faults.is_empty() {
        note("but for Linkerd, which does not run here");
    }

    title("What people see afterwards");
    wait_events(&east, NAMESPACE, "reason=Failover", 2).await?;
    show_events(&east, NAMESPACE, "reason=Failover").await?;

    title("Done: every step was checked");
    if keep {
        stay(&east, form).await?;
    }
    drop(installation);
    tokio::try_join!(east.stop(), west.stop())?;
    Ok(())
}

/// The object whose weights the story is about.
struct Story<'a> {
    form: Form,
    objects: Api<DynamicObject>,
    here: &'a Workload<'a>,
}

impl Story<'_> {
    /// Scales the primary and waits for the weights: how long after `kubectl scale` was started,
    /// and after its slice changed, both as another client sees them.
    async fn flip(&self, replicas: usize, wanted: &[u64]) -> Result<(Duration, Duration)> {
        let slices: Api<EndpointSlice> = self.here.api();
        let selector = WatchParams::default().labels("kubernetes.io/service-name=emoji-svc");
        let list = self.objects.list(&Default::default()).await?;
        let version = list.metadata.resource_version.unwrap_or_default();
        let mut endpoints = slices.watch(&selector, &version).await?.boxed();
        let mut objects = self.objects.watch(&WatchParams::default(), &version).await?.boxed();

        let watching = async {
            let (mut changed, mut flipped) = (None, None);
            while changed.is_none() || flipped.is_none() {
                tokio::select! {
                    event = endpoints.try_next() => {
                        if let Some(WatchEvent::Modified(slice) | WatchEvent::Added(slice)) = event? {
                            let ready = slice.endpoints.iter()
                                .filter(|e| e.conditions.as_ref().and_then(|c| c.ready) != Some(false));
                            if ready.count() == replicas {
                                changed.get_or_insert_with(Instant::now);
                            }
                        }
                    }
                    event = objects.try_next() => {
                        if let Some(WatchEvent::Modified(object)) = event?
                            && self.form.weights(&object) == wanted
                        {
                            flipped.get_or_insert_with(Instant::now);
                        }
                    }
                }
            }
            changed.zip(flipped).context("a watch ended")
        };
        println!("$ kubectl scale deployment/emoji --replicas={replicas}");
        let began = Instant::now();
        let (scaled, watched) = tokio::join!(
            self.here.scale("emoji", replicas),
            tokio::time::timeout(PATIENCE, watching)
        );
        scaled?;
        let (changed, flipped) = watched.context("the weights did not follow")??;
        Ok((flipped - began, flipped.saturating_duration_since(changed)))
    }

    async fn check(&self, wanted: &[u64], what: &str) -> Result<()> {
        let weights = self.form.weights(&self.objects.get("emoji-svc").await?);
        ensure!(weights == wanted, "expected that {what}, found {weights:?}");
        note(&format!("{what}: {wanted:?}"));
        Ok(())
    }

    async fn show_weights(&self) -> Result<()> {
        let resource = self.form.resource();
        show(self.here, &["get", &resource, "emoji-svc", "-o", self.form.columns]).await?;
        let Some(get) = self.form.carried() else { return Ok(()) };
        let weights = self.form.weights(&self.objects.get("emoji-svc").await?);
        let weights: Vec<String> = weights.iter().map(u64::to_string).collect();
        eventually("the ServiceProfile follows", PATIENCE, || async {
            let columns = self.here.kubectl(get).ok().await?;
            ensure!(columns.contains(&weights.join(",")), "{columns}");
            Ok(())
        })
        .await?;
        show(self.here, &get).await
    }

    /// Waits until the webhook warns of something.
    async fn wait_reply(&self, what: &str) -> Result<()> {
        let resource = self.form.resource();
        let ask = ["annotate", "--overwrite", "--dry-run=server", &resource, "emoji-svc", "x=y"];
        let waited_for = format!("the webhook warns of {what:?}");
        let warned = eventually(&waited_for, PATIENCE, || async {
            let output = self.here.kubectl(ask).output().await?;
            ensure!(output.stderr.contains(what), "{}", output.stderr);
            Ok::<_, anyhow::Error>(output.stderr)
        });
        print!("$ kubectl -n {NAMESPACE} {}\n{}", ask.join(" "), warned.await?);
        Ok(())
    }
}

async fn install(cluster: &Cluster, form: Form) -> Result<Installation> {
    let mut values = vec![format!("remoteClusters.credentialsNamespaces={{{LINKS}}}")];
    values.extend(form.values.iter().map(|value| (*value).to_owned()));
    let options = InstallOptions { values, replicas: 2, ..InstallOptions::default() };
    let installation = Installation::install(cluster, options).await?;
    installation.run_pods().await?;
    installation.wait_ready(PATIENCE).await?;
    let bad = bad_examples(form)?.remove(0);
    let probe = std::fs::read_to_string(test_cluster::workspace_root().join(bad))?;
    let probe = probe.replace(&format!("namespace: {NAMESPACE}"), "namespace: default");
    eventually("the API server reaches the webhook", PATIENCE, || async {
        let create = cluster.kubectl(["create", "--dry-run=server", "-n", "default", "-f", "-"]);
        let refused = create.stdin(probe.clone()).output().await?;
        ensure!(refused.stderr.contains("denied the request"), "{}", refused.stderr);
        Ok(())
    })
    .await?;
    for replica in installation.replicas() {
        note(&format!("{} is ready", replica.name()));
    }
    Ok(installation)
}

/// The manifests that are to be refused.
fn bad_examples(form: Form) -> Result<Vec<PathBuf>> {
    let mut bad: Vec<PathBuf> =
        std::fs::read_dir(test_cluster::workspace_root().join(form.folder))?
            .filter_map(|entry| Some(PathBuf::from(form.folder).join(entry.ok()?.file_name())))
            .filter(|path| {
                path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("bad-"))
            })
            .collect();
    bad.sort();
    ensure!(bad.len() == 4, "expected four bad examples, found {}", bad.len());
    Ok(bad)
}

async fn refuse_bad_examples(workload: &Workload<'_>, form: Form) -> Result<()> {
    for path in bad_examples(form)? {
        let path = path.display().to_string();
        println!("$ kubectl apply -f {path}");
        let output = workload.kubectl(["apply", "-f", &path]).output().await?;
        print!("{}{}", output.stdout, output.stderr);
        ensure!(!output.status.success(), "{path} was accepted");
        ensure!(
            output.stderr.contains("denied the request"),
            "{path} was refused by somebody else"
        );
        println!();
    }
    Ok(())
}

/// Waits for so many Events.
async fn wait_events(
    cluster: &Cluster,
    namespace: &str,
    selector: &str,
    count: usize,
) -> Result<()> {
    eventually(&format!("{count} Events with {selector}"), PATIENCE, || async {
        let get = ["get", "events", "-n", namespace, "--field-selector", selector, "-o", "name"];
        let events = cluster.kubectl(get).ok().await?;
        ensure!(events.lines().count() >= count, "{events}");
        Ok(())
    })
    .await
}

async fn show_events(cluster: &Cluster, namespace: &str, selector: &str) -> Result<()> {
    let get = ["get", "events", "-n", namespace, "--field-selector", selector];
    println!("$ kubectl {}", get.join(" "));
    print!("{}", cluster.kubectl(get).ok().await?);
    Ok(())
}

/// Prints the lines that a reader pastes to go on by hand, and waits for Ctrl-C.
async fn stay(cluster: &Cluster, form: Form) -> Result<()> {
    let tools = test_cluster::Tools::ensure()?;
    let kubectl = tools.program("kubectl");
    let program = Installation::built_binary();
    let folders: Vec<_> = [&kubectl, &program]
        .iter()
        .filter_map(|program| Some(program.parent()?.display().to_string()))
        .collect();
    let (resource, object) = (form.resource(), form.object);
    println!("Everything keeps running until Ctrl-C. Paste this in another terminal:\n");
    println!("  cd {}", test_cluster::workspace_root().display());
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  export PATH={}:$PATH\n", folders.join(":"));
    println!(
        "There you can look, take the primary's pods away, look again, and bring them back:\n"
    );
    println!("  linkerd-failover status -n {NAMESPACE}");
    println!("  kubectl -n {NAMESPACE} scale deployment/emoji --replicas=0");
    println!("  linkerd-failover explain {object} -n {NAMESPACE}");
    println!("  kubectl -n {NAMESPACE} get {resource} emoji-svc -o yaml");
    println!("  kubectl -n {NAMESPACE} scale deployment/emoji --replicas=1\n");
    println!("docs/quick-start.md goes on from here: \"Lose the primary\".");
    tokio::signal::ctrl_c().await?;
    Ok(())
}
