//! Large reviews: away from the thread of the others.

use super::*;
use crate::webhook::answer::AdmissionResponse;
use crate::webhook::review::ReviewRequest as Review;
use axum::body::Body;
use serde_json::json;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use tower::ServiceExt;

/// Answers a large review only after a small one.
struct SmallFirst {
    light: Sender<()>,
    heavy: Mutex<Receiver<()>>,
}

impl Reviewer for SmallFirst {
    fn precheck(&self, _: ReviewPath, body: &[u8]) -> Option<ReviewResponse> {
        let contains = |name: &str| body.windows(name.len()).any(|text| text == name.as_bytes());
        if contains("slow to count") {
            self.heavy.lock().unwrap().recv().unwrap();
        }
        let unread = contains("glance");
        let allowed = AdmissionResponse::allowed();
        unread.then(|| ReviewResponse::new("u-1", ObjectOperation::Create, &allowed))
    }

    async fn review(&self, _: ReviewPath, request: &Review) -> AdmissionResponse {
        match request.name.as_str() {
            "light" => self.light.send(()).unwrap(),
            // This blocks its thread.
            "heavy" => self.heavy.lock().unwrap().recv().unwrap(),
            "slow to count" => {}
            _ => panic!("as the test wants it"),
        }
        AdmissionResponse::allowed()
    }
}

fn body(name: &str, bytes: usize) -> Body {
    let kind = json!({"group": "split.smi-spec.io", "version": "v1alpha2", "kind": "TrafficSplit"});
    let resource =
        json!({"group": "split.smi-spec.io", "version": "v1alpha2", "resource": "trafficsplits"});
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "u-1", "kind": kind, "resource": resource, "operation": "CREATE",
        "name": name, "namespace": "emojivoto", "userInfo": {},
        "object": {"kind": "TrafficSplit", "apiVersion": "split.smi-spec.io/v1alpha2",
            "metadata": {"name": name, "annotations": {"x": "y".repeat(bytes)}}, "spec": {}},
    }});
    Body::from(review.to_string())
}

fn webhook() -> axum::Router {
    let (light, heavy) = channel();
    let reviewer = SmallFirst { light, heavy: Mutex::new(heavy) };
    router(
        reviewer,
        ServerLimits::default(),
        Arc::new(Metrics::default()),
        CancellationToken::new(),
    )
}

async fn post(router: axum::Router, path: &str, body: Body) -> (StatusCode, serde_json::Value) {
    let request = Request::post(path).body(body).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    let mut review: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    (status, review["response"].take())
}

#[tokio::test]
async fn a_large_review_delays_no_small_one() {
    for large in ["heavy", "slow to count"] {
        let router = webhook();
        let heavy = tokio::spawn(post(router.clone(), "/validate", body(large, 1_400_000)));
        // On the only thread there is.
        tokio::task::yield_now().await;
        let (status, small) = post(router, "/validate", body("light", 0)).await;
        assert_eq!((status, &small["allowed"]), (StatusCode::OK, &json!(true)), "{large}");
        assert_eq!(heavy.await.unwrap().1["allowed"], true, "{large}");
    }
}

#[tokio::test]
async fn a_large_review_that_is_late_or_panics_is_answered_with_its_uid() {
    let router = webhook();
    let (_, late) = post(router.clone(), "/validate?timeout=100ms", body("heavy", 20_000)).await;
    assert_eq!((&late["uid"], &late["allowed"]), (&json!("u-1"), &json!(false)));
    // Its permit is released when it ends: the next large one is asked to retry.
    let (status, _) = post(router.clone(), "/validate?timeout=100ms", body("heavy", 20_000)).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    post(router.clone(), "/validate", body("light", 0)).await;
    let (_, panicked) = post(router, "/mutate", body("panics", 20_000)).await;
    assert_eq!((&panicked["uid"], &panicked["allowed"]), (&json!("u-1"), &json!(true)));
}

#[tokio::test]
async fn a_response_of_the_precheck_needs_no_permit() {
    let router = webhook();
    let heavy = tokio::spawn(post(router.clone(), "/validate", body("heavy", 20_000)));
    tokio::task::yield_now().await;
    let (_, seen) = post(router.clone(), "/validate", body("glance", 20_000)).await;
    assert_eq!(seen["allowed"], true);
    post(router, "/validate", body("light", 0)).await;
    heavy.await.unwrap();
}
