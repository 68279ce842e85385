//! Argo CD, by its own packages: what an Application shows while traffic is on a fallback, what a sync does then, and
//! whether an edit arrives. The program takes minutes to build, so that `make gitops-check` alone runs this.

use crate::support::*;
use anyhow::{Result, ensure};
use kube::Api;
use kube::core::DynamicObject;
use linkerd_failover::kinds::Kind;
use serde_json::{Value, json};
use std::fmt::Write;
use test_cluster::{ArgoCd, Cluster, eventually};

const SERVER_SIDE_DIFF: &str = "ServerSideDiff=true";
const INCLUDE_WEBHOOK: &str = "ServerSideDiff=true,IncludeMutationWebhook=true";
const SERVER_SIDE_APPLY: &str = "ServerSideApply=true";
const RESPECT: &str = "RespectIgnoreDifferences=true";

/// What an Application ignores.
#[derive(Clone, Copy)]
enum Ignored {
    Nothing,
    Weights,
    /// What our field manager owns.
    Manager,
}

/// The settings of an Application, and what is expected with them.
struct Setting {
    name: &'static str,
    compare: &'static str,
    sync: &'static [&'static str],
    ignored: Ignored,
    expected: Seen,
}

/// What Argo CD shows and does.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Whether the Application is in sync while traffic is on the fallback.
    on_fallback: bool,
    /// Whether a sync moves traffic back onto the primary, which is down.
    sync_moves: bool,
    /// Whether a fallback with another name, in the repository, is in the cluster after a sync.
    rename_arrives: bool,
    /// Whether the Application is in sync after that.
    after_rename: bool,
}

const GOOD: Seen =
    Seen { on_fallback: true, sync_moves: false, rename_arrives: true, after_rename: true };
const SHOWN: Seen = Seen { on_fallback: false, after_rename: false, ..GOOD };
const STUCK: Seen = Seen { rename_arrives: false, after_rename: false, ..GOOD };

const SETTINGS: [Setting; 9] = [
    Setting { name: "default", compare: "", sync: &[], ignored: Ignored::Nothing, expected: SHOWN },
    Setting {
        name: "server-side-diff",
        compare: SERVER_SIDE_DIFF,
        sync: &[],
        ignored: Ignored::Nothing,
        expected: GOOD,
    },
    Setting {
        name: "include-mutation-webhook",
        compare: INCLUDE_WEBHOOK,
        sync: &[],
        ignored: Ignored::Nothing,
        expected: GOOD,
    },
    Setting {
        name: "server-side-apply",
        compare: "",
        sync: &[SERVER_SIDE_APPLY],
        ignored: Ignored::Nothing,
        expected: SHOWN,
    },
    Setting {
        name: "server-side-both",
        compare: SERVER_SIDE_DIFF,
        sync: &[SERVER_SIDE_APPLY],
        ignored: Ignored::Nothing,
        expected: GOOD,
    },
    Setting { name: "ignored", compare: "", sync: &[], ignored: Ignored::Weights, expected: GOOD },
    Setting {
        name: "respected",
        compare: "",
        sync: &[RESPECT],
        ignored: Ignored::Weights,
        expected: STUCK,
    },
    Setting {
        name: "respected-diff",
        compare: SERVER_SIDE_DIFF,
        sync: &[RESPECT, SERVER_SIDE_APPLY],
        ignored: Ignored::Weights,
        expected: STUCK,
    },
    Setting {
        name: "manager",
        compare: "",
        sync: &[RESPECT],
        ignored: Ignored::Manager,
        expected: SHOWN,
    },
];

impl Setting {
    fn application(&self) -> Value {
        let ignored = |group: &str, kind: &str, weights: &str| match self.ignored {
            Ignored::Nothing => None,
            Ignored::Weights => {
                Some(json!({"group": group, "kind": kind, "jqPathExpressions": [weights]}))
            }
            Ignored::Manager => Some(
                json!({"group": group, "kind": kind, "managedFieldsManagers": ["linkerd-failover"]}),
            ),
        };
        let all = [
            ignored("split.smi-spec.io", "TrafficSplit", ".spec.backends[].weight"),
            ignored("gateway.networking.k8s.io", "HTTPRoute", ".spec.rules[].backendRefs[].weight"),
        ];
        json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application",
            "metadata": {"name": "emojivoto", "namespace": "argocd",
                "annotations": {"argocd.argoproj.io/compare-options": self.compare}},
            "spec": {"ignoreDifferences": all.into_iter().flatten().collect::<Vec<_>>(),
                "syncPolicy": {"syncOptions": self.sync}}})
    }

    /// The object in the repository.
    fn manifest(&self, kind: Kind, fallback: &str) -> String {
        match kind {
            Kind::TrafficSplit => manifest(self.name, "emoji-svc", &[fallback]),
            kind => {
                let mut route = route(kind, &[("", &["emoji-svc", fallback])]);
                route["metadata"]["name"] = json!(self.name);
                route.to_string()
            }
        }
    }
}

/// The backends of an object, with their weights.
fn backends(object: &DynamicObject) -> Vec<(String, f64)> {
    let spec = &object.data["spec"];
    let of_split = spec["backends"].as_array();
    let list = of_split.or(spec["rules"][0]["backendRefs"].as_array());
    let backend = |backend: &Value| {
        let name = backend["service"].as_str().or(backend["name"].as_str()).unwrap_or_default();
        (name.to_owned(), backend["weight"].as_f64().unwrap_or(f64::NAN))
    };
    list.into_iter().flatten().map(backend).collect()
}

