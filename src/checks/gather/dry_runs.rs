//! Two creations that nothing is stored of: the webhook has to default the one and to refuse the other.

use super::not_known;
use super::webhooks::Webhooks;
use crate::checks::access::Access;
use crate::checks::facts::{DryRun, DryRuns};
use crate::engine::annotations;
use crate::kinds::{Kind, ObjectKey};
use crate::snapshot::{Settings, Snapshot};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::PostParams;
use kube::core::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

/// So many namespaces are looked at for one in which the webhook is asked.
const NAMESPACES: usize = 50;

/// Makes both; an error where there is nothing to make them with.
pub(super) async fn make(
    client: &Client,
    settings: &Settings,
    snapshot: &Snapshot,
    webhooks: &Webhooks,
) -> Result<DryRuns, String> {
    let (kind, version) = kind(snapshot).ok_or("found no kind that fails over")?;
    let labels = settings.watch.selector.example();
    let labels = labels.ok_or("found no label by which the selector would match an object")?;
    let service = service(client, settings, snapshot, webhooks).await.ok_or(
        "found no namespace in which the webhook is asked and has a Service to name, expected one",
    )?;
    let resource = kind.api_resource(version);
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &service.namespace, &resource);
    let object = |annotations: Value| {
        json!({
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {
                "name": format!("{}-check", settings.installation.name),
                "namespace": &*service.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            "spec": spec(kind, &service.name, port(snapshot, &service, webhooks)),
        })
    };
    let good = object(json!({}));
    // The admission policy, which no replica serves, does not know it.
    let bad = object(json!({BAD: "no-time"}));
    let (good, bad) = tokio::join!(create(&api, good), create(&api, bad));
    let access = Access::to("create", kind.group(), kind.plural());
    Ok(DryRuns { access: access.within(Some(&service.namespace)), good, bad })
}

/// An annotation whose fault only the webhook sees.
const BAD: &str = annotations::FAILBACK_REQUESTED;

/// A split where the cluster has it, else a route.
fn kind(snapshot: &Snapshot) -> Option<(Kind, &'static str)> {
    Kind::ALL.into_iter().find_map(|kind| Some((kind, snapshot.index.served(kind)?)))
}

/// A Service in a namespace where the webhook is asked: the first of [`candidates`].
async fn service(
    client: &Client,
    settings: &Settings,
    snapshot: &Snapshot,
    webhooks: &Webhooks,
) -> Option<ObjectKey> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    for service in candidates(settings, snapshot).into_iter().take(NAMESPACES) {
        // Whoever may not read it finds out by the dry run.
        let found = namespaces.get_opt(&service.namespace).await;
        let is_asked = |there: &Namespace| webhooks.are_asked_in(there.labels());
        if found.map_or(true, |found| found.as_ref().is_some_and(is_asked)) {
            return Some(service);
        }
    }
    None
}

/// A Service of each namespace: one that callers of a managed object call already; last the webhook's own.
fn candidates(settings: &Settings, snapshot: &Snapshot) -> Vec<ObjectKey> {
    let is_there =
        |service: &ObjectKey| snapshot.index.service(service).is_some_and(|s| !s.ports.is_empty());
    let mut apexes: Vec<ObjectKey> = snapshot
        .index
        .objects()
        .flat_map(|(object, managed)| managed.apexes().iter().map(|apex| object.beside(apex)))
        .filter(is_there)
        .collect();
    apexes.sort_unstable();
    apexes.dedup_by(|a, b| a.namespace == b.namespace);
    let own = &settings.installation;
    apexes.push(ObjectKey::new(&own.namespace, format!("{}-webhook", own.name)));
    apexes
}

fn port(snapshot: &Snapshot, service: &ObjectKey, webhooks: &Webhooks) -> i32 {
    let ports = snapshot.index.service(service).map(|facts| facts.ports.as_slice());
    ports.and_then(|ports| ports.first()).map_or(webhooks.port(), |port| port.number)
}

fn spec(kind: Kind, service: &str, port: i32) -> Value {
    match kind.needs_service_profile() {
        true => json!({"service": service, "backends": [{"service": service, "weight": 1}]}),
        false => json!({
            "parentRefs": [{"group": "core", "kind": "Service", "name": service, "port": port}],
            "rules": [{"backendRefs": [{"name": service, "port": port}]}],
        }),
    }
}

