use super::*;
use crate::webhook::answer::{self, AdmissionResponse};
use crate::webhook::review::ReviewRequest as Review;
use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::{Value, json};
use tower::ServiceExt;

/// A reviewer with one behaviour.
#[derive(Clone, Copy)]
enum Fake {
    Allows,
    Denies,
    Panics,
    Hangs,
}

impl Reviewer for Fake {
    async fn review(&self, _: ReviewPath, request: &Review) -> AdmissionResponse {
        match self {
            Self::Allows => AdmissionResponse::allowed(),
            Self::Denies => answer::deny(request, &[]),
            Self::Panics => panic!("as the test wants it"),
            Self::Hangs => std::future::pending().await,
        }
    }
}

struct Webhook {
    router: axum::Router,
    metrics: Arc<Metrics>,
    draining: CancellationToken,
}

impl Webhook {
    fn new(reviewer: Fake) -> Self {
        Self::with(reviewer, ServerLimits::default())
    }

    fn with(reviewer: Fake, limits: ServerLimits) -> Self {
        let (metrics, draining) = (Arc::new(Metrics::default()), CancellationToken::new());
        let router = router(reviewer, limits, metrics.clone(), draining.clone());
        Self { router, metrics, draining }
    }

    /// Posts to a path that may end in a query.
    async fn post(&self, path: &str, body: impl Into<Body>) -> (StatusCode, String) {
        let response = self.response(path, body).await;
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    async fn response(&self, path: &str, body: impl Into<Body>) -> Response {
        let request = Request::post(path).body(body.into()).unwrap();
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The `response` of a review.
    async fn review(&self, path: &str) -> Value {
        let (status, body) = self.post(path, review_body()).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["response"].take()
    }

    fn has_metric(&self, line: &str) -> bool {
        self.metrics.encode().lines().any(|l| l == format!("linkerd_failover_{line}"))
    }
}

fn review_body() -> String {
    let gvk = json!({"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"});
    let gvr =
        json!({"group": "split.smi-spec.io", "version": "v1alpha2", "resource": "trafficsplits"});
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "kind": gvk, "resource": gvr, "operation": "CREATE",
        "name": "emoji", "namespace": "emojivoto", "userInfo": {},
        "object": {"kind": "TrafficSplit", "apiVersion": "split.smi-spec.io/v1alpha2",
            "metadata": {"name": "emoji"}, "spec": {}},
    }})
    .to_string()
}

/// A body that begins and does not end.
fn endless() -> Body {
    let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from("{"))]);
    Body::from_stream(futures::StreamExt::chain(begun, stream::pending()))
}

#[tokio::test]
async fn an_answer_is_a_review_and_is_counted() {
    let allows = Webhook::new(Fake::Allows);
    assert_eq!(allows.review("/mutate?timeout=3s").await["allowed"], true);
    let admissions = "admissions_total{webhook=\"mutate\",operation=\"CREATE\"";
    assert!(allows.has_metric(&format!("{admissions},verdict=\"allowed\"}} 1")));
    assert!(allows.has_metric("admission_seconds_count{webhook=\"mutate\"} 1"));
    assert!(allows.has_metric("admissions_in_flight 0"));
    let denies = Webhook::new(Fake::Denies);
    let denial = denies.review("/mutate").await;
    assert_eq!((&denial["allowed"], &denial["status"]["code"]), (&json!(false), &json!(403)));
    assert!(denies.has_metric(&format!("{admissions},verdict=\"denied\"}} 1")));
}

#[tokio::test]
async fn after_a_panic_the_answer_carries_the_uid_and_the_panic_is_counted() {
    let webhook = Webhook::new(Fake::Panics);
    let passed = webhook.review("/mutate").await;
    assert_eq!((&passed["uid"], &passed["allowed"]), (&json!("u-1"), &json!(true)));
    let failed = webhook.review("/validate").await;
    assert_eq!((&failed["uid"], &failed["allowed"]), (&json!("u-1"), &json!(false)));
    assert_eq!(failed["status"]["code"], 500);
    assert!(webhook.has_metric("admission_panics_total 2"));
    assert!(webhook.has_metric(
        "admissions_total{webhook=\"validate\",operation=\"CREATE\",verdict=\"panicked\"} 1"
    ));
}

#[tokio::test]
async fn an_answer_comes_before_the_api_server_gives_up() {
    let webhook = Webhook::new(Fake::Hangs);
    let began = Instant::now();
    let late = webhook.review("/validate?timeout=240ms").await;
    assert!(began.elapsed() >= Duration::from_millis(200));
    assert_eq!((&late["uid"], &late["allowed"]), (&json!("u-1"), &json!(false)));
    assert!(late["status"]["message"].as_str().unwrap().contains("it took too long"));
    assert!(webhook.has_metric(
        "admissions_total{webhook=\"validate\",operation=\"CREATE\",verdict=\"late\"} 1"
    ));
}

