//! What is read of a message, and what is said of one that cannot be read.

use super::*;
use serde_json::{Value, json};

fn labels() -> LabelNames {
    LabelNames { namespace: "namespace".into(), service: "service".into() }
}

/// As Alertmanager sends it.
fn message(alerts: &Value) -> Value {
    json!({
        "receiver": "linkerd-failover",
        "status": "firing",
        "alerts": alerts,
        "groupLabels": {"alertname": "Failing"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "version": "4",
        "groupKey": "{}/{}:{alertname=\"Failing\"}",
        "truncatedAlerts": 0,
    })
}

fn alert() -> Value {
    json!({
        "status": "firing",
        "labels": {"alertname": "Failing", "namespace": "emojivoto", "service": "emoji-svc"},
        "annotations": {"summary": "40 % of\n requests fail "},
        "startsAt": "2026-01-31T14:30:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "",
        "fingerprint": "9f2c41d8a07be315",
    })
}

fn read(message: &Value) -> Result<Notification, MessageError> {
    Notification::read(message.to_string().as_bytes(), &labels())
}

/// What is read of one alert, with some of it replaced.
fn read_alert(change: &Value) -> Result<Alert, InvalidAlert> {
    let mut alert = alert();
    json_patch::merge(&mut alert, change);
    read(&message(&json!([alert]))).unwrap().alerts.remove(0)
}

#[test]
fn an_alert_names_its_service_by_its_labels_and_says_why_in_one_line() {
    let expected = Alert {
        fingerprint: "9f2c41d8a07be315".into(),
        status: AlertStatus::Firing,
        service: ObjectKey::new("emojivoto", "emoji-svc"),
        reason: "Failing: 40 % of requests fail".into(),
    };
    assert_eq!(read_alert(&json!({})).unwrap(), expected);
    let resolved = Alert { status: AlertStatus::Resolved, ..expected.clone() };
    assert_eq!(read_alert(&json!({"status": "resolved"})).unwrap(), resolved);
    // The status that Alertmanager gives it counts: clocks differ.
    assert_eq!(read_alert(&json!({"endsAt": "2020-01-01T00:00:00Z"})).unwrap(), expected);
    let bare = read_alert(&json!({"annotations": null, "labels": {"alertname": null}})).unwrap();
    assert_eq!(bare.reason, "an alert");
    let long = read_alert(&json!({"annotations": {"summary": "é".repeat(4_000)}})).unwrap();
    assert!(long.reason.len() <= LONGEST_REASON + '…'.len_utf8(), "{}", long.reason.len());
}

#[test]
fn the_labels_that_name_the_service_are_settings() {
    let labels = LabelNames { namespace: "dst_namespace".into(), service: "dst".into() };
    let mut alert = alert();
    alert["labels"] = json!({"dst_namespace": "books", "dst": "web", "namespace": "caller"});
    let body = message(&json!([alert])).to_string();
    let read = Notification::read(body.as_bytes(), &labels).unwrap().alerts.remove(0).unwrap();
    assert_eq!(read.service, ObjectKey::new("books", "web"));
}

#[test]
fn an_alert_that_names_no_service_is_refused_by_itself_with_the_field() {
    for (change, field) in [
        (json!({"labels": {"service": null}}), r#"labels["service"]: found none"#),
        (json!({"labels": {"namespace": null}}), r#"labels["namespace"]: found none"#),
        (json!({"labels": {"namespace": "../nodes"}}), r#"labels["namespace"]: found "../nodes""#),
        (json!({"labels": {"service": "Emoji"}}), r#"labels["service"]: found "Emoji""#),
        (json!({"labels": {"service": "-a"}}), r#"labels["service"]"#),
        (json!({"labels": {"service": ""}}), r#"labels["service"]"#),
        (json!({"labels": {"service": "a".repeat(64)}}), r#"labels["service"]"#),
        (json!({"fingerprint": null}), "fingerprint"),
        (json!({"fingerprint": "\"}"}), "fingerprint"),
    ] {
        let error = read_alert(&change).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("Failing"), "{error}");
    }
    let read = read(&message(&json!([{"status": "firing"}, alert()]))).unwrap();
    assert!(read.alerts[0].is_err() && read.alerts[1].is_ok());
}

#[test]
fn what_is_no_message_of_this_version_is_an_error_and_never_a_panic() {
    for (body, why) in [
        (json!({}), "no webhook message"),
        (json!([]), "no webhook message"),
        (json!({"version": "4", "alerts": [{"status": "pending"}]}), "no webhook message"),
        (json!({"version": "3", "alerts": []}), r#"found "3", expected "4""#),
        (message(&json!(vec![alert(); MOST_ALERTS + 1])), "group the route by"),
    ] {
        let error = read(&body).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(Notification::read(b"\xff", &labels()).is_err());
    assert!(read(&message(&json!(vec![alert(); MOST_ALERTS]))).is_ok());
}

#[test]
fn alerts_that_were_left_out_are_counted() {
    let mut message = message(&json!([alert()]));
    message["truncatedAlerts"] = json!(3);
    assert_eq!(read(&message).unwrap().truncated, 3);
    message["truncatedAlerts"] = json!(u64::MAX);
    assert_eq!(read(&message).unwrap().truncated, MOST_TRUNCATED);
}
