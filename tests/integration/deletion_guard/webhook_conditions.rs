//! Which deletions and evictions of pods the API server asks the guard's webhooks about, and what it
//! sends them. The program is not needed for it: the chart's webhooks lead to one that records
//! what it is asked, beside one without conditions that sees all that passes admission.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use axum::Json;
use axum::extract::{Path, State};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use test_cluster::{Cluster, Workload, eventually};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

const BY_POD: &str = "pods.failover.linkerd.io";
const BY_NAMESPACE: &str = "namespaced-pods.failover.linkerd.io";
const EVICTION: &str = "evictions.failover.linkerd.io";
/// Without any condition.
const ALL: &str = "all.example.com";

/// A question: the webhook that is asked, and the request.
type Question = (String, Value);

#[derive(Clone, Default)]
struct Recorder {
    questions: Arc<Mutex<Vec<Question>>>,
    /// Whether the guard's webhooks keep who asks waiting.
    hold: Arc<watch::Sender<bool>>,
}

struct Tls(TcpListener, TlsAcceptor);

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            if let Ok((stream, from)) = self.0.accept().await
                && let Ok(stream) = self.1.accept(stream).await
            {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

async fn answer(
    State(recorder): State<Recorder>,
    Path(webhook): Path<String>,
    Json(review): Json<Value>,
) -> Json<Value> {
    let request = review["request"].clone();
    let response = json!({"uid": request["uid"], "allowed": true});
    let holds = webhook != ALL;
    recorder.questions.lock().unwrap().push((webhook, request));
    if holds {
        let _ = recorder.hold.subscribe().wait_for(|hold| !hold).await;
    }
    Json(json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
    }))
}

impl Recorder {
    /// Listens, and has the API server ask.
    async fn start(cluster: &Cluster) -> Result<Self> {
        let recorder = Self::default();
        let identity = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        let key = PrivateKeyDer::Pkcs8(identity.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![identity.cert.der().clone()], key)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let listener = Tls(listener, TlsAcceptor::from(Arc::new(config)));
        let router = axum::Router::new().route("/{webhook}", axum::routing::post(answer));
        let serve = axum::serve(listener, router.with_state(recorder.clone()));
        tokio::spawn(async move { serve.await });

        let bundle = json!(ByteString(identity.cert.pem().into_bytes()));
        let at =
            |name: &str| json!({"url": format!("https://{address}/{name}"), "caBundle": bundle});
        let mut configuration = guarding(cluster, &[]).await?;
        let webhooks = configuration["webhooks"].as_array_mut().context("no webhooks")?;
        for webhook in webhooks.iter_mut() {
            webhook["clientConfig"] = at(webhook["name"].as_str().context("no name")?);
            // A busy machine must not make the API server go on without an answer.
            webhook["timeoutSeconds"] = json!(30);
        }
        let rule = |resource, operation| {
            json!({
                "apiGroups": [""], "apiVersions": ["v1"],
                "resources": [resource], "operations": [operation],
            })
        };
        webhooks.push(json!({
            "name": ALL, "clientConfig": at(ALL), "admissionReviewVersions": ["v1"],
            "sideEffects": "None", "failurePolicy": "Fail",
            "rules": [rule("pods", "DELETE"), rule("pods/eviction", "CREATE")],
        }));
        cluster.apply(&configuration.to_string()).await?;
        // The API server takes a moment to see it.
        eventually("the webhooks are asked", PATIENCE, || async {
            cluster
                .apply(&pod("default", "first", &[("failover.linkerd.io/guard", "enabled")]))
                .await?;
            cluster.kubectl(["delete", "pod", "first"]).ok().await?;
            ensure!(recorder.asked("first") == [BY_POD], "not yet");
            Ok(())
        })
        .await?;
        Ok(recorder)
    }

    /// Every question about a pod.
    fn about(&self, pod: &str) -> Vec<Question> {
        let questions = self.questions.lock().unwrap();
        let named = |(_, request): &&Question| {
            // A collection's deletion names no object.
            request["oldObject"]["metadata"]["name"] == pod || request["name"] == pod
        };
        questions.iter().filter(named).cloned().collect()
    }

