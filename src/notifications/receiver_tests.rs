use super::*;
use crate::notifications::notification::tests::failover;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers one request, and returns it.
async fn answer(with: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let request = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut request, mut buffer) = (vec![], [0; 4096]);
        while !request.ends_with(b"}}") {
            let read = stream.read(&mut buffer).await.unwrap();
            request.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(with.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (address.to_string(), request)
}

fn receiver(url: &str) -> Receiver {
    let settings = NotificationSettings {
        url: url.parse().unwrap(),
        key: SigningKey::parse("sixteen bytes or more").unwrap(),
        types: vec![],
        source: "/clusters/east".into(),
        ca: None,
    };
    Receiver::new(&settings).unwrap()
}

fn queued() -> Queued {
    let notification = failover("web", 1_764_150_000);
    Queued { number: 1, id: notification.id(), notification, since: Instant::now() }
}

#[tokio::test]
async fn a_request_is_signed_and_its_login_is_a_header() {
    let (address, request) = answer("HTTP/1.1 204 No Content\r\n\r\n").await;
    let now = Timestamp::from_second(1_764_150_042).unwrap();
    let receiver = receiver(&format!("http://ana:secret@{address}/hooks/x?y=z"));
    assert_eq!(receiver.deliver(&queued(), now).await, Outcome::Delivered);
    let request = request.await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let signature = receiver.key.sign(&queued().id, now, body.as_bytes());
    for line in [
        "POST /hooks/x?y=z HTTP/1.1".to_owned(),
        format!("host: {address}"),
        "content-type: application/cloudevents+json".to_owned(),
        format!("webhook-id: {}", queued().id),
        "webhook-timestamp: 1764150042".to_owned(),
        format!("webhook-signature: {signature}"),
        "authorization: Basic YW5hOnNlY3JldA==".to_owned(),
    ] {
        assert!(head.lines().any(|found| found == line), "{line}\n{head}");
    }
    assert_eq!(
        body.as_bytes(),
        queued().notification.to_json(&queued().id, "/clusters/east").unwrap()
    );
}

#[tokio::test]
async fn an_answer_that_asks_for_time_is_tried_again_after_that_and_a_redirect_is_not_followed() {
    let busy = "HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n";
    let (address, _request) = answer(busy).await;
    let outcome =
        receiver(&format!("http://{address}/")).deliver(&queued(), Timestamp::now()).await;
    let Outcome::Failed { why, retry_after } = outcome else { panic!("{outcome:?}") };
    assert_eq!(
        (why.as_str(), retry_after),
        ("it answers 503 Service Unavailable", Some(Duration::from_secs(7)))
    );

    let moved = "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let (address, _request) = answer(moved).await;
    let outcome =
        receiver(&format!("http://{address}/")).deliver(&queued(), Timestamp::now()).await;
    let Outcome::Failed { why, .. } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("redirects are not followed") && !why.contains("169.254"), "{why}");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome =
        receiver(&format!("http://{address}/secret")).deliver(&queued(), Timestamp::now()).await;
    let Outcome::Failed { why, retry_after: None } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("Connection refused") && !why.contains("secret"), "{why}");
}

#[test]
fn only_what_says_that_this_body_is_not_wanted_is_final() {
    let is = |status: u16| match outcome(
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        Timestamp::UNIX_EPOCH,
    ) {
        Outcome::Delivered => "delivered",
        Outcome::Refused(_) => "refused",
        Outcome::Failed { .. } => "failed",
    };
    for status in [200, 202, 204] {
        assert_eq!(is(status), "delivered", "{status}");
    }
    for status in [400, 413, 415, 422] {
        assert_eq!(is(status), "refused", "{status}");
    }
    for status in [301, 401, 403, 404, 408, 410, 429, 500, 502, 503, 504] {
        assert_eq!(is(status), "failed", "{status}");
    }
}

#[test]
fn a_ca_that_is_none_is_an_error_that_names_the_value() {
    for pem in ["", "garbage", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"] {
        let error = roots(pem).unwrap_err().to_string();
        assert!(error.starts_with("notifications.ca: found no"), "{pem}: {error}");
    }
}
