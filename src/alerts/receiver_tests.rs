//! What is answered to Alertmanager, and what is asked of the API server for it.

use super::*;
use crate::alerts::settings::{LabelNames, StaySettings};
use crate::engine::annotations::DOWN_BY;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, Request, Response};
use jiff::SignedDuration;
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Mutex;

/// An API server with one Service, as far as alerts need one.
struct Api {
    service: Value,
    is_valid: bool,
    is_allowed: bool,
    /// The write of another, which comes between our read and our write.
    between: Option<Value>,
    /// Every answer is an error.
    is_down: bool,
    /// `<method> <path>` of each request.
    requests: Vec<String>,
}

impl Api {
    fn new() -> Arc<Mutex<Self>> {
        let metadata =
            json!({"name": "emoji-svc", "namespace": "emojivoto", "resourceVersion": "1"});
        Arc::new(Mutex::new(Self {
            service: json!({"metadata": metadata}),
            is_valid: true,
            is_allowed: true,
            between: None,
            is_down: false,
            requests: vec![],
        }))
    }

    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        self.requests.push(format!("{method} {path}"));
        if self.is_down {
            return failure(500, "InternalError");
        }
        match (method.as_str(), path.rsplit('/').next().unwrap_or_default()) {
            ("POST", "tokenreviews") => (201, self.token_review()),
            ("POST", "subjectaccessreviews") => {
                (201, json!({"spec": {}, "status": {"allowed": self.is_allowed}}))
            }
            ("GET", "emoji-svc") => (200, self.service.clone()),
            ("PATCH", "emoji-svc") => self.patch(body),
            _ => failure(404, "NotFound"),
        }
    }

    fn token_review(&self) -> Value {
        let user = json!({"username": "system:serviceaccount:monitoring:alertmanager"});
        let status = json!({"authenticated": self.is_valid, "audiences": [AUDIENCE], "user": user});
        json!({"spec": {}, "status": status})
    }

    fn patch(&mut self, body: &Value) -> (u16, Value) {
        if let Some(other) = self.between.take() {
            self.write(&other);
        }
        if body["metadata"]["resourceVersion"] != self.service["metadata"]["resourceVersion"] {
            return failure(409, "Conflict");
        }
        self.write(body);
        (200, self.service.clone())
    }

    fn write(&mut self, patch: &Value) {
        json_patch::merge(&mut self.service, patch);
        let version = self.requests.len() + 1;
        self.service["metadata"]["resourceVersion"] = json!(version.to_string());
    }

    fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|request| request.starts_with(method)).count()
    }

    /// The fingerprints of the alerts that declare the Service down.
    fn declaring(&self) -> Vec<String> {
        let by = self.service["metadata"]["annotations"][DOWN_BY].as_str().unwrap_or("{}");
        let by: Value = serde_json::from_str(by).unwrap();
        let alerts = by["alerts"].as_array().cloned().unwrap_or_default();
        alerts.iter().map(|a| a["fingerprint"].as_str().unwrap().to_owned()).collect()
    }
}

fn failure(code: u16, reason: &str) -> (u16, Value) {
    (
        code,
        json!({"kind": "Status", "status": "Failure", "reason": reason, "code": code, "message": reason}),
    )
}

fn receiver(api: &Arc<Mutex<Api>>, namespaces: &[&str]) -> AlertReceiver {
    let api = api.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        let api = api.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.unwrap_or_default();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let (code, answer) = api.lock().unwrap().answer(&head.method, head.uri.path(), &body);
            let answer = Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(Response::builder().status(code).body(answer).unwrap())
        }
    });
    let metrics = Arc::new(Metrics::default());
    let minute = SignedDuration::from_mins(1);
    AlertReceiver::new(ReceiverParts {
        client: Client::new(service, "default"),
        settings: AlertSettings {
            stay: StaySettings { lasts: minute, minimum: minute },
            labels: LabelNames { namespace: "namespace".into(), service: "service".into() },
            ca_namespaces: vec![],
        },
        namespaces: namespaces.iter().map(|name| (*name).to_owned()).collect(),
        deployment: ("linkerd-failover".into(), "linkerd-failover".into()),
        metrics: metrics.clone(),
        recorder: Recorder::new(metrics).0,
    })
}

fn notification(alerts: &[(&str, &str)]) -> Vec<u8> {
    let alert = |(fingerprint, service): &(&str, &str)| {
        json!({
            "status": "firing", "fingerprint": fingerprint,
            "labels": {"alertname": "Failing", "namespace": "emojivoto", "service": service},
        })
    };
    let alerts: Vec<_> = alerts.iter().map(alert).collect();
    json!({"version": "4", "alerts": alerts}).to_string().into_bytes()
}

fn user() -> UserInfo {
    let username = Some("system:serviceaccount:monitoring:alertmanager".into());
    UserInfo { username, ..UserInfo::default() }
}

async fn take(receiver: &AlertReceiver, alerts: &[(&str, &str)]) -> Answer {
    receiver.take(&user(), &notification(alerts)).await
}

