//! Authenticates replicas by the token of their ServiceAccount, by a TokenReview.

use crate::deletion_guard::announcement::AUDIENCE;
use crate::kinds::brief;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a review is valid, and when a ping renews it.
const VALID: Duration = Duration::from_secs(600);
const RENEWED: Duration = Duration::from_secs(300);
/// More tokens than replicas and their renewals have.
const MOST: usize = 64;
/// Longer than any token of a ServiceAccount.
const LONGEST: usize = 8 * 1024;
/// Other callers cannot make the API server review more than this at once.
const AT_ONCE: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(3);
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Authenticates the replicas of one installation.
pub(crate) struct Authenticator {
    client: Client,
    /// `system:serviceaccount:<namespace>:<name>`.
    user: String,
    known: Mutex<HashMap<String, Instant>>,
    reviews: Semaphore,
    /// When a failed review, and a token that is refused, were last logged.
    reported: Mutex<[Option<Instant>; 2]>,
}

/// Why a token is refused.
#[derive(Debug, PartialEq)]
enum Refused {
    /// It is not that of a replica.
    NotAReplica(String),
    /// It could not be reviewed.
    NotReviewed(String),
}

impl Authenticator {
    pub(crate) fn new(client: Client, namespace: &str, service_account: &str) -> Self {
        Self {
            client,
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            known: Mutex::default(),
            reviews: Semaphore::new(AT_ONCE),
            reported: Mutex::default(),
        }
    }

    /// Whether this is a token of a replica. `early`: a review that expires soon is renewed.
    pub(crate) async fn is_replica(&self, token: &str, early: bool) -> bool {
        // A token that does not even claim to be one costs the API server nothing.
        if token.len() > LONGEST || !claims(token, &self.user) {
            return false;
        }
        let valid = if early { RENEWED } else { VALID };
        let reviewed =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(token).copied();
        if reviewed.is_some_and(|at| at.elapsed() < valid) {
            return true;
        }
        let still_valid = || reviewed.is_some_and(|at| at.elapsed() < VALID);
        // A token that was valid waits for its turn.
        let place = match reviewed {
            None => self.reviews.try_acquire().ok(),
            Some(_) => self.reviews.acquire().await.ok(),
        };
        if place.is_none() {
            return still_valid();
        }
        let now = Instant::now();
        let reviewed = match tokio::time::timeout(TIMEOUT, self.review(token)).await {
            Ok(Ok(status)) => check(status.as_ref(), &self.user),
            Ok(Err(error)) => Err(Refused::NotReviewed(brief(&error))),
            Err(_) => Err(Refused::NotReviewed("the API server does not answer".into())),
        };
        if let Err(why) = reviewed {
            let is_not_a_replica = matches!(why, Refused::NotAReplica(_));
            self.report(why);
            return !is_not_a_replica && still_valid();
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| at.elapsed() < VALID);
        if known.len() < MOST {
            known.insert(token.to_owned(), now);
        }
        true
    }

    /// Once a minute at most: anybody may call.
    fn report(&self, why: Refused) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut reported[usize::from(matches!(why, Refused::NotAReplica(_)))];
        if last.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        match why {
            Refused::NotAReplica(why) => {
                tracing::warn!(why, "a caller that claims to be one of our replicas is none");
            }
            Refused::NotReviewed(why) => tracing::warn!(
                why,
                "cannot ask the API server whose token a caller shows: deletions that other replicas hear of go on without a flip; may we create tokenreviews.authentication.k8s.io, as the chart's ClusterRole says?"
            ),
        }
    }

    async fn review(&self, token: &str) -> kube::Result<Option<TokenReviewStatus>> {
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![AUDIENCE.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        Ok(api.create(&PostParams::default(), &review).await?.status)
    }
}

/// Whether a review shows that a token is of a replica; if not, why.
fn check(status: Option<&TokenReviewStatus>, user: &str) -> Result<(), Refused> {
    let Some(status) = status else {
        return Err(Refused::NotReviewed("the review has no answer".into()));
    };
    if status.authenticated != Some(true) {
        let why = status.error.clone().unwrap_or_else(|| "the token is not valid".into());
        return Err(Refused::NotAReplica(why));
    }
    // An API server that knows no audiences answers for its own.
    let audiences = status.audiences.iter().flatten();
    if !audiences.into_iter().any(|audience| audience == AUDIENCE) {
        return Err(Refused::NotAReplica(format!("the token is not for {AUDIENCE}")));
    }
    match status.user.as_ref().and_then(|found| found.username.as_deref()) {
        Some(found) if found == user => Ok(()),
        found => Err(Refused::NotAReplica(format!("found {found:?}, expected {user}"))),
    }
}

/// Whether a token claims to be of a user and for this audience. Only a review proves it.
fn claims(token: &str, user: &str) -> bool {
    let payload = token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims = payload.and_then(|payload| serde_json::from_slice::<Value>(&payload).ok());
    let Some(claims) = claims else { return false };
    let audiences =
        claims["aud"].as_array().map_or(std::slice::from_ref(&claims["aud"]), Vec::as_slice);
    claims["sub"] == user && audiences.iter().any(|audience| audience == AUDIENCE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_token_that_claims_to_be_somebody_elses_is_not_even_asked_about() {
        let user = "system:serviceaccount:ns:name";
        let token = |claims: Value| {
            let part = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            format!("header.{part}.signature")
        };
        assert!(claims(&token(json!({"sub": user, "aud": ["x", AUDIENCE]})), user));
        assert!(claims(&token(json!({"sub": user, "aud": AUDIENCE})), user));
        for wrong in [
            token(json!({"sub": "system:serviceaccount:ns:other", "aud": [AUDIENCE]})),
            token(json!({"sub": user, "aud": ["https://kubernetes.default.svc"]})),
            token(json!({"sub": user})),
            token(json!([])),
            "a.b.c".into(),
            "".into(),
        ] {
            assert!(!claims(&wrong, user), "{wrong}");
        }
    }

    #[test]
    fn only_a_token_of_our_service_account_and_for_this_purpose_is_taken() {
        let user = "system:serviceaccount:ns:name";
        let check = |status: Value| check(serde_json::from_value(status).ok().as_ref(), user);
        let good =
            json!({"authenticated": true, "audiences": [AUDIENCE], "user": {"username": user}});
        assert_eq!(check(good.clone()), Ok(()));
        for wrong in [
            json!({"authenticated": false}),
            json!({"authenticated": null}),
            json!({"audiences": []}),
            json!({"audiences": null}),
            json!({"audiences": ["https://kubernetes.default.svc"]}),
            json!({"user": {"username": "system:serviceaccount:ns:other"}}),
            json!({"user": null}),
        ] {
            let mut status = good.clone();
            json_patch::merge(&mut status, &wrong);
            assert!(check(status).is_err(), "{wrong}");
        }
    }
}
