//! Weights of an outage in objects that the selector no longer matches: the selector was changed, or a
//! label was removed while no webhook answered.

use crate::engine::{State, annotations};
use crate::kinds::selector::LabelSelector;
use crate::kinds::{Edit, ObjectRef};
use kube::core::DynamicObject;
use std::collections::BTreeMap;

/// The API refuses a longer note.
const MAX_NOTE: usize = 1024;

/// An object with such weights.
#[derive(Debug, PartialEq)]
pub(crate) struct LeftoverWeights {
    what: String,
    /// The command that restores the author's weights.
    command: Option<String>,
}

/// The replica that decided last on an object with our state.
pub(crate) fn decided_by(annotations: &BTreeMap<String, String>) -> Option<String> {
    State::parse(annotations.get(annotations::STATE)?).map(|state| state.by)
}

/// Whether a replica belongs to the installation of this base name, whose pods are
/// `<name>-<hash>-<suffix>`: another installation may manage the object by another selector.
pub(crate) fn is_of_installation(name: &str, replica: &str) -> bool {
    let rest = replica.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    rest.is_some_and(|rest| rest.matches('-').count() <= 1)
}

impl LeftoverWeights {
    /// Reads an object that is not managed; none where its weights are the author's.
    pub(crate) fn read(
        object: &ObjectRef,
        found: &DynamicObject,
        selector: &LabelSelector,
    ) -> Option<Self> {
        let declared = object.kind.read(found);
        let recorded = declared.recorded().cloned().unwrap_or_default();
        let mut edit = Edit::default();
        for set in &declared.sets {
            let Some(authored) = recorded.get(&set.name) else { continue };
            if *authored == set.live() || authored.values().all(|weight| *weight == 0) {
                continue;
            }
            for backend in &set.backends {
                if let Some(weight) = authored.get(&backend.name) {
                    edit.weight(&backend.path, *weight);
                }
            }
        }
        if edit.is_empty() {
            return None;
        }
        let records = [annotations::STATE, annotations::AUTHORED_WEIGHTS, annotations::CHANGED_BY];
        let defaulted =
            declared.authored_primary().is_none().then_some(annotations::PRIMARY_SERVICE);
        let ours = records.into_iter().chain(defaulted);
        edit.remove_annotations(ours.filter(|name| declared.annotations.contains_key(name)));
        let patch = serde_json::to_string(&edit.into_patch()).ok();
        let (namespace, name) = (object.namespace(), object.name());
        let resource = object.kind.resource();
        Some(Self {
            what: format!(
                "{resource} {namespace}/{name} has weights of linkerd-failover, which nobody changes any more: found labels that {} does not match",
                selector.as_str()
            ),
            command: patch.map(|patch| {
                format!("kubectl -n {namespace} patch {resource} {name} --type=json -p '{patch}'")
            }),
        })
    }

    /// The text for the log.
    pub(crate) fn full(&self) -> String {
        match &self.command {
            Some(command) => format!("{}. To give its author's weights back: {command}", self.what),
            None => format!("{}. {BY_HAND}", self.what),
        }
    }

    /// The text for an Event, with the whole command or without it.
    pub(crate) fn note(&self) -> String {
        let full = self.full();
        if full.len() <= MAX_NOTE { full } else { format!("{}. {BY_HAND}", self.what) }
    }
}

const BY_HAND: &str = "To give its author's weights back, set those of the annotation failover.linkerd.io/authored-weights, and remove it and failover.linkerd.io/state; the log of the replica that leads has the command";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{Kind, ObjectKey};
    use serde_json::json;

    fn split(live: [u32; 2]) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "split.smi-spec.io/v1alpha2",
            "kind": "TrafficSplit",
            "metadata": {"name": "emoji", "namespace": "emojivoto", "annotations": {
                annotations::STATE: "{}",
                annotations::AUTHORED_WEIGHTS: r#"{"v":1,"sets":{"":{"a":1,"b":0}}}"#,
            }},
            "spec": {"service": "a", "backends": [
                {"service": "a", "weight": live[0]}, {"service": "b", "weight": live[1]},
            ]},
        }))
        .unwrap()
    }

    fn read(live: [u32; 2]) -> Option<LeftoverWeights> {
        let object = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("emojivoto", "emoji"));
        LeftoverWeights::read(&object, &split(live), &LabelSelector::parse("team=x").unwrap())
    }

    #[test]
    fn the_command_gives_the_authors_weights_back_and_takes_our_annotations_off() {
        insta::assert_snapshot!(read([0, 1]).unwrap().full(), @r#"trafficsplits.split.smi-spec.io emojivoto/emoji has weights of linkerd-failover, which nobody changes any more: found labels that team=x does not match. To give its author's weights back: kubectl -n emojivoto patch trafficsplits.split.smi-spec.io emoji --type=json -p '[{"op":"add","path":"/spec/backends/0/weight","value":1},{"op":"add","path":"/spec/backends/1/weight","value":0},{"op":"remove","path":"/metadata/annotations/failover.linkerd.io~1state"},{"op":"remove","path":"/metadata/annotations/failover.linkerd.io~1authored-weights"}]'"#);
        assert_eq!(read([1, 0]), None, "the weights are the author's");
    }

    #[test]
    fn a_primary_that_was_filled_in_goes_too_and_one_that_its_author_set_stays() {
        let command = |state: &str| {
            let object = ObjectRef::new(Kind::TrafficSplit, ObjectKey::new("emojivoto", "emoji"));
            let mut split = split([0, 1]);
            let annotations = split.metadata.annotations.as_mut().unwrap();
            annotations.insert(annotations::STATE.into(), state.into());
            annotations.insert(annotations::PRIMARY_SERVICE.into(), "a".into());
            annotations.insert(annotations::CHANGED_BY.into(), "{}".into());
            let selector = LabelSelector::parse("team=x").unwrap();
            LeftoverWeights::read(&object, &split, &selector).unwrap().full()
        };
        let filled_in = command(r#"{"v":1,"sets":{},"defaultedPrimary":"a"}"#);
        assert!(filled_in.contains("~1primary-service") && filled_in.contains("~1changed-by"));
        assert!(!command(r#"{"v":1,"sets":{}}"#).contains("~1primary-service"));
    }

    #[test]
    fn a_note_has_the_whole_command_or_none() {
        let mut left = read([0, 1]).unwrap();
        assert_eq!(left.note(), left.full());
        left.command = Some("x".repeat(MAX_NOTE));
        assert!(left.note().contains(BY_HAND) && left.note().len() <= MAX_NOTE);
    }

    #[test]
    fn what_another_installation_decided_is_its_own() {
        for (replica, ours) in [
            ("linkerd-failover-7d9c5-abcde", true),
            ("linkerd-failover-12", true),
            ("linkerd-failover-second-7d9c5-abcde", false),
            ("second-7d9c5-abcde", false),
            ("linkerd-failover", false),
        ] {
            assert_eq!(is_of_installation("linkerd-failover", replica), ours, "{replica}");
        }
    }
}