fn token(audience: &str) -> String {
    let claims = json!({"sub": "me", "aud": [audience]}).to_string();
    format!("header.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

#[tokio::test]
async fn a_notification_is_written_once_for_each_service_and_once_however_often_it_is_sent() {
    let api = Api::new();
    let receiver = receiver(&api, &[]);
    let alerts = [("a", "emoji-svc"), ("b", "emoji-svc")];
    let answer = take(&receiver, &alerts).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(take(&receiver, &alerts).await.status, 200);
    let api = api.lock().unwrap();
    assert_eq!(api.declaring(), ["a", "b"]);
    assert_eq!(api.count("PATCH"), 1, "{:?}", api.requests);
}

#[tokio::test]
async fn what_another_replica_writes_at_the_same_moment_is_kept() {
    let api = Api::new();
    let other = Api::new();
    take(&receiver(&other, &[]), &[("b", "emoji-svc")]).await;
    let theirs = other.lock().unwrap().service["metadata"]["annotations"].clone();
    api.lock().unwrap().between = Some(json!({"metadata": {"annotations": theirs}}));
    let answer = take(&receiver(&api, &[]), &[("a", "emoji-svc")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let api = api.lock().unwrap();
    assert_eq!(api.declaring(), ["b", "a"]);
    assert_eq!(api.count("PATCH"), 2);
}

#[tokio::test]
async fn who_may_not_patch_a_service_changes_nothing_and_learns_nothing_of_it() {
    let api = Api::new();
    api.lock().unwrap().is_allowed = false;
    let receiver = receiver(&api, &[]);
    for service in ["emoji-svc", "gone"] {
        let answer = take(&receiver, &[("a", service)]).await;
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    let api = api.lock().unwrap();
    assert_eq!(api.count("GET") + api.count("PATCH"), 0, "{:?}", api.requests);
}

#[tokio::test]
async fn alertmanager_repeats_what_failed_and_what_did_not_is_done() {
    let api = Api::new();
    let of_emojivoto = receiver(&api, &["emojivoto"]);
    let answer = take(&of_emojivoto, &[("a", "emoji-svc"), ("b", "gone"), ("c", "Emoji")]).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.text.contains("gone: there is no such Service"), "{answer:?}");
    assert!(answer.text.contains("labels[\"service\"]"), "{answer:?}");
    assert_eq!(api.lock().unwrap().declaring(), ["a"]);
    let answer = take(&receiver(&api, &["books"]), &[("a", "emoji-svc")]).await;
    assert!(answer.status == 404 && answer.text.contains("managed: books"), "{answer:?}");
    api.lock().unwrap().is_down = true;
    assert_eq!(take(&of_emojivoto, &[("a", "emoji-svc")]).await.status, 503);
    assert_eq!(of_emojivoto.take(&user(), b"{}").await.status, 400);
}

#[tokio::test]
async fn a_valid_token_is_reviewed_once_a_minute_and_one_for_somebody_else_never() {
    let api = Api::new();
    let receiver = receiver(&api, &[]);
    let status = async |token: &str| receiver.sender(token).await.err().map(|answer| answer.status);
    for wrong in ["", "secret", &token("failover.linkerd.io")] {
        assert_eq!(status(wrong).await, Some(StatusCode::UNAUTHORIZED), "{wrong}");
    }
    assert_eq!(api.lock().unwrap().requests.len(), 0);
    let good = token(AUDIENCE);
    assert_eq!((status(&good).await, status(&good).await), (None, None));
    assert_eq!(api.lock().unwrap().requests.len(), 1);

    api.lock().unwrap().is_valid = false;
    let forged = format!("{good}x");
    assert_eq!(status(&forged).await, Some(StatusCode::UNAUTHORIZED));
    api.lock().unwrap().is_down = true;
    assert_eq!(status(&forged).await, Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[test]
fn one_alert_that_fails_makes_alertmanager_repeat_all_and_the_soonest_way_wins() {
    let answers = |statuses: &[u16]| {
        let answer = |status: &u16| Answer {
            status: StatusCode::from_u16(*status).unwrap(),
            text: status.to_string(),
        };
        summary(statuses.iter().map(answer).collect())
    };
    assert_eq!(answers(&[]).status, 200);
    assert_eq!(answers(&[200, 200]).status, 200);
    assert_eq!(answers(&[200, 403, 400]).status, 403);
    let all = answers(&[200, 503, 403]);
    assert_eq!((all.status.as_u16(), all.text.as_str()), (503, "200\n503\n403"));
}

#[test]
fn a_sender_that_may_not_patch_a_service_is_told_what_allows_it() {
    let service = ObjectKey::new("emojivoto", "emoji-svc");
    insta::assert_snapshot!(
        forbidden(&user(), &service),
        @r#"user "system:serviceaccount:monitoring:alertmanager" may not patch it; to allow it: kubectl -n emojivoto create role alerts --verb=patch --resource=services --resource-name=emoji-svc; kubectl -n emojivoto create rolebinding alerts --role=alerts --serviceaccount=monitoring:alertmanager"#
    );
    let ada = UserInfo { username: Some("ada".into()), ..UserInfo::default() };
    assert!(!forbidden(&ada, &service).contains("rolebinding"));
}
