//! A Service that is declared down until a time: every object that names it leaves, and returns.

use crate::support::*;
use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Service;
use kube::api::{Patch, PatchParams};
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use test_cluster::{Workload, eventually};

const KEPT: &str = "linkerd_failover_declared_down_kept_objects";
const BY_PERSON: &str = r#"linkerd_failover_declared_down_services{by="person"}"#;

/// Sets or removes the annotation without kubectl, which takes a busy machine a while to start.
async fn declare(workload: &Workload<'_>, until: Value) -> Result<()> {
    let annotations = json!({
        "failover.linkerd.io/down-until": until, "failover.linkerd.io/down-reason": "answers 500",
    });
    let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
    let services = workload.api::<Service>();
    services.patch("emoji-svc", &PatchParams::default(), &patch).await?;
    Ok(())
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::now() + SignedDuration::from_secs(seconds)
}

/// A split with this annotation.
fn with(name: &str, annotation: &str) -> String {
    let annotation = format!("  annotations:\n    failover.linkerd.io/{annotation}\n  labels:");
    named(name).replace("  labels:", &annotation)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_object_fails_over_from_a_declared_service_at_once_and_returns_and_the_wait_survives_a_change_of_leader()
-> Result<()> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let installation = install(&cluster, 2, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    let mut of_another_name = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    of_another_name["metadata"]["name"] = json!("route");
    workload.apply(&of_another_name.to_string()).await?;
    wait_rules(&routes, "route", &[vec![1, 0]]).await?;
    workload.apply(&with("delayed", "failover-delay: 1h")).await?;
    workload.apply(&with("manual", "failback: manual")).await?;
    for name in ["delayed", "manual"] {
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
    }

    let until = in_seconds(20);
    declare(&workload, json!(until.to_string())).await?;
    for name in ["emoji", "delayed", "manual"] {
        let left = wait_weights(&splits, name, &[0.0, 1.0]).await?;
        let why = state(&left).unwrap().sets[""].why.clone();
        assert!(why.contains("emoji-svc: declared down until"), "{why}");
        assert!(why.contains("(by hand: answers 500), 1 of 1 endpoints ready"), "{why}");
    }
    wait_rules(&routes, "route", &[vec![0, 1]]).await?;
    wait_metric_of_all(&installation, BY_PERSON, 1.0).await?;
    let note = wait_event(&workload, "emoji-svc", "DeclaredDown", "Warning").await?;
    assert!(note.contains("Failover objects that name it: 4"), "{note}");

    for name in ["emoji", "delayed"] {
        wait_weights(&splits, name, &[1.0, 0.0]).await?;
        assert!(Timestamp::now() >= until, "{name} has returned too early");
    }
    wait_rules(&routes, "route", &[vec![1, 0]]).await?;
    wait_event(&workload, "emoji-svc", "DeclaredDown", "Normal").await?;
    wait_metric_of_all(&installation, BY_PERSON, 0.0).await?;
    assert_eq!(weights(&splits.get("manual").await?), [0.0, 1.0], "a person ends that stay");

    // Declared again soon after its return, and the signal goes away with the traffic: it stays away.
    declare(&workload, json!(in_seconds(600).to_string())).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    declare(&workload, Value::Null).await?;
    wait_metric_of_all(&installation, BY_PERSON, 0.0).await?;
    let first = leader(&cluster, &installation).await?;
    first.process().terminate(PATIENCE).await?;
    let second = leader(&cluster, &installation).await?;
    // The new leader acts.
    let pin = json!({"metadata": {"annotations": {"failover.linkerd.io/pin": "emoji-svc"}}});
    splits.patch("manual", &PatchParams::default(), &Patch::Merge(pin)).await?;
    wait_weights(&splits, "manual", &[1.0, 0.0]).await?;
    let waits = splits.get("emoji").await?;
    assert_eq!(weights(&waits), [0.0, 1.0]);
    let state = annotation(&waits, "state").unwrap_or_default();
    assert_eq!(state["sets"][""]["down"]["emoji-svc"]["least"], json!(120), "{state}");
    let note = wait_event(&workload, "emoji", "DeclaredDown", "Warning").await?;
    assert!(note.starts_with("Traffic stays off emoji-svc until"), "{note}");
    assert!(
        note.ends_with("splits.split.smi-spec.io emoji failover.linkerd.io/pin=emoji-svc"),
        "{note}"
    );
    let prolonged = "linkerd_failover_declared_down_prolonged_objects";
    // The one whose pin has ended its stay is not among them.
    wait_metric(&second, prolonged, 3.0).await?;

    // Where no other backend is ready traffic stays, and that is said.
    west.set_not_ready().await?;
    declare(&workload, json!(in_seconds(3_600).to_string())).await?;
    wait_metric(&second, KEPT, 3.0).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_and_past_the_webhook_it_moves_nothing_and_is_reported()
-> Result<()> {
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, west, splits) = emojivoto_with_split(&cluster).await?;

    let annotate = |until: &str| {
        let until = format!("failover.linkerd.io/down-until={until}");
        workload.kubectl(["annotate", "--overwrite", "service", "emoji-svc"]).args([until]).output()
    };
    let soon = annotate("soon").await?;
    assert!(soon.stderr.contains("denied the request"), "{}", soon.stderr);
    assert!(soon.stderr.contains("expected an RFC 3339 time such as"), "{}", soon.stderr);
    let past = annotate("2020-01-01T00:00:00Z").await?;
    assert!(past.status.success(), "{}", past.stderr);
    assert!(past.stderr.contains("this has no effect"), "{}", past.stderr);
    west.set_not_ready().await?;
    eventually("a warning names the object without another ready backend", PATIENCE, || async {
        let warned = annotate(&in_seconds(600).to_string()).await?.stderr;
        ensure!(
            warned.contains("none is ready in TrafficSplit emoji (emoji-svc-west: "),
            "{warned}"
        );
        Ok(())
    })
    .await?;
    let note = wait_event(&workload, "emoji", "DeclaredDown", "Warning").await?;
    assert!(
        note.starts_with("Traffic stays on emoji-svc, which counts as declared down"),
        "{note}"
    );
    declare(&workload, Value::Null).await?;
    wait_metric_of_all(&installation, BY_PERSON, 0.0).await?;
    west.set_ready().await?;

    // It must never stand in the way.
    installation.webhook_down()?;
    declare(&workload, json!("soon")).await?;
    let note = wait_event(&workload, "emoji-svc", "DeclaredDownUnreadable", "Warning").await?;
    assert!(note.contains(r#"Counts as absent: metadata.annotations"#), "{note}");
    let leader = leader(&cluster, &installation).await?;
    wait_metric(&leader, "linkerd_failover_declared_down_unreadable", 1.0).await?;
    assert_eq!(weights(&splits.get("emoji").await?), [1.0, 0.0]);

    declare(&workload, json!(in_seconds(600).to_string())).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    installation.webhook_up()?;
    // A person takes it back before its time.
    declare(&workload, Value::Null).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_program_has_set_is_removed_once_it_has_run_out_and_a_persons_own_is_not()
-> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let services = workload.api::<Service>();
    let by = json!({"v": 1, "person": "jane", "since": "2020-01-01T00:00:00Z"}).to_string();
    for (service, by) in [("emoji-svc", json!(by)), ("emoji-svc-west", Value::Null)] {
        let annotations = json!({
            "failover.linkerd.io/down-until": "2020-01-01T00:30:00Z",
            "failover.linkerd.io/down-reason": "drill",
            "failover.linkerd.io/down-by": by,
        });
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        services.patch(service, &PatchParams::default(), &patch).await?;
    }
    let _installation = install(&cluster, 1, &["alerts.enabled=true"]).await?;
    let ours = |service: Service| {
        let annotations = service.metadata.annotations.unwrap_or_default();
        annotations.into_keys().filter(|name| name.starts_with("failover.linkerd.io/")).count()
    };
    eventually("what has run out is removed", PATIENCE, || async {
        let left = ours(services.get("emoji-svc").await?);
        ensure!(left == 0, "{left}");
        Ok(())
    })
    .await?;
    assert_eq!(ours(services.get("emoji-svc-west").await?), 2);
    Ok(())
}