    /// The guard's webhooks that were asked about a pod. Each is asked again where the pod has changed
    /// meanwhile, as in the test of that.
    fn asked(&self, pod: &str) -> Vec<String> {
        let guards = self.about(pod).into_iter().filter(|(name, _)| name != ALL);
        let names = guards.map(|(name, request)| {
            let going = &request["oldObject"]["metadata"]["deletionTimestamp"];
            assert!(going.is_null(), "{name} is asked about what goes already: {request}");
            name
        });
        names.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// What an unconditional webhook was asked first about a pod.
    fn first(&self, pod: &str) -> Result<Value> {
        let questions = self.about(pod).into_iter();
        let first = questions.filter(|(name, _)| name == ALL).map(|(_, request)| request).next();
        first.with_context(|| format!("nothing about {pod} has passed admission"))
    }

    /// The grace period of a deletion, as the API server sends it.
    fn grace(&self, pod: &str) -> Result<Value> {
        Ok(self.first(pod)?["options"]["gracePeriodSeconds"].clone())
    }
}

/// The guard's webhooks, as the chart renders them.
async fn guarding(cluster: &Cluster, values: &[&str]) -> Result<Value> {
    let arguments: Vec<&str> = values.iter().flat_map(|value| ["--set", value]).collect();
    let kind = "ValidatingWebhookConfiguration";
    let mut configuration = rendered(cluster, &arguments, kind).await?.remove(0);
    let webhooks = configuration["webhooks"].as_array_mut().context("no webhooks")?;
    webhooks.retain(|webhook| {
        webhook["rules"][0]["resources"][0].as_str().is_some_and(|r| r.starts_with("pods"))
    });
    assert_eq!(webhooks.len(), 3);
    Ok(configuration)
}

/// A pod on the kwok node, with a grace of 30 s.
fn pod(namespace: &str, name: &str, labels: &[(&str, &str)]) -> String {
    on("kwok", 30, namespace, name, labels)
}

fn on(node: &str, grace: i64, namespace: &str, name: &str, labels: &[(&str, &str)]) -> String {
    let mut labels: serde_json::Map<_, _> =
        labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    labels.insert("test".into(), json!(name));
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": grace,
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "a", "image": "a"}],
        },
    });
    if !node.is_empty() {
        pod["spec"]["nodeName"] = json!(node);
    }
    pod.to_string()
}

/// A namespace with or without the guard's label, in which pods may be made.
async fn namespace<'a>(cluster: &'a Cluster, name: &str, guarded: bool) -> Result<Workload<'a>> {
    let workload = Workload::new(cluster, name).await?;
    if guarded {
        let label = "failover.linkerd.io/guard=enabled";
        cluster.kubectl(["label", "namespace", name, label]).ok().await?;
    }
    eventually("the namespace has its account", PATIENCE, || async {
        workload.kubectl(["get", "serviceaccount", "default"]).ok().await
    })
    .await?;
    Ok(workload)
}

async fn evict(workload: &Workload<'_>, pod: &str, query: &str) -> Result<test_cluster::Output> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction",
        "metadata": {"namespace": workload.namespace(), "name": pod},
    });
    let path = format!("/api/v1/namespaces/{}/pods/{pod}/eviction{query}", workload.namespace());
    workload
        .kubectl(["create", "--raw", &path, "-f", "-"])
        .stdin(eviction.to_string())
        .output()
        .await
}

async fn drain(workload: &Workload<'_>, pod: &str, more: &[&str]) -> Result<()> {
    let selector = format!("--pod-selector=test={pod}");
    let drain = ["drain", "kwok", "--force", &selector];
    workload.cluster().kubectl(drain).args(more.iter().copied()).ok().await.map(drop)
}