#[tokio::test]
async fn a_body_that_does_not_arrive_ends_at_the_deadline() {
    let webhook = Webhook::new(Fake::Allows);
    let (status, _) = webhook.post("/mutate?timeout=60ms", endless()).await;
    assert_eq!(status, StatusCode::REQUEST_TIMEOUT);
    assert!(webhook.has_metric("admissions_in_flight 0"));
}

#[test]
fn the_deadline_is_within_the_timeout_of_the_api_server() {
    let most = Duration::from_secs(5);
    for (query, millis) in [
        (None, 2_500),
        (Some("timeout=3s"), 2_500),
        (Some("a=b&timeout=1s"), 833),
        (Some("timeout=30s"), 5_000),
        (Some("timeout=soon"), 2_500),
        (Some("timeout=-3s"), 2_500),
        (Some("timeout="), 2_500),
    ] {
        assert_eq!(patience(query, most).as_millis(), millis, "{query:?}");
    }
}

fn two_at_once(reviewer: Fake) -> Webhook {
    Webhook::with(reviewer, ServerLimits { requests: 2, ..ServerLimits::default() })
}

#[tokio::test]
async fn beyond_the_limit_a_request_whose_body_does_not_arrive_makes_room() {
    let webhook = two_at_once(Fake::Allows);
    let path = "/mutate?timeout=600ms";
    let slow =
        async { tokio::join!(webhook.response(path, endless()), webhook.post(path, endless())) };
    let third = async {
        tokio::task::yield_now().await;
        assert!(webhook.has_metric("admissions_in_flight 2"));
        webhook.review(path).await
    };
    let ((first, second), third) = tokio::join!(slow, third);
    assert_eq!(third["allowed"], true);
    assert_eq!(first.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(first.headers()[header::RETRY_AFTER], "1");
    assert_eq!(second.0, StatusCode::REQUEST_TIMEOUT);
    assert!(webhook.has_metric("admissions_shed_total{why=\"requests\"} 1"));
    assert!(webhook.has_metric("admissions_in_flight 0"));
}

#[tokio::test]
async fn where_all_places_are_taken_by_reviews_a_request_is_turned_away_at_once() {
    let webhook = two_at_once(Fake::Hangs);
    let path = "/mutate?timeout=600ms";
    let busy = async { tokio::join!(webhook.review(path), webhook.review(path)) };
    let third = async {
        tokio::task::yield_now().await;
        webhook.response(path, review_body()).await
    };
    let (busy, third) = tokio::join!(busy, third);
    assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(third.headers()[header::RETRY_AFTER], "1");
    assert_eq!([&busy.0["uid"], &busy.1["uid"]], ["u-1", "u-1"]);
    assert!(webhook.has_metric("admissions_shed_total{why=\"requests\"} 1"));
}

#[tokio::test]
async fn bodies_are_bounded_each_and_together_and_small_ones_are_always_read() {
    const KIB: usize = 1024;
    let limits =
        ServerLimits { body_bytes: 64 * KIB, bodies_bytes: 40 * KIB, ..ServerLimits::default() };
    let webhook = Webhook::with(Fake::Allows, limits);
    let (status, _) = webhook.post("/mutate", vec![b' '; 64 * KIB + 1]).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // 40 KiB beyond what is free: all that there is.
    let slow = stream::iter([Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 56 * KIB]))]);
    let slow = Body::from_stream(futures::StreamExt::chain(slow, stream::pending()));
    let others = async {
        tokio::task::yield_now().await;
        let large = webhook.post("/mutate", vec![b' '; 17 * KIB]).await.0;
        (large, webhook.review("/mutate").await)
    };
    let (slow, (large, small)) = tokio::join!(webhook.post("/mutate?timeout=120ms", slow), others);
    assert_eq!((slow.0, large), (StatusCode::REQUEST_TIMEOUT, StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(small["allowed"], true);
    assert!(webhook.has_metric("admissions_shed_total{why=\"memory\"} 1"));
}

#[tokio::test]
async fn while_the_server_drains_clients_of_http_1_are_asked_to_reconnect() {
    let webhook = Webhook::new(Fake::Allows);
    let before = webhook.response("/mutate", review_body()).await;
    assert!(!before.headers().contains_key(header::CONNECTION));
    webhook.draining.cancel();
    let after = webhook.response("/mutate", review_body()).await;
    assert_eq!(
        (after.status(), &after.headers()[header::CONNECTION]),
        (StatusCode::OK, &HeaderValue::from_static("close"))
    );
}
