//! The ValidatingAdmissionPolicy, while no replica runs: what it refuses the parser refuses too.

use crate::support::*;
use anyhow::{Context, Result};
use fuzz_input::{Source, documents};
use kube::api::{
    Api, ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams,
};
use linkerd_failover::engine::{Defaults, Intent};
use linkerd_failover::kinds::traffic_split;
use serde_json::{Value, json};
use std::path::Path;
use test_cluster::{Cluster, Installation, eventually};

/// The generator of the fuzz targets.
#[allow(dead_code, reason = "the targets use more of it")]
#[path = "../../../src/fuzz/input/mod.rs"]
mod fuzz_input;

/// The chart with the policy, and webhooks that nobody answers.
async fn install_policy(cluster: &Cluster) -> Result<Installation> {
    let values = [
        "webhook.admissionPolicy.enabled=true",
        "webhook.failurePolicy.validating=Ignore",
        "webhook.failurePolicy.mutating=Ignore",
    ];
    let installation = Installation::install(cluster, options(0, &values)).await?;
    let bad = manifest("probe", "a.b", &[]).replace("  namespace: emojivoto\n", "");
    eventually("the policy holds", PATIENCE, || async {
        let create = ["create", "--dry-run=server", "-f", "-"];
        let refused = cluster.kubectl(create).stdin(&bad).output().await?;
        anyhow::ensure!(refused.stderr.contains("ValidatingAdmissionPolicy"), "{}", refused.stderr);
        Ok(())
    })
    .await?;
    Ok(installation)
}

fn splits_of(cluster: &Cluster, version: &str) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("split.smi-spec.io", version, "TrafficSplit");
    Api::namespaced_with(cluster.client(), "default", &ApiResource::from_gvk(&gvk))
}

/// A split with these backends and annotations of ours.
fn split(version: &str, backends: Value, annotations: &[(&str, &str)]) -> DynamicObject {
    let ours = annotations.iter().map(|(name, value)| {
        (format!("failover.linkerd.io/{name}"), Value::String((*value).into()))
    });
    serde_json::from_value(json!({
        "apiVersion": format!("split.smi-spec.io/{version}"),
        "kind": "TrafficSplit",
        "metadata": {
            "name": "split",
            "labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"},
            "annotations": ours.collect::<serde_json::Map<_, _>>(),
        },
        "spec": {"service": "a", "backends": backends},
    }))
    .expect("a split")
}

fn three() -> Value {
    json!([
        {"service": "a", "weight": 1},
        {"service": "b", "weight": 0},
        {"service": "c", "weight": 0},
    ])
}

fn parsed(split: &DynamicObject) -> bool {
    Intent::parse(&traffic_split::read(split), &Defaults::default()).is_ok()
}