async fn create(api: &Api<DynamicObject>, object: Value) -> DryRun {
    let object = match serde_json::from_value(object) {
        Ok(object) => object,
        Err(error) => return DryRun::NotCalled(error.to_string()),
    };
    let params = PostParams { dry_run: true, ..PostParams::default() };
    match api.create(&params, &object).await {
        Ok(made) => {
            let defaulted = made.annotations().contains_key(annotations::PRIMARY_SERVICE);
            DryRun::Admitted { defaulted }
        }
        Err(error) => refusal(&error),
    }
}

/// How the API server names our webhooks.
const OURS: &str = ".failover.linkerd.io\" denied the request";

/// The API server refuses for want of a right, by a webhook or a policy, or since it cannot call a webhook.
fn refusal(error: &kube::Error) -> DryRun {
    match error {
        kube::Error::Api(status) if status.message.contains("failed calling webhook") => {
            DryRun::NotCalled(status.message.clone())
        }
        kube::Error::Api(status) if status.message.contains(OURS) => {
            DryRun::Refused(status.message.clone())
        }
        kube::Error::Api(status)
            if status.message.contains("denied the request")
                || status.message.contains("denied request") =>
        {
            DryRun::RefusedByOther(status.message.clone())
        }
        other => DryRun::NotKnown(not_known(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::reviewed_object::ReviewedObject;
    use crate::admission::sent_object::SentObject;
    use crate::admission::validate::validate;
    use crate::snapshot::test_support::{service, settings, snapshot, split};
    use kube::core::Status;

    #[test]
    fn only_the_webhook_sees_what_is_wrong_with_the_bad_one() {
        let row = annotations::ALL.iter().find(|row| row.name == BAD).unwrap();
        assert!(!row.in_policy, "the policy would refuse it, whoever serves the webhook");
        let name = BAD.trim_start_matches(annotations::PREFIX);
        let bad = split(&[("emoji-svc", 1)], &[(name, "no-time")]);
        let manifests = [service("emoji-svc", 1, 1).to_vec(), vec![bad]].concat();
        let snapshot = snapshot(&manifests);
        let object = snapshot.objects.keys().next().unwrap().clone();
        let sent = SentObject::from(snapshot.objects[&object].clone());
        let reviewed = ReviewedObject::read(object.kind, &sent);
        let (lookups, settings) = (snapshot.lookups(&object), settings());
        let rules = settings.rules.clone().unwrap();
        let errors =
            validate(None, &reviewed, &snapshot.view(&object, &lookups, &rules, &settings)).errors;
        assert_eq!(errors.len(), 1, "{errors:?}");
    }

    #[test]
    fn a_refusal_is_ours_only_where_the_api_server_says_so() {
        let refused = |message: &str| {
            let status = Status { message: message.into(), code: 403, ..Status::default() };
            refusal(&kube::Error::Api(Box::new(status)))
        };
        for (message, is) in [
            ("admission webhook \"validate.failover.linkerd.io\" denied the request: x", "ours"),
            ("admission webhook \"validate.kyverno.svc\" denied the request: x", "other"),
            ("ValidatingAdmissionPolicy 'x' with binding 'y' denied request: z", "other"),
            (
                "Internal error occurred: failed calling webhook \"validate.failover.linkerd.io\": x509",
                "none",
            ),
            (
                "trafficsplits.split.smi-spec.io is forbidden: User \"ana\" cannot create",
                "forbidden",
            ),
        ] {
            let found = match refused(message) {
                DryRun::Refused(_) => "ours",
                DryRun::RefusedByOther(_) => "other",
                DryRun::NotCalled(_) => "none",
                DryRun::NotKnown(crate::checks::facts::NotKnown::Forbidden) => "forbidden",
                other => panic!("{other:?}"),
            };
            assert_eq!(found, is, "{message}");
        }
    }

    #[test]
    fn each_namespace_is_tried_once_and_the_programs_own_last() {
        let split = split(&[("emoji-svc", 1)], &[]);
        let mut other = split.clone();
        other["metadata"]["name"] = json!("other");
        let manifests = [service("emoji-svc", 1, 1).to_vec(), vec![split, other]].concat();
        let candidates: Vec<String> = candidates(&settings(), &snapshot(&manifests))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            candidates,
            ["emojivoto/emoji-svc", "linkerd-failover/linkerd-failover-webhook"]
        );
    }
}
