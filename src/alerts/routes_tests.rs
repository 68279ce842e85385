//! What anybody who reaches the port can take from others.

use super::*;
use crate::alerts::receiver::AUDIENCE;
use crate::alerts::test_support::{Api, notification, receiver, token};
use axum::body::{Body, Bytes};
use futures::stream;
use std::convert::Infallible;
use tokio::task::{JoinHandle, yield_now};
use tower::ServiceExt;

fn post(router: &Router, sender: &str, body: Body) -> JoinHandle<StatusCode> {
    let token = format!("Bearer {}", token(sender, AUDIENCE));
    let request = Request::post(PATH).header(header::AUTHORIZATION, token).body(body).unwrap();
    let answering = router.clone().oneshot(request);
    tokio::spawn(async { answering.await.unwrap().status() })
}

fn about_emoji() -> Body {
    notification(&[("a", "emoji-svc")]).into()
}

/// A body that never ends.
fn slow() -> Body {
    Body::from_stream(stream::pending::<Result<Bytes, Infallible>>())
}

#[tokio::test(start_paused = true)]
async fn bodies_that_come_slowly_take_the_places_of_their_own_sender_and_for_a_bounded_time() {
    let api = Api::new();
    let router = router(receiver(&api, &[]));
    assert_eq!(post(&router, "many", about_emoji()).await.unwrap(), 200);
    let slow: Vec<_> = (0..2 * AT_ONCE).map(|_| post(&router, "many", slow())).collect();
    for _ in 0..100 {
        yield_now().await;
    }
    let waiting = slow.iter().filter(|request| !request.is_finished()).count();
    assert_eq!(waiting, OF_SENDER);
    assert_eq!(post(&router, "alertmanager", about_emoji()).await.unwrap(), 200);
    for request in slow {
        assert_eq!(request.await.unwrap(), 503);
    }
    assert_eq!(post(&router, "many", about_emoji()).await.unwrap(), 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_and_returns_its_memory() {
    let api = Api::new();
    let router = router(receiver(&api, &[]));
    for _ in 0..=BODIES_BYTES / LONGEST {
        let body = Body::from(vec![b' '; LONGEST + 1]);
        assert_eq!(post(&router, "many", body).await.unwrap(), 400);
    }
    assert_eq!(post(&router, "many", about_emoji()).await.unwrap(), 200);
}
