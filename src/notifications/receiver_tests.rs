use super::*;
use crate::notifications::notification::tests::failover;
use crate::notifications::test_server::{Answer, TestServer, receiver};
use std::time::Instant;
use tokio::net::TcpListener;

fn queued() -> Queued {
    let notification = failover("web", 1_764_150_000);
    Queued { number: 1, id: notification.id(), notification, since: Instant::now() }
}

/// The outcome of one attempt at a receiver that answers so.
async fn outcome_of(answer: Answer) -> Outcome {
    let server = TestServer::start(&[answer]).await;
    server.receiver().impatient().deliver(&queued(), Timestamp::now()).await
}

#[tokio::test]
async fn a_request_is_signed_and_its_login_is_a_header() {
    let server = TestServer::start(&[Answer::Head("204 No Content")]).await;
    let (address, now) = (server.address, Timestamp::from_second(1_764_150_042).unwrap());
    let receiver = receiver(&format!("http://ana:secret@{address}/hooks/x?y=z"), None);
    assert_eq!(receiver.deliver(&queued(), now).await, Outcome::Delivered);
    let request = server.requests().remove(0);
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
async fn what_a_receiver_answers_decides_what_becomes_of_a_notification() {
    let failed = |why: &str, after: Option<u64>| Outcome::Failed {
        why: why.into(),
        retry_after: after.map(Duration::from_secs),
    };
    let moved = "it answers 301 Moved Permanently, and redirects are not followed: set the URL that it names";
    for (answer, expected) in [
        (Answer::Head("200 OK"), Outcome::Delivered),
        (Answer::Head("202 Accepted"), Outcome::Delivered),
        (
            Answer::Head("301 Moved Permanently\r\nlocation: http://169.254.169.254/secret"),
            failed(moved, None),
        ),
        (Answer::Head("400 Bad Request"), Outcome::Refused("it answers 400 Bad Request".into())),
        (Answer::Head("410 Gone"), failed("it answers 410 Gone", None)),
        (
            Answer::Head("429 Too Many Requests\r\nretry-after: 7"),
            failed("it answers 429 Too Many Requests", Some(7)),
        ),
        (
            Answer::Head("500 Internal Server Error"),
            failed("it answers 500 Internal Server Error", None),
        ),
        (
            Answer::Head("503 Service Unavailable\r\nretry-after: 86400"),
            failed("it answers 503 Service Unavailable", Some(600)),
        ),
        (Answer::Hang, failed("no answer within 0.3 s", None)),
    ] {
        assert_eq!(outcome_of(answer).await, expected, "{answer:?}");
    }
    for answer in [Answer::Close, Answer::Head("no status")] {
        let outcome = outcome_of(answer).await;
        assert!(matches!(outcome, Outcome::Failed { .. }), "{answer:?}: {outcome:?}");
    }
}

/// The status has come: what follows it says nothing more, and is read within bounds.
#[tokio::test]
async fn a_body_without_end_and_one_that_never_comes_change_nothing_of_what_the_status_says() {
    for answer in [Answer::Endless("200 OK"), Answer::Stalled("200 OK")] {
        assert_eq!(outcome_of(answer).await, Outcome::Delivered, "{answer:?}");
    }
    let refused = Outcome::Refused("it answers 400 Bad Request".into());
    assert_eq!(outcome_of(Answer::Endless("400 Bad Request")).await, refused);
}

#[tokio::test]
async fn a_redirect_is_not_followed_nor_is_its_target_named() {
    let elsewhere = TestServer::start(&[Answer::Head("200 OK")]).await;
    let server = TestServer::start(&[Answer::Head(
        format!("307 Temporary Redirect\r\nlocation: http://{}/secret", elsewhere.address).leak(),
    )])
    .await;
    let outcome = server.receiver().deliver(&queued(), Timestamp::now()).await;
    let Outcome::Failed { why, .. } = outcome else { panic!("{outcome:?}") };
    assert!(why.contains("redirects are not followed") && !why.contains("secret"), "{why}");
    assert!(elsewhere.requests().is_empty(), "the signature and the login stay here");
}

#[tokio::test]
async fn a_receiver_that_is_not_there_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let receiver = receiver(&format!("http://{address}/secret"), None);
    let outcome = receiver.deliver(&queued(), Timestamp::now()).await;
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
