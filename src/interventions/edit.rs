//! The patch of an action: annotations of one object, guarded by the version it was decided from.

use crate::engine::annotations::{
    CHANGED_BY, FAILBACK_REQUESTED, FROZEN, FROZEN_UNTIL, PAUSED, PAUSED_UNTIL, PIN, PIN_UNTIL,
    PREFIX,
};
use crate::interventions::action::Order;
use crate::kinds::Edit;
use crate::kinds::changed_by::ChangedBy;
use jiff::Timestamp;
use kube::api::ObjectMeta;
use std::collections::BTreeMap;

/// What people set by commands.
const SET_BY_PEOPLE: [&str; 7] =
    [PIN, PIN_UNTIL, PAUSED, PAUSED_UNTIL, FAILBACK_REQUESTED, FROZEN, FROZEN_UNTIL];

type Annotations = BTreeMap<String, String>;

/// What people had set on an object when an action was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Basis(BTreeMap<&'static str, Option<String>>);

/// People have set something else since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changed(pub String);

impl Basis {
    pub(crate) fn of(metadata: &ObjectMeta) -> Self {
        let none = Annotations::default();
        let present = metadata.annotations.as_ref().unwrap_or(&none);
        Self(SET_BY_PEOPLE.map(|name| (name, present.get(name).cloned())).into())
    }

    /// The pin of a drill, whatever else there is.
    pub(crate) fn of_pin(backend: &str, until: Timestamp) -> Self {
        let until = until.to_string();
        Self([(PIN, Some(backend.to_owned())), (PIN_UNTIL, Some(until))].into())
    }

    /// What stands there now, where that is something else.
    fn check(&self, present: &Annotations) -> Result<(), Changed> {
        let is_other = |(name, before): &(&&str, &Option<String>)| {
            !is_same(present.get(**name).map(String::as_str), before.as_deref())
        };
        let others = self.0.iter().filter(is_other);
        let shown: Vec<String> = others
            .map(|(name, _)| match present.get(*name) {
                Some(value) => format!("{}={value:?}", name.trim_start_matches(PREFIX)),
                None => format!("no {}", name.trim_start_matches(PREFIX)),
            })
            .collect();
        if shown.is_empty() {
            return Ok(());
        }
        let by = ChangedBy::of(present).map(|by| format!(" ({by})")).unwrap_or_default();
        Err(Changed(format!("{}{by}", shown.join(", "))))
    }
}

/// Whether two values say the same; a time may be written in several ways.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    let time = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
    one == other || time(one).is_some_and(|one| time(other) == Some(one))
}

/// The patch of an order to an object with this metadata; none where that has what is ordered already, and an error
/// where it has not what the order was checked by.
pub(crate) fn edit(
    order: &Order,
    metadata: &ObjectMeta,
    basis: &Basis,
    now: Timestamp,
) -> Result<Option<Edit>, Changed> {
    let none = Annotations::default();
    let present = metadata.annotations.as_ref().unwrap_or(&none);
    basis.check(present)?;
    let ordered = order.annotations(now);
    if ordered.iter().all(|(name, value)| present.get(*name) == value.as_ref())
        && !is_other_reason(order, present)
    {
        return Ok(None);
    }
    let mut edit = Edit::guarded_by(metadata.resource_version.as_deref().unwrap_or_default());
    let mut set: Vec<(&str, String)> =
        ordered.iter().filter_map(|(name, value)| Some((*name, value.clone()?))).collect();
    set.push((CHANGED_BY, order.changed_by(now).to_annotation()));
    edit.annotations(metadata.annotations.is_some(), &set);
    let removed = ordered.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| *name);
    edit.remove_annotations(removed.filter(|name| present.contains_key(*name)));
    Ok(Some(edit))
}

/// Whether what is there already is to have another reason; what is not there has none.
fn is_other_reason(order: &Order, present: &Annotations) -> bool {
    let Some(reason) = order.reason.as_ref() else { return false };
    let by = ChangedBy::of(present);
    order.action.intervention().sets() && by.and_then(|by| by.reason).as_ref() != Some(reason)
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
        let metadata = serde_json::from_value(metadata).unwrap();
        let edit = edit(&order, &metadata, &Basis::of(&metadata), now).unwrap()?;
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

    fn metadata(annotations: &[(&str, &str)]) -> ObjectMeta {
        let annotations = annotations.iter().map(|(name, value)| {
            let name =
                if *name == "other" { (*name).to_owned() } else { format!("{PREFIX}{name}") };
            (name, (*value).to_owned())
        });
        ObjectMeta { annotations: Some(annotations.collect()), ..ObjectMeta::default() }
    }

    fn order(action: Action, reason: Option<&str>) -> Order {
        let reason = reason.map(str::to_owned);
        Order { action, until: None, person: "alice".into(), reason }
    }

    #[test]
    fn what_somebody_else_has_set_meanwhile_is_not_overwritten() {
        let now = Timestamp::UNIX_EPOCH;
        let before = metadata(&[("state", "{}")]);
        let west = order(Action::Pin { backends: vec!["west".into()] }, None);
        for (since, changed) in [
            (metadata(&[("state", "{1}"), ("other", "x")]), None),
            (metadata(&[("pin", "north")]), Some(r#"pin="north""#)),
            (metadata(&[("paused", "true")]), Some(r#"paused="true""#)),
        ] {
            let found = edit(&west, &since, &Basis::of(&before), now).err();
            assert_eq!(found.map(|Changed(what)| what).as_deref(), changed, "{since:?}");
        }
        let pinned = metadata(&[("pin", "west")]);
        let unpin = order(Action::Unpin, None);
        let found = edit(&unpin, &before, &Basis::of(&pinned), now).err().unwrap();
        assert_eq!(found, Changed("no pin".into()));
    }

    #[test]
    fn a_drill_takes_its_own_pin_off_and_no_other() {
        let until: Timestamp = "2026-11-26T03:30:00Z".parse().unwrap();
        let basis = Basis::of_pin("west", until);
        let takes_off = |pin: &[(&str, &str)]| {
            edit(&order(Action::Unpin, None), &metadata(pin), &basis, until).is_ok()
        };
        let ours = ("pin", "west");
        assert!(takes_off(&[ours, ("pin-until", "2026-11-26T03:30:00Z"), ("paused", "true")]));
        assert!(takes_off(&[ours, ("pin-until", "2026-11-26T03:30:00+00:00")]));
        assert!(!takes_off(&[ours, ("pin-until", "2026-11-26T04:30:00Z")]));
        assert!(!takes_off(&[("pin", "north"), ("pin-until", "2026-11-26T03:30:00Z")]));
        assert!(!takes_off(&[ours]));
        assert!(!takes_off(&[]));
    }

    #[test]
    fn another_reason_for_what_is_there_is_written() {
        let now = Timestamp::UNIX_EPOCH;
        let first = order(Action::Pause, Some("a release"));
        let by = first.changed_by(now).to_annotation();
        let paused = metadata(&[("paused", "true"), ("changed-by", &by)]);
        for (order, written) in [
            (order(Action::Pause, None), false),
            (order(Action::Pause, Some("a release")), false),
            (order(Action::Pause, Some("an incident")), true),
            (order(Action::Unpin, Some("an incident")), false),
        ] {
            let edit = edit(&order, &paused, &Basis::of(&paused), now).unwrap();
            assert_eq!(edit.is_some(), written, "{order:?}");
        }
    }
}
