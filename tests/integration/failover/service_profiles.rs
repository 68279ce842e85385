//! ServiceProfiles written here, in the place of the linkerd-smi adaptor.

use crate::support::*;
use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt};
use kube::api::{Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use linkerd_failover::kinds::service_profile;
use serde_json::{Value, json};
use std::time::Duration;
use test_cluster::{Cluster, Workload, eventually};

const SKIP: &str = "smi.linkerd.io/skip";
const EMOJI: &str = "emoji-svc.emojivoto.svc.cluster.local";
const WEST: &str = "emoji-svc-west.emojivoto.svc.cluster.local";
const MANAGE: &str = "serviceProfiles.manage=true";
const WRITTEN: &str = "linkerd_failover_service_profile_writes_total{result=\"ok\"}";

async fn cluster_with_profiles() -> Result<Cluster> {
    let cluster = cluster().await?;
    cluster.install_service_profile_crd().await?;
    Ok(cluster)
}

fn profiles(cluster: &Cluster) -> Api<DynamicObject> {
    Api::namespaced_with(cluster.client(), "emojivoto", &service_profile::api_resource())
}

fn overrides(weights: [u32; 2]) -> Value {
    json!([
        {"authority": EMOJI, "weight": weights[0].to_string()},
        {"authority": WEST, "weight": weights[1].to_string()},
    ])
}

async fn wait_overrides(
    profiles: &Api<DynamicObject>,
    name: &str,
    wanted: Value,
) -> Result<DynamicObject> {
    eventually(&format!("{name} has {wanted}"), PATIENCE, || async {
        let profile = profiles.get(name).await?;
        let found = &profile.data["spec"]["dstOverrides"];
        ensure!(*found == wanted, "{found}");
        Ok::<_, anyhow::Error>(profile)
    })
    .await
}

/// A profile without any mark of ours.
async fn wait_given_back(
    profiles: &Api<DynamicObject>,
    name: &str,
    overrides: Value,
) -> Result<DynamicObject> {
    let what = format!("{name} is given back with {overrides}");
    eventually(&what, PATIENCE, || async {
        let profile = profiles.get(name).await?;
        let (annotations, labels) = (profile.annotations(), profile.labels());
        let ours = annotations.keys().chain(labels.keys());
        let ours: Vec<_> = ours.filter(|k| k.contains("linkerd.io/")).collect();
        ensure!(ours.is_empty(), "{ours:?}");
        ensure!(profile.owner_references().is_empty(), "it has an owner");
        ensure!(profile.data["spec"]["dstOverrides"] == overrides, "{}", profile.data);
        Ok::<_, anyhow::Error>(profile)
    })
    .await
}

async fn wait_gone(profiles: &Api<DynamicObject>, name: &str) -> Result<()> {
    eventually(&format!("{name} is gone"), PATIENCE, || async {
        let there = profiles.get_opt(name).await?;
        ensure!(there.is_none(), "{there:?}");
        Ok(())
    })
    .await
}

/// A user's profile with all that one may hold.
fn users(name: &str) -> Value {
    json!({
        "apiVersion": "linkerd.io/v1alpha2", "kind": "ServiceProfile",
        "metadata": {"name": name, "namespace": "emojivoto", "annotations": {"note": "mine"},
            "labels": {"team": "emoji"}},
        "spec": {
            "routes": [{"name": "GET /", "condition": {"method": "GET", "pathRegex": "/"},
                "timeout": "300ms", "isRetryable": true}],
            "retryBudget": {"minRetriesPerSecond": 10, "retryRatio": 0.2, "ttl": "10s"},
            "opaquePorts": ["3306"],
            "dstOverrides": [{"authority": "canary.emojivoto.svc.cluster.local", "weight": "1"}],
        },
    })
}

/// Ends with the overrides of the first profile that is seen to send traffic nowhere.
fn watch_for_all_zero(profiles: Api<DynamicObject>) -> tokio::task::JoinHandle<Result<Value>> {
    tokio::spawn(async move {
        let mut events = profiles.watch(&WatchParams::default(), "0").await?.boxed();
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(profile) | WatchEvent::Modified(profile) = event {
                let overrides = &profile.data["spec"]["dstOverrides"];
                let list = overrides.as_array().cloned().unwrap_or_default();
                if list.iter().all(|o| o["weight"] == "0") {
                    return Ok(overrides.clone());
                }
            }
        }
        std::future::pending().await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flip_is_in_the_profile_and_what_else_it_says_stays_to_the_byte() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let installation = install(&cluster, 2, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    for name in ["web-svc", "web-svc-west"] {
        workload.service_with_slice(name, 1).await?;
    }
    let profiles = profiles(&cluster);
    let web = "web-svc.emojivoto.svc.cluster.local";
    workload.apply(&users(web).to_string()).await?;
    let mut before = profiles.get(web).await?;
    let never_all_zero = watch_for_all_zero(profiles.clone());

    workload.apply(&emoji()).await?;
    let made = wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    assert_eq!(made.annotations()[SKIP], "true", "an adaptor would write it too");
    assert_eq!(made.owner_references()[0].name, "emoji");
    workload.apply(&manifest("web", "web-svc", &["web-svc-west"])).await?;
    let failed_over = |weights: [&str; 2]| {
        json!([
            {"authority": web, "weight": weights[0]},
            {"authority": "web-svc-west.emojivoto.svc.cluster.local", "weight": weights[1]},
        ])
    };
    wait_overrides(&profiles, web, failed_over(["1", "0"])).await?;

    workload.scale("emoji", 0).await?;
    workload.set_ready("web-svc", 0).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "emoji", &[0.0, 1.0]).await?;
    let mut taken = wait_overrides(&profiles, web, failed_over(["0", "1"])).await?;
    assert!(taken.annotations().contains_key(SKIP) && taken.owner_references().is_empty());
    for profile in [&mut before, &mut taken] {
        profile.data["spec"]["dstOverrides"].take();
    }
    assert_eq!(taken.data["spec"].to_string(), before.data["spec"].to_string());
    assert_eq!(taken.annotations()["note"], "mine");

    workload.scale("emoji", 1).await?;
    workload.set_ready("web-svc", 1).await?;
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    wait_overrides(&profiles, web, failed_over(["1", "0"])).await?;

    // By hand, while nothing else is to be written.
    let pause = ["annotate", "trafficsplit", "emoji", "failover.linkerd.io/paused=true"];
    workload.kubectl(pause).ok().await?;
    workload
        .apply(&emoji().replace("weight: 0", "weight: 3").replace(
            "  labels:",
            "  annotations:\n    failover.linkerd.io/paused: \"true\"\n  labels:",
        ))
        .await?;
    wait_overrides(&profiles, EMOJI, overrides([1, 3])).await?;

    ensure!(!never_all_zero.is_finished(), "all-zero: {:?}", never_all_zero.await);
    never_all_zero.abort();
    // Seven sets of overrides, each written once, or by both replicas where the leader was late. A write
    // is seen before it is answered, and counted then.
    eventually("seven sets of overrides are counted", PATIENCE, || async {
        let written = total(&installation, WRITTEN).await?;
        ensure!((7.0..=14.0).contains(&written), "{written} writes");
        Ok(())
    })
    .await?;
    assert_eq!(total(&installation, &WRITTEN.replace("ok", "failed")).await?, 0.0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_seen_before_its_slow_write_is_answered_is_counted_once() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let (installation, proxy) = install_behind_a_proxy_with(&cluster, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let profiles = profiles(&cluster);
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    let replica = &installation.replicas()[0];
    wait_metric(replica, WRITTEN, 1.0).await?;

    proxy.freeze_answers(format!("/serviceprofiles/{EMOJI}"));
    workload.scale("emoji", 0).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    wait_metric(replica, "linkerd_failover_writes_slow", 1.0).await?;
    // The split is reconciled again meanwhile.
    let note = ["annotate", "trafficsplit", "emoji", "example.com/note=seen"];
    workload.kubectl(note).ok().await?;
    wait_metric(replica, WRITTEN, 2.0).await?;
    proxy.thaw();
    workload.scale("emoji", 1).await?;
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    wait_metric(replica, WRITTEN, 3.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_steps_in_writes_the_profile_with_the_split() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let installation = install(&cluster, 2, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let profiles = profiles(&cluster);
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    let dead = leader(&cluster, &installation).await?;
    let standby = other(&installation, &dead)?;
    dead.process().kill()?;
    let _lease = RenewedLease::of_the_dead(&cluster);
    workload.scale("emoji", 0).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "emoji", &[0.0, 1.0]).await?;
    // Had it waited for the Lease, this would be 0. What is written is counted once it is answered.
    wait_metric(&standby, "linkerd_failover_rescues_total", 1.0).await?;
    wait_metric(&standby, WRITTEN, 1.0).await
}

/// A split on web-svc, whose profile was there before it, and one on emoji-svc.
async fn two_kinds_of_profiles(workload: &Workload<'_>, web: &str) -> Result<()> {
    for name in ["web-svc", "web-svc-west"] {
        workload.service_with_slice(name, 1).await?;
    }
    workload.apply(&users(web).to_string()).await?;
    workload.apply(&emoji()).await?;
    workload.apply(&manifest("web", "web-svc", &["web-svc-west"])).await?;
    Ok(())
}

const UNLABEL: [&str; 4] = ["label", "trafficsplit", "emoji", "failover.linkerd.io/controlled-by-"];

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_given_back_when_its_split_is_unmanaged_or_deleted() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let _installation = install(&cluster, 1, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let profiles = profiles(&cluster);
    let web = "web-svc.emojivoto.svc.cluster.local";
    two_kinds_of_profiles(&workload, web).await?;
    workload.scale("emoji", 0).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;

    // The webhook gives the author's weights back in that same write.
    workload.kubectl(UNLABEL).ok().await?;
    wait_given_back(&profiles, EMOJI, overrides([1, 0])).await?;
    // And managed again: it was there before now, so it outlives the split.
    let label = "failover.linkerd.io/controlled-by=linkerd-failover";
    workload.kubectl(["label", "trafficsplit", "emoji", label]).ok().await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    workload.kubectl(["delete", "trafficsplit", "emoji"]).ok().await?;
    wait_given_back(&profiles, EMOJI, Value::Null).await?;

    let given_back = users(web)["spec"]["routes"].clone();
    workload.kubectl(["delete", "trafficsplit", "web"]).ok().await?;
    let left = wait_given_back(&profiles, web, Value::Null).await?;
    assert_eq!(left.data["spec"]["routes"], given_back);
    assert_eq!(left.annotations()["note"], "mine");

    // Made here: it goes with its split.
    workload.kubectl(["delete", "serviceprofile", EMOJI]).ok().await?;
    workload.apply(&emoji()).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    workload.kubectl(["delete", "trafficsplit", "emoji"]).ok().await?;
    wait_gone(&profiles, EMOJI).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_splits_while_nobody_runs_reaches_their_profiles_afterwards() -> Result<()>
{
    let cluster = cluster_with_profiles().await?;
    let values = [MANAGE, "webhook.failurePolicy.validating=Ignore"];
    let installation = install(&cluster, 1, &values).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let profiles = profiles(&cluster);
    let web = "web-svc.emojivoto.svc.cluster.local";
    two_kinds_of_profiles(&workload, web).await?;
    workload.apply(&manifest("gone", "emoji-svc-west", &["emoji-svc"])).await?;
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    eventually("all have profiles", PATIENCE, || async {
        let marked = profiles.list(&Default::default()).await?;
        let count = marked.items.iter().filter(|p| p.annotations().contains_key(SKIP)).count();
        ensure!(count == 3, "{count}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;

    installation.replicas()[0].process().kill()?;
    installation.replicas()[0].process().wait_exit(PATIENCE).await?;
    workload.kubectl(UNLABEL).ok().await?;
    for name in ["web", "gone"] {
        workload.kubectl(["delete", "trafficsplit", name]).ok().await?;
    }
    // Kubernetes itself removes what was made here.
    wait_gone(&profiles, WEST).await?;
    assert!(profiles.get(EMOJI).await?.annotations().contains_key(SKIP));

    installation.replicas()[0].restart().await?;
    wait_given_back(&profiles, EMOJI, overrides([1, 0])).await?;
    wait_given_back(&profiles, web, Value::Null).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_refused_holds_up_no_split_and_lands_afterwards() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let installation = install(&cluster, 1, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let (profiles, splits) = (profiles(&cluster), splits(&cluster, "emojivoto"));
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;

    refuse_updates(&workload, ("linkerd.io", "serviceprofiles"), EMOJI).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;
    let note = wait_event(&workload, "emoji", "ProfileRefused", "Warning").await?;
    assert!(note.contains(EMOJI) && note.contains(OTHER_WEBHOOK), "{note}");
    let failed = WRITTEN.replace("ok", "failed");
    let tries = || async {
        let tries = metric(&installation.replicas()[0].get("/metrics").await?, &failed);
        tries.context("no tries")
    };
    eventually("it is tried again", PATIENCE, || async {
        let tries = tries().await?;
        ensure!(tries >= 2.0, "{tries}");
        Ok::<_, anyhow::Error>(())
    })
    .await?;
    // And not as fast as it can be.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let tries = tries().await?;
    assert!((2.0..30.0).contains(&tries), "{tries} tries");
    let metrics = installation.replicas()[0].get("/metrics").await?;
    // Nor is the split written again.
    assert_eq!(sum_of_metric(&metrics, "linkerd_failover_flips_total"), 1.0);

    accept_updates(&cluster).await?;
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_keeps_changing_a_profile_is_put_right_and_named_and_not_fought() -> Result<()> {
    let cluster = cluster_with_profiles().await?;
    let installation = install(&cluster, 1, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let profiles = profiles(&cluster);
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;
    let undoing = {
        let profiles = profiles.clone();
        tokio::spawn(async move {
            let undo = json!({"spec": {"dstOverrides": overrides([5, 5])}});
            let mut undone = 0_u32;
            while undone < 4 {
                let profile = profiles.get(EMOJI).await;
                if profile.is_ok_and(|p| p.data["spec"]["dstOverrides"] == overrides([1, 0])) {
                    let params = PatchParams::default();
                    let patched = profiles.patch(EMOJI, &params, &Patch::Merge(&undo)).await;
                    undone += u32::from(patched.is_ok());
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            undone
        })
    };
    let note = wait_event(&workload, "emoji", "ProfileUndone", "Warning").await?;
    assert!(note.contains(EMOJI), "{note}");
    let undone = tokio::time::timeout(PATIENCE, undoing).await??;
    let metrics = installation.replicas()[0].get("/metrics").await?;
    let writes = metric(&metrics, WRITTEN).context("no writes")?;
    assert!(writes <= f64::from(undone) + 1.0, "{writes} writes, undone {undone} times");
    wait_overrides(&profiles, EMOJI, overrides([1, 0])).await?;

    // Without the annotation an adaptor would write it.
    let remove = format!("{SKIP}-");
    workload.kubectl(["annotate", "serviceprofile", EMOJI, &remove]).ok().await?;
    eventually("the adaptor is kept away again", PATIENCE, || async {
        ensure!(profiles.get(EMOJI).await?.annotations().contains_key(SKIP), "not yet");
        Ok::<_, anyhow::Error>(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_begin_when_linkerd_comes_and_one_that_somebody_keeps_is_left_to_him() -> Result<()>
{
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[MANAGE]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.service_with_slice("web-svc", 1).await?;
    let reply = workload.kubectl(["apply", "-f", "-"]).stdin(emoji()).output().await?;
    assert!(reply.stderr.contains("a cluster without ServiceProfiles"), "{}", reply.stderr);
    workload.scale("emoji", 0).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "emoji", &[0.0, 1.0]).await?;

    cluster.install_service_profile_crd().await?;
    let profiles = profiles(&cluster);
    wait_overrides(&profiles, EMOJI, overrides([0, 1])).await?;

    let web = "web-svc.emojivoto.svc.cluster.local";
    let mut kept = users(web);
    kept["metadata"]["annotations"][SKIP] = json!("");
    workload.apply(&kept.to_string()).await?;
    let before = profiles.get(web).await?;
    let split = manifest("web", "web-svc", &["emoji-svc"]);
    let warned = eventually("the webhook has seen it", PATIENCE, || async {
        let apply = ["apply", "--dry-run=server", "-f", "-"];
        let reply = workload.kubectl(apply).stdin(&split).output().await?.stderr;
        ensure!(reply.contains("keeps this one for himself"), "{reply}");
        Ok::<_, anyhow::Error>(reply)
    })
    .await?;
    assert!(warned.contains(web), "{warned}");
    workload.apply(&split).await?;
    let note = wait_event(&workload, "web", "ProfileNotWritten", "Warning").await?;
    assert!(note.contains(web) && note.contains(SKIP), "{note}");
    assert_eq!(profiles.get(web).await?.resource_version(), before.resource_version());

    // As the chart's README describes how to switch it off.
    let ours = ["-A", "-l", "failover.linkerd.io/service-profile"];
    for what in [
        vec!["annotate", "smi.linkerd.io/skip-", "failover.linkerd.io/written-for-"],
        vec!["label", "failover.linkerd.io/service-profile-"],
    ] {
        let (verb, marks) = what.split_first().context("no verb")?;
        let arguments =
            [*verb, "serviceprofile"].into_iter().chain(ours).chain(marks.iter().copied());
        cluster.kubectl(arguments).ok().await?;
    }
    Ok(())
}
