//! What authors do to objects while traffic is off its primary, and without a webhook.

use crate::support::*;
use anyhow::{Result, ensure};
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use test_cluster::{Workload, eventually};

/// Gives a rule of a route a path of its own.
fn at(mut rule: Value, path: &str) -> Value {
    rule["matches"] = json!([{"path": {"type": "PathPrefix", "value": path}}]);
    rule
}

async fn patch(workload: &Workload<'_>, split: &str, weights: [u32; 2]) -> Result<Value> {
    let edit: Vec<Value> = weights
        .iter()
        .enumerate()
        .map(|(i, weight)| {
            json!({"op": "replace", "path": format!("/spec/backends/{i}/weight"), "value": weight})
        })
        .collect();
    let edit = Value::from(edit).to_string();
    let patched = workload.kubectl(["patch", split, "--type=json", "-p", &edit]).output().await?;
    Ok(json!({"success": patched.status.success(), "stderr": patched.stderr}))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rule_fails_over_from_its_own_first_backend_and_one_inserted_in_an_outage_moves_nothing()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install_for_routes(&cluster, 2).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.deploy("web", 1).await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    let mut manifest = route(Kind::HttpRoute, &[("", &["web-svc"]), ("", both)]);
    let rules = manifest["spec"]["rules"].as_array().cloned().unwrap_or_default();
    let [canary, api] = [at(rules[0].clone(), "/canary"), at(rules[1].clone(), "/api")];
    manifest["spec"]["rules"] = json!([canary, api]);
    workload.apply(&manifest.to_string()).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    wait_rules(&routes, "emoji", &[vec![1], vec![1, 0]]).await?;
    workload.scale("emoji", 0).await?;
    wait_rules(&routes, "emoji", &[vec![1], vec![0, 1]]).await?;

    let beta = at(rules[0].clone(), "/beta");
    for (count, how) in [
        vec!["apply", "-f", "-"],
        vec!["apply", "--server-side", "--force-conflicts", "-f", "-"],
        vec!["replace", "-f", "-"],
    ]
    .into_iter()
    .enumerate()
    {
        let mut edited = manifest.clone();
        let betas = (0..=count).map(|i| at(beta.clone(), &format!("/beta-{i}")));
        edited["spec"]["rules"] =
            betas.chain([canary.clone(), api.clone()]).collect::<Vec<_>>().into();
        workload.kubectl(how.clone()).stdin(edited.to_string()).ok().await?;
        let mut wanted = vec![vec![1]; count + 2];
        wanted.push(vec![0, 1]);
        wait_rules(&routes, "emoji", &wanted).await?;
    }
    workload.scale("emoji", 1).await?;
    wait_rules(&routes, "emoji", &[vec![1], vec![1], vec![1], vec![1], vec![1, 0]]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_rule_that_was_not_managed_and_shares_traffic_or_is_closed_is_left_until_its_primaries_are_named()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.deploy("web", 1).await?;
    let both: &[&str] = &["emoji-svc", "emoji-svc-west"];
    let sharing: &[&str] = &["web-svc", "emoji-svc-west"];
    let rules = [("api", both), ("shares", sharing), ("closed", both)];
    let mut manifest = route(Kind::HttpRoute, &rules);
    for (rule, weight) in [(1, 50), (2, 0)] {
        let backends = manifest["spec"]["rules"][rule]["backendRefs"].as_array_mut();
        backends.into_iter().flatten().for_each(|backend| backend["weight"] = json!(weight));
    }
    workload.apply(&manifest.to_string()).await?;
    let _installation = install_for_routes(&cluster, 1).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    let note = wait_event(&workload, "emoji", "NoPrimary", "Warning").await?;
    assert!(note.contains("spec.rules[1].backendRefs"), "{note}");
    workload.scale("emoji", 0).await?;
    wait_rules(&routes, "emoji", &[vec![0, 1], vec![50, 50], vec![0, 0]]).await?;
    let named = ["annotate", "httproutes.gateway.networking.k8s.io/emoji"];
    let named = named.into_iter().chain(["failover.linkerd.io/primary-service=emoji-svc,web-svc"]);
    workload.kubectl(named).ok().await?;
    wait_rules(&routes, "emoji", &[vec![0, 1], vec![50, 0], vec![0, 1]]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_webhook_an_authors_weights_count_and_undo_no_failover() -> Result<()> {
    let cluster = cluster().await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let installation =
        test_cluster::Installation::install(&cluster, options(1, &["webhook.enabled=false"]))
            .await?;
    installation.wait_ready(PATIENCE).await?;
    let splits = splits(&cluster, "emojivoto");
    workload.apply(&emoji()).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 1.0]).await?;

    let split = "trafficsplits.split.smi-spec.io/emoji";
    patch(&workload, split, [5, 2]).await?;
    wait_weights(&splits, "emoji", &[0.0, 2.0]).await?;
    wait_event(&workload, "emoji", "WeightsTaken", "Normal").await?;
    let recorded = json!({"v": 1, "sets": {"": {"emoji-svc": 5, "emoji-svc-west": 2}}});
    eventually("the author's weights are recorded", PATIENCE, || async {
        let authored = annotation(&splits.get("emoji").await?, "authored-weights");
        ensure!(authored.as_ref() == Some(&recorded), "{authored:?}");
        Ok(())
    })
    .await?;
    // The same manifest changes nothing: traffic stays.
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[5.0, 0.0]).await?;
    patch(&workload, split, [7, 0]).await?;
    wait_weights(&splits, "emoji", &[7.0, 0.0]).await?;
    workload.scale("emoji", 0).await?;
    wait_weights(&splits, "emoji", &[0.0, 2.0]).await?;
    workload.scale("emoji", 1).await?;
    wait_weights(&splits, "emoji", &[7.0, 0.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_zero_weights_are_refused_also_by_hand_while_paused() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    workload.apply(&emoji()).await?;
    let split = "trafficsplits.split.smi-spec.io/emoji";
    workload.kubectl(["annotate", split, "failover.linkerd.io/paused=true"]).ok().await?;
    let refused = patch(&workload, split, [0, 0]).await?;
    assert_eq!(refused["success"], false, "{refused}");
    assert!(refused["stderr"].as_str().is_some_and(|s| s.contains("denied the request")));
    patch(&workload, split, [1, 4]).await?;
    wait_weights(&splits(&cluster, "emojivoto"), "emoji", &[1.0, 4.0]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_applies_again_over_another_writer_is_the_author_also_of_weights_that_are_live()
-> Result<()> {
    let cluster = bare_cluster().await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install_for_routes(&cluster, 1).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let routes = routes(&cluster, Kind::HttpRoute);
    let manifest = route(Kind::HttpRoute, &[("", &["emoji-svc", "emoji-svc-west"])]);
    let apply = || async {
        let how = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        workload.kubectl(how).stdin(manifest.to_string()).ok().await.map(drop)
    };
    let recorded = |first: u32, second: u32| {
        let weights = json!({"emoji-svc": first, "emoji-svc-west": second});
        json!({"v": 1, "sets": {"#0": weights}})
    };
    apply().await?;
    wait_rules(&routes, "emoji", &[vec![1, 0]]).await?;

    // Recorded as another's wish, while traffic stays with the primary.
    let all_west = [("emoji-svc", 0), ("emoji-svc-west", 7)];
    let all_west =
        all_west.map(|(name, weight)| json!({"name": name, "port": 8080, "weight": weight}));
    let patch = json!({"spec": {"rules": [{"backendRefs": all_west}]}}).to_string();
    let route = "httproutes.gateway.networking.k8s.io/emoji";
    let rival = ["patch", route, "--type=merge", "--field-manager=rival", "-p", patch.as_str()];
    workload.kubectl(rival).ok().await?;
    let route = wait_rules(&routes, "emoji", &[vec![1, 0]]).await?;
    assert_eq!(annotation(&route, "authored-weights"), Some(recorded(0, 7)));

    apply().await?;
    let route = wait_rules(&routes, "emoji", &[vec![1, 0]]).await?;
    assert_eq!(annotation(&route, "authored-weights"), Some(recorded(1, 0)));
    Ok(())
}
