//! What is answered to Alertmanager, and what is asked of the API server for it.

use super::*;
use crate::alerts::test_support::{Api, notification, receiver, token};
use serde_json::json;

fn user() -> UserInfo {
    let username = Some("system:serviceaccount:monitoring:alertmanager".into());
    UserInfo { username, ..UserInfo::default() }
}

async fn take(receiver: &AlertReceiver, alerts: &[(&str, &str)]) -> Answer {
    receiver.take(&user(), &notification(alerts)).await
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
    let (receiver, receiver_of_books) = (receiver(&api, &[]), receiver(&api, &["books"]));
    for receiver in [&receiver, &receiver_of_books] {
        for service in ["emoji-svc", "gone"] {
            let answer = take(receiver, &[("a", service)]).await;
            assert_eq!(answer.status, 403, "{answer:?}");
            assert!(!answer.text.contains("books"), "{answer:?}");
        }
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
    let answer = take(&of_emojivoto, &[("a", "emoji-svc")]).await;
    assert!(answer.status == 503 && !answer.text.contains("InternalError"), "{answer:?}");
    assert_eq!(of_emojivoto.take(&user(), b"{}").await.status, 400);
}

#[tokio::test]
async fn what_is_resolved_and_was_never_declared_is_not_sent_again_without_end() {
    let api = Api::new();
    for (receiver, service) in [
        (receiver(&api, &[]), "gone"),
        (receiver(&api, &["books"]), "emoji-svc"),
        (receiver(&api, &[]), "Emoji"),
    ] {
        let firing = notification(&[("a", service)]);
        let resolved = String::from_utf8(firing.clone()).unwrap().replace("firing", "resolved");
        let answer = receiver.take(&user(), &firing).await;
        assert!(answer.status.is_client_error(), "{service}: {answer:?}");
        let answer = receiver.take(&user(), resolved.as_bytes()).await;
        assert_eq!(answer.status, 200, "{service}: {answer:?}");
    }
    assert!(api.lock().unwrap().declaring().is_empty());
}

#[tokio::test]
async fn a_notification_about_many_services_is_taken_whole() {
    let api = Api::new();
    let names: Vec<String> = (0..511).map(|n| format!("gone-{n}")).collect();
    let mut alerts: Vec<_> = names.iter().map(|name| ("a", name.as_str())).collect();
    alerts.push(("a", "emoji-svc"));
    let answer = take(&receiver(&api, &[]), &alerts).await;
    assert_eq!((answer.status.as_u16(), answer.text.lines().count()), (404, 512));
    let api = api.lock().unwrap();
    assert_eq!(api.declaring(), ["a"], "the others cost it nothing");
    assert_eq!((api.count("POST"), api.count("GET"), api.count("PATCH")), (512, 512, 1));
}

#[tokio::test]
async fn a_valid_token_is_reviewed_once_a_minute_and_one_for_somebody_else_never() {
    let api = Api::new();
    let receiver = receiver(&api, &[]);
    let status = async |token: &str| receiver.sender(token).await.err().map(|answer| answer.status);
    for wrong in ["", "secret", &token("me", "failover.linkerd.io")] {
        assert_eq!(status(wrong).await, Some(StatusCode::UNAUTHORIZED), "{wrong}");
    }
    assert_eq!(api.lock().unwrap().requests.len(), 0);
    let good = token("me", AUDIENCE);
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
fn a_sender_that_may_not_patch_a_service_is_answered_with_the_right_that_it_lacks() {
    let service = ObjectKey::new("emojivoto", "emoji-svc");
    insta::assert_snapshot!(
        forbidden(&user(), &service),
        @r#"user "system:serviceaccount:monitoring:alertmanager" may not patch it; to allow it: kubectl -n emojivoto create role alerts-emoji-svc --verb=patch --resource=services --resource-name=emoji-svc; kubectl -n emojivoto create rolebinding alerts-emoji-svc-monitoring-alertmanager --role=alerts-emoji-svc --serviceaccount=monitoring:alertmanager"#
    );
    let ada = UserInfo { username: Some("ada".into()), ..UserInfo::default() };
    assert!(!forbidden(&ada, &service).contains("rolebinding"));
}