async fn gone(workload: &Workload<'_>, pod: &str) -> Result<()> {
    let pods: Api<Pod> = workload.api();
    eventually(&format!("{pod} is gone"), PATIENCE, || async {
        ensure!(pods.get_opt(pod).await?.is_none(), "it is there");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_say_which_losses_are_announced_each_to_one_webhook() -> Result<()> {
    let cluster = cluster().await?;
    let failed_before = failed_conditions(&cluster).await?;
    let recorder = Recorder::start(&cluster).await?;
    for (place, guarded) in [("plain", false), ("guarded", true)] {
        let workload = namespace(&cluster, place, guarded).await?;
        for (who, labels) in
            [("any", &[][..]), ("own", &[("failover.linkerd.io/guard", "enabled")])]
        {
            let name = |how: &str| format!("{place}-{who}-{how}");
            let all = ["delete", "dry", "force", "evict", "dry-evict", "drain", "dry-drain"];
            let pods: Vec<_> = all.iter().map(|how| pod(place, &name(how), labels)).collect();
            workload.apply(&pods.join("\n---\n")).await?;
            workload.kubectl(["wait", "--for=condition=Ready", "pod", "--all"]).ok().await?;

            workload.kubectl(["delete", "pod", &name("delete")]).ok().await?;
            workload.kubectl(["delete", "pod", &name("dry"), "--dry-run=server"]).ok().await?;
            let force = ["delete", "pod", &name("force"), "--force", "--grace-period=0"];
            workload.kubectl(force).ok().await?;
            let evicted = evict(&workload, &name("evict"), "").await?;
            ensure!(evicted.status.success(), "{}", evicted.stderr);
            gone(&workload, &name("evict")).await?;
            let evicted = evict(&workload, &name("dry-evict"), "?dryRun=All").await?;
            ensure!(evicted.status.success(), "{}", evicted.stderr);
            drain(&workload, &name("drain"), &[]).await?;
            drain(&workload, &name("dry-drain"), &["--dry-run=server"]).await?;

            let deletions: &[&str] = match (guarded, who) {
                (_, "own") => &[BY_POD],
                (true, _) => &[BY_NAMESPACE],
                (false, _) => &[],
            };
            // Not by the pod's own label: an Eviction does not have it, nor is its deletion seen.
            let evictions: &[&str] = if guarded { &[EVICTION] } else { &[] };
            for (how, wanted) in [
                ("delete", deletions),
                ("dry", &[]),
                ("force", &[]),
                ("evict", evictions),
                ("dry-evict", &[]),
                ("drain", evictions),
                ("dry-drain", &[]),
            ] {
                assert_eq!(recorder.asked(&name(how)), wanted, "{}", name(how));
                // What was not asked about has passed admission all the same.
                recorder.first(&name(how))?;
            }
            assert_eq!(recorder.first(&name("dry"))?["dryRun"], true);
            assert_eq!(recorder.first(&name("dry-evict"))?["dryRun"], true);
            let drained = recorder.first(&name("dry-drain"))?;
            assert_eq!(drained["dryRun"], false, "kubectl sends it elsewhere:");
            assert_eq!(drained["object"]["deleteOptions"]["dryRun"], json!(["All"]));
        }
    }
    assert_eq!(failed_conditions(&cluster).await?, failed_before);
    Ok(())
}

/// How often a condition of a webhook could not be evaluated: it is then taken for one that excludes.
async fn failed_conditions(cluster: &Cluster) -> Result<f64> {
    let metrics = cluster.get_raw("/metrics").await?;
    let errors = "match_condition_evaluation_errors_total{";
    let failed = metrics.lines().filter(|line| line.contains(errors));
    Ok(failed.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_deletion_is_reviewed_and_one_of_a_terminating_pod_is_not_reviewed_again()
-> Result<()> {
    let cluster = cluster().await?;
    let failed_before = failed_conditions(&cluster).await?;
    let recorder = Recorder::start(&cluster).await?;
    let workload = namespace(&cluster, "guarded", true).await?;
    let pods: Api<Pod> = workload.api();
    let names = || async {
        let list = pods.list(&ListParams::default().labels("app=emoji-svc")).await?;
        anyhow::Ok(list.items.into_iter().filter_map(|p| p.metadata.name).collect::<Vec<_>>())
    };

    // Kubernetes' own controllers; these pods have a grace of 0 of their own.
    for how in ["scale", "delete"] {
        workload.deploy_emoji(2).await?;
        let replicas = names().await?;
        match how {
            "scale" => workload.scale("emoji", 0).await?,
            _ => drop(workload.kubectl(["delete", "deployment", "emoji"]).ok().await?),
        }
        for name in &replicas {
            gone(&workload, name).await?;
            assert_eq!(recorder.asked(name), [BY_NAMESPACE], "{how} {name}");
            assert_eq!(recorder.grace(name)?, 0);
        }
        let user = recorder.first(&replicas[0])?["userInfo"]["username"].to_string();
        let controller =
            if how == "scale" { "replicaset-controller" } else { "generic-garbage-collector" };
        assert!(user.contains(controller), "{user}");
    }

    // The grace period that is sent is the one that applies, whoever set it.
    for (name, node, grace, more, expected, asked) in [
        ("thirty", "kwok", 30, None, 30, true),
        ("none", "kwok", 0, None, 0, true),
        ("now", "kwok", 30, Some("--now"), 1, true),
        ("unscheduled", "", 30, None, 0, false),
    ] {
        workload.apply(&on(node, grace, "guarded", name, &[])).await?;
        if !node.is_empty() {
            workload.kubectl(["wait", "--for=condition=Ready", "pod", name]).ok().await?;
        }
        workload.kubectl(["delete", "pod", name]).args(more).ok().await?;
        assert_eq!(recorder.grace(name)?, expected, "{name}");
        let wanted: &[&str] = if asked { &[BY_NAMESPACE] } else { &[] };
        assert_eq!(recorder.asked(name), wanted, "{name}");
    }

    // No kubelet: it stays for as long as it is let.
    workload.apply(&on("nowhere", 30, "guarded", "going", &[])).await?;
    workload.kubectl(["delete", "pod", "going", "--wait=false"]).ok().await?;
    for sooner in ["--grace-period=5", "--grace-period=1"] {
        workload.kubectl(["delete", "pod", "going", "--wait=false", sooner]).ok().await?;
    }
    workload.kubectl(["delete", "pod", "going", "--force", "--grace-period=0"]).ok().await?;
    assert_eq!(recorder.asked("going"), [BY_NAMESPACE]);
    assert!(recorder.about("going").len() > 4, "the later ones have not passed admission");

    // A collection has neither a name nor a grace period.
    for name in ["one", "two"] {
        workload.apply(&pod("guarded", name, &[])).await?;
    }
    let wait = ["wait", "--for=condition=Ready", "pod", "one", "two"];
    workload.kubectl(wait).ok().await?;
    pods.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    for name in ["one", "two"] {
        gone(&workload, name).await?;
        assert_eq!(recorder.asked(name), [BY_NAMESPACE]);
        let request = recorder.first(name)?;
        assert!(request["name"].is_null() && recorder.grace(name)?.is_null(), "{request}");
    }
    workload.apply(&pod("guarded", "last", &[])).await?;
    cluster.kubectl(["delete", "namespace", "guarded"]).ok().await?;
    assert_eq!(recorder.asked("last"), [BY_NAMESPACE]);
    assert_eq!(failed_conditions(&cluster).await?, failed_before);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_asked_about_again_where_the_pod_changes_or_a_budget_refuses() -> Result<()> {
    let cluster = cluster().await?;
    let recorder = Recorder::start(&cluster).await?;
    let workload = namespace(&cluster, "guarded", true).await?;
    for name in ["changing", "protected"] {
        workload.apply(&pod("guarded", name, &[])).await?;
    }
    workload.kubectl(["wait", "--for=condition=Ready", "pod", "--all"]).ok().await?;

    recorder.hold.send_replace(true);
    let delete = workload.kubectl(["delete", "pod", "changing"]).ok();
    let change = async {
        eventually("it is asked", PATIENCE, || async {
            ensure!(!recorder.asked("changing").is_empty(), "not yet");
            Ok(())
        })
        .await?;
        let change = json!({"metadata": {"annotations": {"example.com/a": "b"}}});
        let pods: Api<Pod> = workload.api();
        pods.patch_metadata("changing", &PatchParams::default(), &Patch::Merge(&change)).await?;
        recorder.hold.send_replace(false);
        Ok(String::new())
    };
    tokio::try_join!(delete, change)?;
    let asked: Vec<_> =
        recorder.about("changing").into_iter().filter(|(n, _)| n == BY_NAMESPACE).collect();
    assert!(asked.len() > 1, "{asked:?}");
    let pods: BTreeSet<_> =
        asked.iter().map(|(_, r)| r["oldObject"]["metadata"]["uid"].to_string()).collect();
    let requests: BTreeSet<_> = asked.iter().map(|(_, r)| r["uid"].to_string()).collect();
    assert_eq!(
        (pods.len(), requests.len()),
        (1, asked.len()),
        "by the pod's uid alone they are one"
    );

    // Admission comes before the budget.
    let budget = ["create", "pdb", "budget", "--selector=test=protected", "--min-available=1"];
    workload.kubectl(budget).ok().await?;
    for times in 1..=2 {
        let reply = evict(&workload, "protected", "").await?;
        ensure!(reply.stderr.contains("disruption budget"), "{}", reply.stderr);
        let asked = recorder.about("protected").into_iter().filter(|(name, _)| name == EVICTION);
        assert_eq!(asked.count(), times);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_choice_of_namespaces_holds_for_the_guard_too_and_no_exemption_does() -> Result<()>
{
    let cluster = cluster().await?;
    let values = [
        "namespaces={a,b}",
        "webhook.namespaceSelector.matchLabels.env=prod",
        "webhook.exemptUsers={alice}",
    ];
    let configuration = guarding(&cluster, &values).await?;
    for webhook in configuration["webhooks"].as_array().context("no webhooks")? {
        let selector = &webhook["namespaceSelector"];
        assert_eq!(selector["matchLabels"], json!({"env": "prod"}));
        let mut wanted = vec![
            json!({"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}),
        ];
        if webhook["name"] != BY_POD {
            wanted.push(json!({"key": "failover.linkerd.io/guard", "operator": "In", "values": ["enabled"]}));
        }
        assert_eq!(selector["matchExpressions"], json!(wanted));
        assert!(!webhook["matchConditions"].to_string().contains("userInfo"));
        assert_eq!(webhook["failurePolicy"], "Ignore");
        assert_eq!(
            (&webhook["timeoutSeconds"], &webhook["sideEffects"]),
            (&json!(1), &json!("NoneOnDryRun"))
        );
    }
    Ok(())
}
