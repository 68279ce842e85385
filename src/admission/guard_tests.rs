use super::*;
use serde_json::{Value, json};

const UID: &str = "0189abcd-ef01-4abc-8def-0123456789ab";

fn deletion() -> Value {
    json!({"uid": "u-1", "operation": "DELETE", "namespace": "ns", "name": "emoji-1", "dryRun": false,
        "object": null, "options": {"kind": "DeleteOptions", "gracePeriodSeconds": 30},
        "oldObject": {"metadata": {"name": "emoji-1", "uid": UID}, "spec": {"containers": []}}})
}

fn eviction() -> Value {
    json!({"uid": "u-1", "operation": "CREATE", "namespace": "ns", "name": "emoji-1", "oldObject": null,
        "object": {"kind": "Eviction", "metadata": {"name": "emoji-1", "namespace": "ns"}}})
}

fn announces(mut request: Value, change: Value) -> Result<Announcement, Spared> {
    json_patch::merge(&mut request, &change);
    let review: Review = serde_json::from_value(json!({"request": request})).unwrap();
    review.request.announces()
}

fn pod(uid: Option<&str>) -> Result<Announcement, Spared> {
    let (namespace, name) = ("ns".into(), "emoji-1".into());
    Ok(Announcement { namespace, name, uid: uid.map(str::to_owned) })
}

#[test]
fn a_deletion_is_known_by_the_old_object_and_an_eviction_by_its_name() {
    assert_eq!(announces(deletion(), json!({})), pod(Some(UID)));
    // Of a deleted collection.
    assert_eq!(announces(deletion(), json!({"name": null})), pod(Some(UID)));
    assert_eq!(announces(eviction(), json!({})), pod(None));
    assert_eq!(announces(eviction(), json!({"name": ""})), pod(None));
    let own_grace = json!({"options": {"gracePeriodSeconds": 0},
        "oldObject": {"spec": {"terminationGracePeriodSeconds": 0}}});
    assert_eq!(announces(deletion(), own_grace), pod(Some(UID)));
    let promised = json!({"object": {"deleteOptions": {"preconditions": {"uid": UID}}}});
    assert_eq!(announces(eviction(), promised), pod(Some(UID)));
}

#[test]
fn what_deletes_nothing_or_in_no_time_announces_nothing() {
    for (change, why) in [
        (json!({"dryRun": true}), Spared::DryRun),
        (json!({"options": {"dryRun": ["All"]}}), Spared::DryRun),
        (json!({"options": {"gracePeriodSeconds": 0}}), Spared::TooLate),
        (
            json!({"oldObject": {"metadata": {"deletionTimestamp": "2026-11-21T03:10:00Z"}}}),
            Spared::TooLate,
        ),
    ] {
        assert_eq!(announces(deletion(), change.clone()), Err(why), "{change}");
    }
    for (options, why) in [
        (json!({"dryRun": ["All"]}), Spared::DryRun),
        (json!({"gracePeriodSeconds": 0}), Spared::TooLate),
    ] {
        let change = json!({"object": {"deleteOptions": options}});
        assert_eq!(announces(eviction(), change.clone()), Err(why), "{change}");
    }
}

#[test]
fn a_review_that_cannot_be_read_says_what_it_lacks() {
    for body in ["", "{}", r#"{"request": {}}"#, r#"{"request": {"uid": 1}}"#] {
        let error = serde_json::from_str::<Review>(body).unwrap_err().to_string();
        assert!(!error.is_empty(), "{body}");
    }
}