/// The API server's answer to a split: nothing, or the status code and the message.
async fn refusal(api: &Api<DynamicObject>, split: &DynamicObject) -> Result<Option<(u16, String)>> {
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&dry_run, split).await {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some((status.code, status.message.clone()))),
        Err(error) => Err(error.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_refuses_with_403_what_is_wrong_by_itself_and_takes_all_that_is_right()
-> Result<()> {
    let cluster = cluster().await?;
    let _installation = install_policy(&cluster).await?;
    let (old, new) = (splits_of(&cluster, "v1alpha1"), splits_of(&cluster, "v1alpha2"));

    let state = r#"{"v":1,"sets":{},"defaultedPrimary":"gone"}"#;
    let recorded = r#"{"v":1,"sets":{"":{"a":1,"b":0,"c":0}}}"#;
    let good: &[&[(&str, &str)]] = &[
        &[],
        &[("primary-service", "b")],
        &[("primary-service", " a , b "), ("fallback-order", "c")],
        &[("fallback-order", "c,b")],
        // The default that the webhook filled in, before the first backend was renamed.
        &[("primary-service", "gone"), ("state", state), ("fallback-order", "b")],
        &[("min-ready", "2")],
        &[("min-ready", " 50% ")],
        &[("min-ready", "007")],
        &[("min-ready", "4294967295")],
        &[("min-ready", "a=3, b = 100%")],
        &[("failover-delay", "0s"), ("failback-delay", "1h30m")],
        &[("failover-delay", "1.5h"), ("failback-delay", "1m2s3ms4us5ns")],
        &[("failover-delay", "168h")],
        &[("failover-delay", "000604800s")],
        &[("failback", "automatic")],
        &[("failback", "manual"), ("failback-requested", "2026-01-31T14:30:00Z")],
        &[("warm-standby", "true"), ("paused", "false")],
        &[("warm-standby", "false"), ("paused", "true")],
        &[("protection", "standard")],
        &[("protection", "seamless")],
        &[("pin", "c")],
        &[("pin", "b,c"), ("pin-until", "2999-01-31T14:30:00Z")],
        &[("pin", "b"), ("pin-until", "2001-01-31T14:30:00Z")],
        &[("paused", "true"), ("paused-until", "2999-01-31T14:30:00Z")],
        &[("paused", "true"), ("paused-until", "2001-01-31T14:30:00Z")],
        &[("authored-weights", recorded)],
    ];
    for annotations in good {
        let split = split("v1alpha2", three(), annotations);
        assert!(parsed(&split), "the parser refuses {annotations:?}");
        assert_eq!(refusal(&new, &split).await?, None, "{annotations:?}");
    }

    let bad: &[(&[(&str, &str)], &str)] = &[
        (&[("primary-service", "d")], "[failover.linkerd.io/primary-service]: found 'd', expected"),
        (&[("primary-service", "a,a")], "primary-service]: found 'a,a'"),
        (&[("primary-service", "")], "primary-service]: found ''"),
        (
            &[("fallback-order", "b,a")],
            "fallback-order]: found 'b,a', expected backends, each once, and no primary",
        ),
        (&[("primary-service", "b"), ("fallback-order", "b")], "fallback-order]"),
        (&[("fallback-order", "b,d")], "fallback-order]"),
        (&[("fallback-order", "b,b")], "fallback-order]"),
        (&[("pin", "d")], "pin]: found 'd'"),
        (&[("pin-until", "2999-01-31T14:30:00Z")], "pin-until]: found '2999"),
        (&[("paused-until", "2999-01-31T14:30:00Z")], "paused-until]: found '2999"),
        (&[("min-ready", "0")], "min-ready]: found '0'"),
        (&[("min-ready", "101%")], "min-ready]"),
        (&[("min-ready", "+1")], "min-ready]"),
        (&[("min-ready", "4294967296")], "min-ready]"),
        (&[("min-ready", "")], "min-ready]"),
        (&[("min-ready", "d=1")], "min-ready]"),
        (&[("min-ready", "a=1,a=2")], "min-ready]"),
        (&[("min-ready", "a=1,2")], "min-ready]"),
        (&[("failover-delay", "soon")], "failover-delay]: found 'soon', expected a duration"),
        (&[("failover-delay", "30")], "failover-delay]"),
        (&[("failover-delay", "169h")], "failover-delay]"),
        (&[("failover-delay", "99999999999999999999h")], "failover-delay]"),
        (&[("failback-delay", "")], "failback-delay]"),
        (&[("failback-delay", "1s1h")], "failback-delay]"),
        (&[("failback", "Manual")], "failback]: found 'Manual', expected automatic or manual"),
        (&[("warm-standby", "yes")], "warm-standby]: found 'yes', expected true or false"),
        (&[("protection", "full")], "protection]: found 'full', expected standard or seamless"),
        (&[("paused", "True")], "paused]: found 'True'"),
    ];
    for (annotations, words) in bad {
        let split = split("v1alpha2", three(), annotations);
        assert!(!parsed(&split), "the parser takes {annotations:?}");
        let (code, message) = refusal(&new, &split).await?.context(format!("{annotations:?}"))?;
        assert_eq!(code, 403, "{message}");
        assert!(message.contains(words), "{annotations:?}: {message}");
    }

    for (backends, api, words) in [
        (json!([]), &new, Some("spec.backends: expected the primary")),
        (
            json!([{"service": "a", "weight": 1}, {"service": "a", "weight": 0}]),
            &new,
            Some("each once"),
        ),
        (json!([{"service": "a", "weight": 0.5}]), &new, Some("weight: expected whole numbers")),
        (json!([{"service": "a", "weight": -1}]), &new, Some("weight: expected whole numbers")),
        (
            json!([{"service": "a", "weight": 429_497}]),
            &new,
            Some("weight: expected whole numbers"),
        ),
        (
            json!([{"service": "a", "weight": 429_496}, {"service": "b", "weight": 1}]),
            &new,
            Some("sum"),
        ),
        (json!([{"service": "a", "weight": "500m"}]), &old, Some("weight: expected whole numbers")),
        (
            json!([{"service": "a", "weight": "429497"}]),
            &old,
            Some("weight: expected whole numbers"),
        ),
        (
            json!([{"service": "a", "weight": "429496"}, {"service": "b", "weight": 1}]),
            &old,
            Some("sum"),
        ),
        (json!([{"service": "a", "weight": 429_495}, {"service": "b", "weight": 1}]), &new, None),
        (json!([{"service": "a", "weight": 1.0}, {"service": "b", "weight": 1e3}]), &new, None),
        (json!([{"service": "a", "weight": "007"}, {"service": "b", "weight": 1}]), &old, None),
    ] {
        let version = if std::ptr::eq(api, &old) { "v1alpha1" } else { "v1alpha2" };
        let split = split(version, backends.clone(), &[]);
        assert_eq!(parsed(&split), words.is_none(), "the parser on {backends}");
        match (refusal(api, &split).await?, words) {
            (None, None) => {}
            (Some((403, message)), Some(words)) if message.contains(words) => {}
            (reply, _) => panic!("{backends}: {reply:?}"),
        }
    }

    // What the parser cannot know: such a Service cannot be.
    for name in ["b.other", "other/b", "B", ""] {
        let backends = json!([{"service": "a", "weight": 1}, {"service": name, "weight": 0}]);
        let reply = refusal(&new, &split("v1alpha2", backends, &[])).await?;
        let (code, message) = reply.with_context(|| format!("{name:?} was taken"))?;
        assert!(code == 403 && message.contains("without dots"), "{code} {message}");
    }
    Ok(())
}

/// Inputs of the generator that `make fuzz` has too: random ones, and those that libFuzzer found worth keeping.
fn inputs() -> Result<Vec<Vec<u8>>> {
    let mut random = fastrand::Rng::with_seed(5);
    let mut inputs: Vec<Vec<u8>> =
        (0..1_000).map(|_| (0..96).map(|_| random.u8(..)).collect()).collect();
    for target in ["documents", "reviews"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        for entry in
            std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?.take(200)
        {
            inputs.push(std::fs::read(entry?.path())?);
        }
    }
    Ok(inputs)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_odd_splits_the_policy_refuses_none_that_the_parser_takes() -> Result<()> {
    let cluster = cluster().await?;
    let _installation = install_policy(&cluster).await?;
    let apis = ["v1alpha2", "v1alpha1"].map(|version| (version, splits_of(&cluster, version)));
    let (mut taken, mut refused) = (0, 0);
    for (i, input) in inputs()?.into_iter().enumerate() {
        let (version, api) = &apis[i % 2];
        let split = documents::split_of_author(&mut Source::new(&input), version);
        let split: DynamicObject = serde_json::from_value(split)?;
        let parsed = parsed(&split);
        taken += usize::from(parsed);
        match refusal(api, &split).await? {
            None => {}
            Some((403, message)) => {
                assert!(!parsed, "the parser takes {split:?}, and the policy denies it: {message}");
                refused += 1;
            }
            // What the schema refuses no policy sees.
            Some((400 | 422, message)) => assert!(!message.contains("failover"), "{message}"),
            Some((code, message)) => panic!("{code} {message}"),
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} were right, {refused} were refused");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_blocks_no_fix_no_finalizer_and_no_write_of_ours() -> Result<()> {
    let cluster = cluster().await?;
    let splits = splits_of(&cluster, "v1alpha2");
    // There before the chart: one that is managed, with a fault, and one that nobody manages.
    let mut before = split("v1alpha2", three(), &[("pin", "stranger")]);
    before.metadata.finalizers = Some(vec!["example.com/hold".into()]);
    splits.create(&PostParams::default(), &before).await?;
    let mut unmanaged = split("v1alpha2", three(), &[("pin", "stranger")]);
    unmanaged.metadata.name = Some("unmanaged".into());
    unmanaged.metadata.labels = None;
    splits.create(&PostParams::default(), &unmanaged).await?;
    let _installation = install_policy(&cluster).await?;

    let annotate = |name: &str, value: &str| {
        let key = format!("failover.linkerd.io/{name}");
        Patch::Merge(json!({"metadata": {"annotations": {key: value}}}))
    };
    let params = PatchParams::default();
    splits.patch("split", &params, &annotate("failback", "manual")).await?;
    let new_fault = splits.patch("split", &params, &annotate("paused", "perhaps")).await;
    assert!(matches!(&new_fault, Err(kube::Error::Api(s)) if s.code == 403), "{new_fault:?}");

    // To be managed an object must be right.
    let label =
        json!({"metadata": {"labels": {"failover.linkerd.io/controlled-by": "linkerd-failover"}}});
    let managed = splits.patch("unmanaged", &params, &Patch::Merge(&label)).await;
    assert!(matches!(&managed, Err(kube::Error::Api(s)) if s.code == 403), "{managed:?}");

    // Nothing is deleted for a refusal, whatever the client.
    let uid = splits.get("split").await?.metadata.uid;
    let worse = split("v1alpha2", three(), &[("paused", "perhaps")]);
    let forced = cluster.kubectl(["apply", "--force", "-n", "default", "-f", "-"]);
    let forced = forced.stdin(serde_json::to_string(&worse)?).output().await?;
    assert!(
        !forced.status.success() && forced.stderr.contains("expected true or false"),
        "{}",
        forced.stderr
    );
    assert_eq!(splits.get("split").await?.metadata.uid, uid);

    // Our own writes, and an object that goes.
    let ours = "--as=system:serviceaccount:linkerd-failover:linkerd-failover";
    let patch = r#"{"metadata":{"annotations":{"failover.linkerd.io/paused":"perhaps"}}}"#;
    cluster
        .kubectl([
            "patch",
            "trafficsplit",
            "split",
            "-n",
            "default",
            "--type=merge",
            "-p",
            patch,
            ours,
        ])
        .ok()
        .await?;
    let delete = ["delete", "trafficsplit", "split", "-n", "default", "--wait=false"];
    cluster.kubectl(delete).ok().await?;
    let go = json!({"metadata": {"finalizers": null, "annotations": {"failover.linkerd.io/failback": "x"}}});
    splits.patch("split", &params, &Patch::Merge(&go)).await?;
    assert!(splits.get_opt("split").await?.is_none());

    // A label taken off gives the object back to its author.
    let mut last = split("v1alpha2", three(), &[]);
    last.metadata.name = Some("last".into());
    splits.create(&PostParams::default(), &last).await?;
    let off = json!({"metadata": {
        "labels": {"failover.linkerd.io/controlled-by": null},
        "annotations": {"failover.linkerd.io/pin": "stranger"},
    }});
    splits.patch("last", &params, &Patch::Merge(&off)).await?;
    Ok(())
}
