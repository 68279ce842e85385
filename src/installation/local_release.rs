//! What takes an object out of failover: its label off, and its author's weights back in the same write.

use crate::admission::mutate::mutate;
use crate::admission::reviewed_object::ReviewedObject;
use crate::admission::sent_object::SentObject;
use crate::admission::view::View;
use crate::engine::annotations::{self, CONTROLLED_BY, Writer};
use crate::kinds::managed_fields::Owners;
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Edit, Kind};
use kube::ResourceExt;
use kube::core::DynamicObject;
use std::collections::BTreeMap;

/// The label without which the selector does not match any more; none where there is no such one.
pub(crate) fn label_of(
    labels: &BTreeMap<String, String>,
    selector: &LabelSelector,
) -> Option<String> {
    let is_it = |name: &&String| {
        let mut rest = labels.clone();
        rest.remove(*name);
        !selector.matches(&rest)
    };
    let ours = labels.get_key_value(CONTROLLED_BY).map(|(name, _)| name);
    ours.into_iter().chain(labels.keys()).find(is_it).cloned()
}

/// Whether nothing that this program records is in an object any more.
pub(crate) fn is_released(object: &DynamicObject) -> bool {
    let is_record =
        |name: &String| annotations::info(name).is_some_and(|info| info.writer == Writer::Program);
    !object.annotations().keys().any(is_record)
}

/// What gives up our claims on `spec`; none where there are none.
pub(crate) fn disclaim(kind: Kind, object: &DynamicObject) -> Option<Edit> {
    let entries = object.metadata.managed_fields.as_deref().unwrap_or_default();
    let claims = Owners::read(kind, entries).claims;
    let mut edit = Edit::guarded_by(object.resource_version().as_deref().unwrap_or_default());
    claims.iter().for_each(|position| edit.disclaim_spec(*position));
    (!claims.is_empty()).then_some(edit)
}

/// Takes the label off; the webhook does the rest.
pub(crate) fn unlabel(object: &DynamicObject, label: &str) -> Edit {
    let mut edit = Edit::guarded_by(object.resource_version().as_deref().unwrap_or_default());
    edit.remove(&["metadata", "labels", label]);
    edit
}

/// The same, with what the webhook would add, and its notes.
pub(crate) fn release_here(
    object: &DynamicObject,
    label: &str,
    view: &View<'_>,
) -> serde_json::Result<(Edit, Vec<String>)> {
    let mut unlabelled = object.clone();
    unlabelled.labels_mut().remove(label);
    let (old, new) = (sent(object)?, sent(&unlabelled)?);
    let old = ReviewedObject::read(view.kind, &old);
    let new = ReviewedObject::read(view.kind, &new);
    let mutation = mutate(Some(&old), &new, view);
    Ok((unlabel(object, label).and(mutation.edit), mutation.notes))
}

fn sent(object: &DynamicObject) -> serde_json::Result<SentObject> {
    serde_json::from_value(serde_json::to_value(object)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::view::{LiveLookups, Rules};
    use crate::kinds::ObjectRef;
    use crate::snapshot::test_support::{service, snapshot, split, state};
    use serde_json::json;

    const LABEL: &str = "failover.linkerd.io/controlled-by";

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_label_that_has_an_object_managed_is_the_one_that_comes_off() {
        for (selector, given, label) in [
            (LABEL, labels(&[(LABEL, "x"), ("team", "a")]), Some(LABEL)),
            ("team=a,env in (prod)", labels(&[("env", "prod"), ("team", "a")]), Some("env")),
            ("!skip", labels(&[("team", "a")]), None),
        ] {
            let found = label_of(&given, &selector.parse().unwrap());
            assert_eq!(found.as_deref(), label, "{selector}");
        }
    }

    #[test]
    fn an_object_is_released_when_nothing_that_is_recorded_by_the_program_is_left() {
        let with = |name: &str| {
            let metadata = json!({"annotations": {name: "x"}});
            is_released(&serde_json::from_value(json!({"metadata": metadata})).unwrap())
        };
        for name in ["state", "authored-weights", "added", "changed-by"] {
            assert!(!with(&format!("failover.linkerd.io/{name}")), "{name}");
        }
        for name in ["failover.linkerd.io/primary-service", "retry.linkerd.io/http", "x"] {
            assert!(with(name), "{name}");
        }
    }

    #[test]
    fn the_claim_of_a_release_on_the_weights_is_given_up_and_that_of_an_author_is_not() {
        let entry = |manager: &str| {
            json!({"manager": manager, "operation": "Update",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:backends": {}}}})
        };
        let object = |managers: &[&str]| {
            let entries: Vec<_> = managers.iter().map(|manager| entry(manager)).collect();
            let metadata = json!({"resourceVersion": "7", "managedFields": entries});
            serde_json::from_value::<DynamicObject>(json!({"metadata": metadata})).unwrap()
        };
        let ours = object(&["kubectl", "linkerd-failover-cli"]);
        let patch = serde_json::to_value(disclaim(Kind::TrafficSplit, &ours).unwrap().into_patch());
        assert_eq!(patch.unwrap()[1]["path"], "/metadata/managedFields/1/fieldsV1/f:spec");
        assert!(disclaim(Kind::TrafficSplit, &object(&["kubectl"])).is_none());
    }

    #[test]
    fn in_a_failover_the_label_goes_and_the_authors_weights_come_back_in_one_patch() {
        let record = r#"{"v":1,"sets":{"":{"emoji-svc":3,"emoji-svc-west":1}}}"#;
        let away = state(
            &["emoji-svc-west"],
            30,
            json!({"weights": {"emoji-svc": 0, "emoji-svc-west": 1}}),
        );
        let annotations = [("authored-weights", record), ("state", away.as_str())];
        let split = split(&[("emoji-svc", 0), ("emoji-svc-west", 1)], &annotations);
        let services = [service("emoji-svc", 0, 2), service("emoji-svc-west", 2, 2)];
        let manifests: Vec<_> = services.into_iter().flatten().chain([split]).collect();
        let snapshot = snapshot(&manifests);
        let object_ref: &ObjectRef = snapshot.object_refs()[0];
        let settings = crate::snapshot::test_support::settings();
        let (looked_up, rules) = (LiveLookups::new(), Rules::default());
        let view = snapshot.view(object_ref, &looked_up, &rules, &settings);
        let object = &snapshot.objects[object_ref];
        let (edit, notes) = release_here(object, LABEL, &view).unwrap();
        let mut value = serde_json::to_value(object).unwrap();
        json_patch::patch(&mut value, &edit.into_patch()).unwrap();
        assert_eq!(value["spec"]["backends"][0]["weight"], 3);
        assert_eq!(value["spec"]["backends"][1]["weight"], 1);
        let released: DynamicObject = serde_json::from_value(value).unwrap();
        assert!(is_released(&released) && released.labels().is_empty());
        assert!(notes[0].contains("emoji-svc gets traffic again and is not ready"), "{notes:?}");
    }
}
