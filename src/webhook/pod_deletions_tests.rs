use super::*;
use crate::admission::test_support::{NAMESPACE, World, split, stored};
use crate::deletion_guard::{Announcement, PendingAnnouncement};
use crate::index::shared_index::SharedIndex;
use kube::Client;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

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

fn announces(mut request: Value, change: Value) -> Result<Announcement, SkipReason> {
    json_patch::merge(&mut request, &change);
    let review: DeletionReview = serde_json::from_value(json!({"request": request})).unwrap();
    review.request.announcement()
}

fn pod(uid: Option<&str>) -> Result<Announcement, SkipReason> {
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
        (json!({"dryRun": true}), SkipReason::DryRun),
        (json!({"options": {"dryRun": ["All"]}}), SkipReason::DryRun),
        (json!({"options": {"gracePeriodSeconds": 0}}), SkipReason::TooLate),
        (
            json!({"oldObject": {"metadata": {"deletionTimestamp": "2026-11-21T03:10:00Z"}}}),
            SkipReason::TooLate,
        ),
    ] {
        assert_eq!(announces(deletion(), change.clone()), Err(why), "{change}");
    }
    for (options, why) in [
        (json!({"dryRun": ["All"]}), SkipReason::DryRun),
        (json!({"gracePeriodSeconds": 0}), SkipReason::TooLate),
    ] {
        let change = json!({"object": {"deleteOptions": options}});
        assert_eq!(announces(eviction(), change.clone()), Err(why), "{change}");
    }
}

#[test]
fn the_error_of_an_unreadable_review_has_a_message() {
    for body in ["", "{}", r#"{"request": {}}"#, r#"{"request": {"uid": 1}}"#] {
        let error = serde_json::from_str::<DeletionReview>(body).unwrap_err().to_string();
        assert!(!error.is_empty(), "{body}");
    }
}

/// The routes before a reconciler that replies with this outcome, or not at all; in a cluster where a
/// split depends on pod emoji-1, in a namespace with the guard's label.
fn routes(outcome: Option<AnnouncementOutcome>) -> Router {
    let no_labels = json!({});
    routes_in_namespace(true, no_labels, outcome)
}

/// An API server that knows pod emoji-1 alone, with these labels.
fn api_server(labels: Value) -> Client {
    let service = tower::service_fn(move |request: axum::http::Request<kube::client::Body>| {
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/emoji-1");
        let (status, body) = match request.uri().path() == path {
            true => (
                200,
                json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
                "metadata": {"name": "emoji-1", "labels": labels}}),
            ),
            false => (
                404,
                json!({"kind": "Status", "reason": "NotFound", "code": 404,
                "message": "not found"}),
            ),
        };
        let body = kube::client::Body::from(body.to_string().into_bytes());
        let answer = axum::http::Response::builder().status(status).body(body);
        std::future::ready(Ok::<_, Infallible>(answer.unwrap()))
    });
    Client::new(service, "default")
}

/// The same where the namespace has the guard's label, or has it not, and the pod has these.
fn routes_in_namespace(
    is_guarded: bool,
    labels: Value,
    outcome: Option<AnnouncementOutcome>,
) -> Router {
    let mut world = World::with(&[("emoji-svc", 0), ("west", 1)]);
    let target = json!({"kind": "Pod", "namespace": NAMESPACE, "name": "emoji-1", "uid": UID});
    world.slice("emoji-svc", json!([{"addresses": ["10.0.0.1"], "targetRef": target}]));
    let object = stored(split(&[("emoji-svc", json!(1)), ("west", json!(0))], &[]));
    world.manage("emoji", &object);
    world.index.set_guarded_namespace(NAMESPACE, is_guarded);
    let (shared, _changes) = SharedIndex::new();
    shared.update(|index| {
        *index = world.index;
        vec![]
    });
    let (reconciler, mut announcements) = mpsc::channel::<PendingAnnouncement>(8);
    tokio::spawn(async move {
        let mut pending = vec![];
        while let Some(PendingAnnouncement { reply, .. }) = announcements.recv().await {
            match outcome {
                Some(outcome) => drop(reply.send(outcome)),
                None => pending.push(reply),
            }
        }
    });
    let metrics = Arc::new(Metrics::default());
    let leading = watch::channel(true).1;
    let labels = LabelCheck::new(api_server(labels), shared.clone());
    let announcer =
        Announcer { shared, leading, reconciler, peers: None, metrics: metrics.clone() };
    let delay = DelayBounds {
        bound: Duration::from_millis(500),
        adaptor_grace: Duration::from_millis(100),
        propagation: Duration::from_millis(30),
    };
    router(announcer, Some(labels), delay, ServerLimits::default(), metrics)
}

