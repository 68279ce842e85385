//! What the deletion guard takes: reviews of deletions and evictions, and announcements of other replicas.

use crate::deletion_guard::{Announcement, AnnouncementOutcome};
use crate::fuzz::input::Source;
use crate::kinds::pods::PodUid;
use crate::webhook::pod_deletion_request::{DeletionReview, SkipReason};
use serde_json::{Value, json};

const UID: &str = "0189abcd-ef01-4abc-8def-0123456789ab";

/// The first byte chooses whether the rest is a body, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    match choice % 4 {
        0 => {
            if let Ok(announcement) = serde_json::from_slice(rest) {
                sent(&announcement);
            }
            if let Ok(outcome) = serde_json::from_slice::<AnnouncementOutcome>(rest) {
                let text = serde_json::to_vec(&outcome).expect("JSON");
                assert_eq!(
                    serde_json::from_slice::<AnnouncementOutcome>(&text).ok(),
                    Some(outcome)
                );
            }
            let naive = serde_json::from_slice::<Value>(rest).ok();
            reviewed(rest, naive.as_ref());
        }
        1 => {
            let mut source = Source::new(rest);
            let body = review(&mut source);
            reviewed(body.to_string().as_bytes(), Some(&body));
        }
        2 => uid_read(
            &Source::new(rest)
                .text(&["0", "a", "F", "-", "g", UID, "0189abcdef", "+", "\u{663}"], 8),
        ),
        _ => uid_read(&String::from_utf8_lossy(rest)),
    }
}

/// An announcement arrives as it was sent.
fn sent(announcement: &Announcement) {
    let text = serde_json::to_vec(announcement).expect("JSON");
    arrived(announcement, &text);
    if let Some(uid) = &announcement.uid {
        uid_read(uid);
    }
}

pub(super) fn arrived(announcement: &Announcement, text: &[u8]) {
    assert_eq!(serde_json::from_slice::<Announcement>(text).ok().as_ref(), Some(announcement));
}

/// A uid is 32 hexadecimal digits, whatever the dashes.
fn uid_read(text: &str) {
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    let is_uid = digits.len() == 32 && digits.iter().all(char::is_ascii_hexdigit);
    let read = PodUid::parse(text).map(|uid| uid.to_string().replace('-', ""));
    let naive = is_uid.then(|| digits.iter().collect::<String>().to_lowercase());
    assert_eq!(read, naive, "{text:?}");
}

/// What a deletion announces, beside a naive reading of its JSON.
fn reviewed(body: &[u8], json: Option<&Value>) {
    let Ok(review) = serde_json::from_slice::<DeletionReview>(body) else { return };
    let uid = review.request.uid.clone();
    let announced = review.request.announcement();
    // As a list of its fields, JSON is read too; no API server writes it so.
    let Some(json) = json.filter(|json| is_of_objects(json)) else { return };
    assert_eq!(json.pointer("/request/uid").and_then(Value::as_str), Some(uid.as_str()));
    agree(json, &announced);
}

fn is_of_objects(json: &Value) -> bool {
    const NESTED: [&str; 10] = [
        "/request/oldObject/metadata",
        "/request",
        "/request/options",
        "/request/options/preconditions",
        "/request/object",
        "/request/object/metadata",
        "/request/object/deleteOptions",
        "/request/object/deleteOptions/preconditions",
        "/request/oldObject",
        "/request/oldObject/spec",
    ];
    let there = NESTED.iter().filter_map(|at| json.pointer(at));
    json.is_object() && there.into_iter().all(|value| value.is_object() || value.is_null())
}

pub(super) fn agree(json: &Value, announced: &Result<Announcement, SkipReason>) {
    let text = |pointer: &str| {
        json.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty())
    };
    let evicts = text("/request/operation") == Some("CREATE");
    let options = ["/request/options", "/request/object/deleteOptions"].map(|at| json.pointer(at));
    let dry = json.pointer("/request/dryRun") == Some(&Value::Bool(true))
        || options.iter().flatten().any(|options| {
            options.get("dryRun").and_then(Value::as_array).is_some_and(|stages| !stages.is_empty())
        });
    let zero = |value: Option<&Value>| value.and_then(Value::as_i64) == Some(0);
    let own = json.pointer("/request/oldObject/spec/terminationGracePeriodSeconds");
    let forced = options.iter().flatten().any(|options| zero(options.get("gracePeriodSeconds")))
        && !zero(own);
    let deleted = json
        .pointer("/request/oldObject/metadata/deletionTimestamp")
        .is_some_and(|at| !at.is_null());
    match announced {
        Err(SkipReason::DryRun) => assert!(dry, "it is deleted: {json}"),
        Err(SkipReason::TooLate) => assert!(!dry && (forced || deleted), "it is not late: {json}"),
        Ok(Announcement { namespace, name, uid }) => {
            assert!(!dry && !forced && !deleted, "nothing is to be announced: {json}");
            assert_eq!(
                namespace,
                json.pointer("/request/namespace").and_then(Value::as_str).unwrap_or_default()
            );
            let names = [
                "/request/name",
                "/request/object/metadata/name",
                "/request/oldObject/metadata/name",
            ];
            assert_eq!(name, names.iter().find_map(|at| text(at)).unwrap_or_default());
            let of_pod = json.pointer("/request/oldObject/metadata/uid").and_then(Value::as_str);
            let asked = json
                .pointer("/request/object/deleteOptions/preconditions/uid")
                .and_then(Value::as_str);
            assert_eq!(uid.as_deref(), if evicts { asked } else { of_pod });
        }
    }
}

fn options(source: &mut Source<'_>) -> Value {
    let mut options = json!({});
    if source.one_in(2) {
        options["gracePeriodSeconds"] = json!(source.pick(&[0, 30, -1]));
    }
    if source.one_in(3) {
        options["dryRun"] = json!(source.pick(&[json!(["All"]), json!([]), json!(null)]));
    }
    if source.one_in(3) {
        options["preconditions"] = json!({"uid": source.pick(&[UID, ""])});
    }
    options
}

fn review(source: &mut Source<'_>) -> Value {
    let mut request = json!({"uid": "u-1", "operation": source.pick(&["DELETE", "CREATE", "DANCE"]),
        "kind": {"group": "", "version": "v1", "kind": "Pod"}});
    if !source.one_in(6) {
        request["name"] = json!(source.pick(&["web-1", ""]));
    }
    if !source.one_in(6) {
        request["namespace"] = json!("emojivoto");
    }
    if source.one_in(4) {
        request["dryRun"] = json!(source.one_in(2));
    }
    if source.one_in(2) {
        request["options"] = options(source);
    }
    if source.one_in(2) {
        request["object"] = json!({"metadata": {"name": source.pick(&["web-1", "web-2", ""])}});
        if source.one_in(2) {
            request["object"]["deleteOptions"] = options(source);
        }
    }
    if !source.one_in(4) {
        let mut metadata = json!({"name": "web-1", "uid": source.pick(&[UID, "x"])});
        if source.one_in(4) {
            metadata["deletionTimestamp"] =
                json!(source.pick(&[json!("2026-01-01T00:00:00Z"), Value::Null]));
        }
        request["oldObject"] = json!({"metadata": metadata,
            "spec": {"terminationGracePeriodSeconds": source.pick(&[0, 30])}});
    }
    let mut review =
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request});
    if source.one_in(8) {
        source.damage(&mut review);
    }
    review
}
