//! A simulated API server with one Service, and a receiver before it.

use crate::alerts::receiver::{AUDIENCE, AlertReceiver, ReceiverParts};
use crate::alerts::settings::{AlertSettings, LabelNames, StaySettings};
use crate::engine::annotations::DOWN_BY;
use crate::events::Recorder;
use crate::kinds::ObjectKey;
use crate::telemetry::Metrics;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{Method, Request, Response};
use jiff::SignedDuration;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

/// An API server with one Service, as far as alerts need one.
pub(super) struct Api {
    pub(super) service: Value,
    pub(super) is_valid: bool,
    pub(super) is_allowed: bool,
    /// The write of another, which comes between our read and our write.
    pub(super) between: Option<Value>,
    /// Every answer is an error.
    pub(super) is_down: bool,
    /// `<method> <path>` of each request.
    pub(super) requests: Vec<String>,
}

impl Api {
    pub(super) fn new() -> Arc<Mutex<Self>> {
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
            ("POST", "tokenreviews") => (201, self.token_review(body)),
            ("POST", "subjectaccessreviews") => {
                (201, json!({"spec": {}, "status": {"allowed": self.is_allowed}}))
            }
            ("GET", "emoji-svc") => (200, self.service.clone()),
            ("PATCH", "emoji-svc") => self.patch(body),
            _ => failure(404, "NotFound"),
        }
    }

    fn token_review(&self, review: &Value) -> Value {
        let sender = sender_of(review["spec"]["token"].as_str().unwrap());
        let user = json!({"username": sender});
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

    pub(super) fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|request| request.starts_with(method)).count()
    }

    /// The fingerprints of the alerts that declare the Service down.
    pub(super) fn declaring(&self) -> Vec<String> {
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

pub(super) fn receiver(api: &Arc<Mutex<Api>>, namespaces: &[&str]) -> AlertReceiver {
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
        deployment: ObjectKey::new("linkerd-failover", "linkerd-failover"),
        metrics: metrics.clone(),
        recorder: Recorder::new(metrics).0,
    })
}

pub(super) fn notification(alerts: &[(&str, &str)]) -> Vec<u8> {
    let alert = |(fingerprint, service): &(&str, &str)| {
        json!({
            "status": "firing", "fingerprint": fingerprint,
            "labels": {"alertname": "Failing", "namespace": "emojivoto", "service": service},
        })
    };
    let alerts: Vec<_> = alerts.iter().map(alert).collect();
    json!({"version": "4", "alerts": alerts}).to_string().into_bytes()
}

/// A token of a sender for an audience.
pub(super) fn token(sender: &str, audience: &str) -> String {
    let claims = json!({"sub": sender, "aud": [audience]}).to_string();
    format!("header.{}.signature", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

/// Whose a token is.
fn sender_of(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    claims["sub"].clone()
}