/// The verdict of the response, and how long it took.
async fn reviewed(routes: Router, path: &str, mut request: Value) -> (String, Duration) {
    request["namespace"] = json!(NAMESPACE);
    let body = json!({"kind": "AdmissionReview", "request": request}).to_string();
    let request = axum::http::Request::post(path).body(axum::body::Body::from(body)).unwrap();
    let began = Instant::now();
    let response = routes.oneshot(request).await.unwrap();
    let took = began.elapsed();
    let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (&answer["response"]["uid"], &answer["response"]["allowed"]),
        (&json!("u-1"), &json!(true))
    );
    (answer["response"]["auditAnnotations"]["verdict"].as_str().unwrap().to_owned(), took)
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_delayed_until_the_verdict_and_never_beyond_the_bound() {
    let ms = Duration::from_millis;
    for (outcome, verdict, took) in [
        (Some(AnnouncementOutcome::NoFlip), "no_flip", ms(0)),
        (Some(AnnouncementOutcome::NotBelieved), "not_believed", ms(0)),
        (Some(AnnouncementOutcome::NoDecision), "no_judge", ms(0)),
        (Some(AnnouncementOutcome::Flipped { by_adaptor: false }), "flipped", ms(30)),
        (Some(AnnouncementOutcome::Flipped { by_adaptor: true }), "flipped", ms(100)),
        (None, "bound", ms(500)),
    ] {
        let answer = reviewed(routes(outcome), "/pod-deletion", deletion()).await;
        assert_eq!(answer.0, verdict);
        // The paused clock advances to each timer, in milliseconds.
        assert!(answer.1 >= took && answer.1 <= took + ms(2), "{verdict}: {:?}", answer.1);
        assert_eq!(reviewed(routes(outcome), "/eviction", eviction()).await.0, verdict);
    }
}

#[tokio::test(start_paused = true)]
async fn who_sends_a_review_of_a_pod_without_the_label_moves_nothing() {
    for (is_guarded, labels, verdict) in [
        (false, json!({}), "not_labelled"),
        (false, json!({"failover.linkerd.io/guard": "disabled"}), "not_labelled"),
        (false, json!({"failover.linkerd.io/guard": "enabled"}), "flipped"),
        (true, json!({}), "flipped"),
    ] {
        let flipped = Some(AnnouncementOutcome::Flipped { by_adaptor: false });
        let routes = || routes_in_namespace(is_guarded, labels.clone(), flipped);
        // Whatever labels the review itself has.
        let mut forged = deletion();
        forged["oldObject"]["metadata"]["labels"] = json!({"failover.linkerd.io/guard": "enabled"});
        assert_eq!(reviewed(routes(), "/pod-deletion", forged).await.0, verdict, "{labels}");
        assert_eq!(reviewed(routes(), "/eviction", eviction()).await.0, verdict, "{labels}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_no_traffic_depends_on_is_not_announced() {
    let mut other = deletion();
    other["oldObject"]["metadata"]["uid"] = json!("0189abcd-ef01-4abc-8def-000000000000");
    let answer = reviewed(routes(None), "/pod-deletion", other).await;
    assert_eq!(answer, ("unconcerned".into(), Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn the_timeout_of_the_api_server_bounds_it_too() {
    let answer = reviewed(routes(None), "/pod-deletion?timeout=300ms", deletion()).await;
    assert!(answer.1 <= Duration::from_millis(252), "{:?}", answer.1);
}
