use super::*;
use http::{Request, Response};
use k8s_openapi::api::core::v1::Service;
use kube::Client;
use kube::client::Body;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

#[test]
fn only_a_watch_that_ended_at_its_timeout_is_resumed() {
    let after = |ms: u64| ended_at_timeout(Duration::from_millis(ms), Some(25));
    assert!(after(24_600) && after(25_000) && after(27_900));
    // Closed by an API server that stops, or broken.
    assert!(!after(0) && !after(24_000));
    // Ended by the read timeout: what it has missed is unknown.
    assert!(!after(29_000));
    assert!(!ended_at_timeout(Duration::from_secs(25), None));
}

/// An API server with these answers, one after the other; and the requests that it has received.
fn api(answers: &[&'static str]) -> (Api<Service>, Arc<Mutex<Vec<String>>>) {
    let requests = Arc::new(Mutex::new(vec![]));
    let received = requests.clone();
    let answers = Mutex::new(answers.iter().copied().collect::<VecDeque<_>>());
    let service = tower::service_fn(move |request: Request<Body>| {
        received.lock().unwrap().push(request.uri().to_string());
        let answer = answers.lock().unwrap().pop_front().unwrap_or("{}");
        let answer = Response::new(Body::from(answer.as_bytes().to_vec()));
        std::future::ready(Ok::<_, Infallible>(answer))
    });
    (Api::all(Client::new(service, "default")), requests)
}

async fn events(api: Api<Service>) -> Vec<String> {
    let config = Config::default().timeout(25);
    let events = list_watch(api, config, LastReceived::without_series()).map(|event| match event {
        Ok(Event::Init) => "init".to_owned(),
        Ok(Event::InitApply(service)) => format!("listed {}", service.name_any()),
        Ok(Event::InitDone) => "listed all".to_owned(),
        Ok(Event::Apply(service)) => format!("set {}", service.name_any()),
        Ok(Event::Delete(service)) => format!("gone {}", service.name_any()),
        Err(error) => format!("failed: {error}"),
    });
    events.collect().await
}

const LIST: &str = r#"{"apiVersion": "v1", "kind": "ServiceList",
    "metadata": {"resourceVersion": "1000"},
    "items": [{"metadata": {"name": "a", "resourceVersion": "7"}}]}"#;

#[tokio::test]
async fn a_watch_that_ends_before_its_time_ends_the_stream_and_is_not_resumed() {
    let watch = r#"{"type": "MODIFIED", "object": {"apiVersion": "v1", "kind": "Service",
"metadata": {"name": "b", "resourceVersion": "1001"}}}
"#;
    let watch: &'static str = Box::leak(watch.replace('\n', "").into_boxed_str());
    let (api, requests) = api(&[LIST, watch]);
    assert_eq!(events(api).await, ["init", "listed a", "listed all", "set b"]);
    let requests = requests.lock().unwrap();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(!requests[0].contains("resourceVersion"), "{requests:?}");
    assert!(requests[1].contains("watch=true") && requests[1].contains("resourceVersion=1000"));
}

#[tokio::test]
async fn pages_are_one_list_and_anything_else_than_a_list_fails() {
    let first = r#"{"apiVersion": "v1", "kind": "ServiceList",
        "metadata": {"resourceVersion": "1000", "continue": "more"},
        "items": [{"metadata": {"name": "z", "resourceVersion": "7"}}]}"#;
    let (two, requests) = api(&[first, LIST, ""]);
    assert_eq!(events(two).await, ["init", "listed z", "listed a", "listed all"]);
    assert!(requests.lock().unwrap()[1].contains("continue=more"));
    for page in ["<html>Bad gateway</html>", "{}", r#"{"metadata": {}, "items": []}"#, ""] {
        let (broken, _) = api(&[page]);
        let events = events(broken).await;
        assert!(events.len() == 2 && events[1].starts_with("failed"), "{page}: {events:?}");
    }
}

#[tokio::test]
async fn an_answer_is_received_and_a_failure_is_none() {
    let received = LastReceived::without_series();
    let read = async |answers: &[&'static str]| {
        let before = received.at();
        let (api, _) = api(answers);
        let events = list_watch(api, Config::default().timeout(25), received.clone());
        events.collect::<Vec<_>>().await;
        received.at() > before
    };
    assert!(read(&[LIST, ""]).await);
    assert!(!read(&["<html>Bad gateway</html>"]).await);
}
