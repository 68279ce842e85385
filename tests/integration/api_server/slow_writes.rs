//! Writes that hang, are refused again and again, or land without an answer.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, DynamicObject, ListParams, ResourceExt, VersionMatch};
use std::net::TcpListener;
use std::time::{Duration, Instant};
use test_cluster::{Workload, eventually};

/// A webhook that is connected to, never answers, and is ignored after 10 s: for splits that have the
/// label `hangs`.
struct Hanging(#[expect(dead_code, reason = "it listens")] TcpListener);

impl Hanging {
    async fn install(workload: &Workload<'_>, probe: &str) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let webhook = OtherWebhook {
            url: &format!("https://{}/", listener.local_addr()?),
            failure_policy: "Ignore",
            timeout_seconds: 10,
            object_selector: "{matchLabels: {hangs: 'true'}}",
        }
        .configuration("split.smi-spec.io", "trafficsplits");
        workload.apply(&webhook).await?;
        eventually("the third webhook hangs", PATIENCE, || async {
            let began = Instant::now();
            let label = ["label", "--overwrite", "--dry-run=server", "trafficsplit", probe, "x=y"];
            workload.kubectl(label).ok().await?;
            ensure!(began.elapsed() > Duration::from_secs(9), "{:?}", began.elapsed());
            Ok(())
        })
        .await?;
        Ok(Self(listener))
    }
}

fn hanging(split: &str) -> String {
    split.replace("  labels:", "  labels:\n    hangs: 'true'")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flip_lands_while_another_webhook_hangs_for_ten_seconds_each_time() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&hanging(&emoji())).await?;
    let splits = splits(&cluster, "emojivoto");
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    let _third = Hanging::install(&workload, "emoji").await?;

    let began = Instant::now();
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    println!("landed after {:?}", began.elapsed());
    wait_event(&workload, "emoji", "Failover", "Warning").await?;
    Ok(())
}

/// Ninety writes of ten seconds each, retried by turns, take 22 s where nothing else runs.
const LANDING: Duration = Duration::from_secs(300);

/// The splits that have moved, as a LIST with these parameters sees them.
async fn moved(splits: &Api<DynamicObject>, seen: &ListParams) -> Result<Vec<String>> {
    let all = splits.list(seen).await?.items;
    let moved = all.iter().filter(|split| weights(split) == [0.0, 1.0]);
    Ok(moved.map(ResourceExt::name_any).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn ninety_objects_that_hang_cost_a_healthy_one_nothing_and_hold_back_no_event() -> Result<()>
{
    let cluster = cluster().await?;
    let installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let names: Vec<String> = (0..90).map(|n| format!("hung-{n:02}")).collect();
    let hung = names.iter().map(|name| hanging(&manifest(name, "emoji-svc", &["emoji-svc-west"])));
    workload.apply(&hung.collect::<Vec<_>>().join("---\n")).await?;
    workload.apply(&emoji()).await?;
    let splits = splits(&cluster, "emojivoto");
    let _third = Hanging::install(&workload, "hung-00").await?;

    // What hangs has begun to, and the healthy one is lost together with it.
    workload.scale("emoji", 0).await?;
    let lost = Instant::now();
    let event = wait_whole_event(&workload, "emoji", "Failover", "Warning").await?;
    let seen = lost.elapsed();
    let revision = event.resource_version().context("an Event without a version")?;
    // etcd knows what had moved when the Event was written, however late a busy machine asks.
    let then = ListParams::default().at(&revision).matching(VersionMatch::Exact);
    let before = moved(&splits, &then).await?;
    let count = before.len();
    println!("{seen:?} after the scale the healthy one's Event was seen; {count} had moved");
    ensure!(
        before.iter().any(|name| name == "emoji"),
        "the Event came before the flip: {before:?}"
    );
    ensure!(count < 45, "the healthy one waited for those that hang: {count} had moved");
    eventually("all of them land", LANDING, || async {
        let count = moved(&splits, &ListParams::default()).await?.len();
        ensure!(count == 91, "{count}");
        Ok(())
    })
    .await?;
    println!("all landed after {:?}", lost.elapsed());
    let dropped = installation.replicas()[0].get("/metrics").await?;
    let dropped = metric(&dropped, "linkerd_failover_events_dropped_total").unwrap_or_default();
    assert_eq!(dropped, 0.0);
    eventually("each has its Event", LANDING, || async {
        let events = workload.api::<Event>().list(&ListParams::default()).await?;
        let failovers =
            events.items.iter().filter(|event| event.reason.as_deref() == Some("Failover"));
        let count = failovers.count();
        ensure!(count == 91, "{count}");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_lands_without_an_answer_has_its_event_and_its_metric() -> Result<()> {
    let cluster = cluster().await?;
    let (installation, proxy) = install_behind_a_proxy(&cluster).await?;
    let (workload, _west, splits) = emojivoto_with_split(&cluster).await?;

    proxy.freeze_answers("/trafficsplits/emoji");
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    wait_event(&workload, "emoji", "Failover", "Warning").await?;
    let flips = "linkerd_failover_flips_total{to=\"fallback\"}";
    wait_metric(&installation.replicas()[0], flips, 1.0).await?;
    proxy.thaw();
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[1.0, 0.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicts_and_not_found_are_retried_and_reported_once_they_last() -> Result<()> {
    let cluster = cluster().await?;
    let (_installation, proxy) = install_behind_a_proxy(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    for name in ["one", "two"] {
        workload.apply(&manifest(name, "emoji-svc", &["emoji-svc-west"])).await?;
    }
    let splits = splits(&cluster, "emojivoto");
    let status = |code: u16, reason: &str| {
        let text = format!(
            r#"{{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"by the proxy","reason":"{reason}","code":{code}}}"#
        );
        text
    };
    let json = "application/json";
    proxy.answer("/trafficsplits/one", 409, json, &status(409, "Conflict"));
    proxy.answer("/trafficsplits/two", 404, json, &status(404, "NotFound"));
    let lost = Timestamp::now();
    workload.scale("emoji", 0).await?;
    for (name, why) in [("one", "409 Conflict"), ("two", "404 Not Found")] {
        let note = wait_event(&workload, name, "FailoverRefused", "Warning").await?;
        note.find(why).with_context(|| note.clone())?;
    }
    let events = workload.api::<Event>().list(&ListParams::default()).await?.items;
    for event in events.iter().filter(|e| e.reason.as_deref() == Some("FailoverRefused")) {
        let at = event.event_time.as_ref().context("no time")?.0;
        let after = lost.duration_until(at);
        ensure!(after >= SignedDuration::from_secs(5), "reported after {after}");
    }
    proxy.thaw();
    for name in ["one", "two"] {
        wait_weights(&splits, name, &[0.0, 1.0]).await?;
    }
    Ok(())
}