async fn wait_on_fallback(objects: &Api<DynamicObject>, name: &str) -> Result<()> {
    eventually(&format!("{name} is on its fallback"), PATIENCE, || async {
        let found = backends(&objects.get(name).await?);
        ensure!(found.len() == 2 && found[0].1 == 0.0 && found[1].1 > 0.0, "{found:?}");
        Ok(())
    })
    .await
}

fn is_succeeded(sync: Option<(String, String)>) -> Result<()> {
    ensure!(sync.as_ref().is_some_and(|(phase, _)| phase == "Succeeded"), "{sync:?}");
    Ok(())
}

/// What Argo CD shows and does about an object, beside a table of it for people.
async fn seen(
    argo: &ArgoCd<'_>,
    objects: &Api<DynamicObject>,
    kind: Kind,
    setting: &Setting,
    table: &mut String,
) -> Result<Seen> {
    let (application, name) = (setting.application(), setting.name);
    let old = setting.manifest(kind, "emoji-svc-west");
    let on_fallback = argo.sync(&application, &old).await?;
    is_succeeded(on_fallback.sync)?;
    let synced = backends(&objects.get(name).await?);
    let new = setting.manifest(kind, "emoji-svc-north");
    is_succeeded(argo.sync(&application, &new).await?.sync)?;
    let renamed = backends(&objects.get(name).await?);
    let after = argo.compare(&application, &new).await?;
    writeln!(
        table,
        "{kind:12} {name:25} differs on the fallback {:?}, after a sync {synced:?}, after a rename {renamed:?}, differs then {:?}",
        on_fallback.differs, after.differs
    )?;
    Ok(Seen {
        on_fallback: on_fallback.is_synced,
        sync_moves: synced[0].1 > 0.0,
        rename_arrives: renamed.iter().any(|(name, _)| name == "emoji-svc-north"),
        after_rename: after.is_synced,
    })
}

fn objects_of(cluster: &Cluster, kind: Kind) -> Api<DynamicObject> {
    match kind {
        Kind::TrafficSplit => splits(cluster, "emojivoto"),
        kind => routes(cluster, kind),
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds Argo CD's packages, which takes minutes: make gitops-check"]
async fn argo_cd_shows_and_syncs_an_object_on_its_fallback_as_the_page_about_gitops_has_it()
-> Result<()> {
    let cluster = cluster().await?;
    let argo = ArgoCd::ensure(&cluster).await?;
    cluster.install_gateway_api_crds().await?;
    let _installation = install(&cluster, 1, &[]).await?;
    wait_route_webhook(&cluster).await?;
    let (workload, _west) = emojivoto(&cluster).await?;
    let _north = workload.mirror("emoji-svc", "north").await?;
    let kinds = [Kind::TrafficSplit, Kind::HttpRoute];

    for kind in kinds {
        for setting in &SETTINGS {
            let (application, manifest) =
                (setting.application(), setting.manifest(kind, "emoji-svc-west"));
            is_succeeded(argo.sync(&application, &manifest).await?.sync)?;
            let again = argo.compare(&application, &manifest).await?;
            // Its structured diff takes what the CRD of a route defaults in lists for a difference, always.
            let is_defaulted = kind == Kind::HttpRoute && setting.name == "server-side-apply";
            ensure!(again.is_synced != is_defaulted, "{kind} {}: {again:?}", setting.name);
        }
    }
    workload.scale("emoji", 0).await?;
    let mut table = String::new();
    let mut others = vec![];
    for kind in kinds {
        let objects = objects_of(&cluster, kind);
        for setting in &SETTINGS {
            wait_on_fallback(&objects, setting.name).await?;
            let found = seen(&argo, &objects, kind, setting, &mut table).await?;
            if found != setting.expected {
                others.push(format!("{kind} {}: {found:?}", setting.name));
            }
        }
    }
    eprintln!("{table}");
    ensure!(others.is_empty(), "otherwise than expected: {others:#?}");
    Ok(())
}

/// Its share is not what the author wrote, on the primary too.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds Argo CD's packages, which takes minutes: make gitops-check"]
async fn with_warm_standby_an_application_is_in_sync_by_a_server_side_diff_alone() -> Result<()> {
    let cluster = cluster().await?;
    let argo = ArgoCd::ensure(&cluster).await?;
    let _installation = install(&cluster, 1, &["warmStandby=true"]).await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    for (setting, is_synced) in SETTINGS.iter().zip([false, true]) {
        let (application, manifest) =
            (setting.application(), setting.manifest(Kind::TrafficSplit, "emoji-svc-west"));
        is_succeeded(argo.sync(&application, &manifest).await?.sync)?;
        let splits = splits(&cluster, "emojivoto");
        eventually("the fallback has its share", PATIENCE, || async {
            let found = backends(&splits.get(setting.name).await?);
            ensure!(found[1].1 > 0.0 && found[0].1 > found[1].1, "{found:?}");
            Ok(())
        })
        .await?;
        let found = argo.compare(&application, &manifest).await?;
        ensure!(found.is_synced == is_synced, "{}: {found:?}", setting.name);
    }
    Ok(())
}
