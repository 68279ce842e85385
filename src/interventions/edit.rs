//! The patch of an action: annotations of one object, guarded by the version it was decided from.

use crate::engine::annotations::CHANGED_BY;
use crate::interventions::action::Order;
use crate::kinds::Edit;
use jiff::Timestamp;
use kube::api::ObjectMeta;

/// The patch of an order to an object with this metadata; none where that has what is ordered already.
pub(crate) fn edit(order: &Order, metadata: &ObjectMeta, now: Timestamp) -> Option<Edit> {
    let none = Default::default();
    let present = metadata.annotations.as_ref().unwrap_or(&none);
    let ordered = order.annotations(now);
    if ordered.iter().all(|(name, value)| present.get(*name) == value.as_ref()) {
        return None;
    }
    let mut edit = Edit::guarded_by(metadata.resource_version.as_deref().unwrap_or_default());
    let mut set: Vec<(&str, String)> =
        ordered.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect();
    set.push((CHANGED_BY, order.changed_by(now).to_annotation()));
    edit.annotations(metadata.annotations.is_some(), &set);
    let removed = ordered.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
    edit.remove_annotations(removed.filter(|name| present.contains_key(*name)));
    Some(edit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interventions::action::Action;
    use serde_json::{Value, json};

    fn patch(action: Action, until: Option<&str>, annotations: Value) -> Option<Value> {
        let order = Order {
            action,
            until: until.map(|until| until.parse().unwrap()),
            person: "alice".into(),
            reason: None,
        };
        let metadata = json!({"resourceVersion": "7", "annotations": annotations});
        let now = "2026-11-26T03:00:00.5Z".parse().unwrap();
        let edit = edit(&order, &serde_json::from_value(metadata).unwrap(), now)?;
        Some(serde_json::to_value(edit.into_patch()).unwrap())
    }

    /// The operations after the guard, but for the record of who it was.
    fn operations(patch: &Value) -> Vec<String> {
        let guard = &patch[0];
        assert_eq!((&guard["op"], &guard["value"]), (&json!("replace"), &json!("7")), "{guard}");
        let text = |o: &Value| {
            let path = o["path"].as_str().unwrap();
            let path = path.trim_start_matches("/metadata/").replace("failover.linkerd.io~1", "");
            format!("{} {path} {}", o["op"].as_str().unwrap(), o["value"])
        };
        let rest = patch.as_array().unwrap()[1..].iter().map(text);
        rest.filter(|text| !text.contains("changed-by")).collect()
    }

    #[test]
    fn each_action_writes_its_annotations_and_removes_only_what_is_there() {
        let west = || Action::Pin { backends: vec!["west".into()] };
        let until = Some("2026-11-26T03:30:00Z");
        for (action, until, present, expected) in [
            (
                west(),
                until,
                json!(null),
                vec![
                    "add annotations {}",
                    r#"add annotations/pin "west""#,
                    r#"add annotations/pin-until "2026-11-26T03:30:00Z""#,
                ],
            ),
            (
                west(),
                None,
                json!({"failover.linkerd.io/pin-until": "2026-11-26T02:00:00Z"}),
                vec![r#"add annotations/pin "west""#, "remove annotations/pin-until null"],
            ),
            (
                Action::Unpin,
                None,
                json!({"failover.linkerd.io/pin": "west"}),
                vec!["remove annotations/pin null"],
            ),
            (Action::Pause, None, json!({}), vec![r#"add annotations/paused "true""#]),
            (
                Action::Resume,
                None,
                json!({"failover.linkerd.io/paused": "true"}),
                vec!["remove annotations/paused null"],
            ),
            (
                Action::Failback,
                None,
                json!({}),
                vec![r#"add annotations/failback-requested "2026-11-26T03:00:00Z""#],
            ),
            (
                Action::Freeze,
                until,
                json!({}),
                vec![
                    r#"add annotations/frozen "true""#,
                    r#"add annotations/frozen-until "2026-11-26T03:30:00Z""#,
                ],
            ),
        ] {
            let patch = patch(action.clone(), until, present).unwrap();
            assert_eq!(operations(&patch), expected, "{action:?}");
            assert!(patch.to_string().contains("alice"), "{action:?}");
        }
    }

    #[test]
    fn what_is_there_already_is_not_written_again() {
        assert!(patch(Action::Unpin, None, json!({})).is_none());
        let paused = json!({"failover.linkerd.io/paused": "true"});
        assert!(patch(Action::Pause, None, paused).is_none());
        assert!(patch(Action::Unfreeze, None, json!({"other": "x"})).is_none());
    }
}
