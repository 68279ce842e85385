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
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long a review is valid, and when a ping renews it.
const VALID: Duration = Duration::from_secs(600);
const RENEWED: Duration = Duration::from_secs(300);
/// More tokens than replicas and their renewals have.
const MAX_KNOWN_TOKENS: usize = 64;
/// Longer than any token of a ServiceAccount.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Other callers cannot make the API server review more than this at once.
const CONCURRENT_REVIEWS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(3);
/// Anybody may call, and be refused.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Authenticates the replicas of one installation.
pub(crate) struct Authenticator {
    client: Client,
    /// `system:serviceaccount:<namespace>:<name>`.
    user: String,
    /// When each token was reviewed last, and found to be of a replica.
    known: Mutex<HashMap<String, Instant>>,
    reviews: Semaphore,
    reported: Mutex<LastReports>,
}

/// When each cause of a refusal was logged last.
#[derive(Debug, Default)]
struct LastReports {
    not_a_replica: Option<Instant>,
    not_reviewed: Option<Instant>,
}

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    NotAReplica(#[from] NotAReplica),
    #[error(transparent)]
    NotReviewed(#[from] NotReviewed),
}

/// What a review shows of a token that is not of a replica.
#[derive(Debug, PartialEq, thiserror::Error)]
enum NotAReplica {
    /// As the API server puts it.
    #[error("{0}")]
    NotAuthenticated(String),
    #[error("the token is not for {AUDIENCE}")]
    OtherAudience,
    #[error("found {found:?}, expected {expected}")]
    OtherUser { found: Option<String>, expected: String },
}

/// Why a token was not reviewed.
#[derive(Debug, thiserror::Error)]
enum NotReviewed {
    #[error("{}", brief(.0))]
    Failed(#[from] kube::Error),
    #[error("the API server does not answer")]
    NoAnswer,
    #[error("the review has no answer")]
    NoStatus,
}

impl Authenticator {
    pub(crate) fn new(client: Client, namespace: &str, service_account: &str) -> Self {
        Self {
            client,
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            known: Mutex::default(),
            reviews: Semaphore::new(CONCURRENT_REVIEWS),
            reported: Mutex::default(),
        }
    }

    /// Whether this is a token of a replica. `early`: a review that expires soon is renewed.
    pub(crate) async fn is_replica(&self, token: &str, early: bool) -> bool {
        // A token that does not even claim to be one costs the API server nothing.
        if token.len() > MAX_TOKEN_BYTES || !claims(token, &self.user) {
            return false;
        }
        let reviewed = self.known().get(token).copied();
        let is_within = |limit| reviewed.is_some_and(|at: Instant| at.elapsed() < limit);
        if is_within(if early { RENEWED } else { VALID }) {
            return true;
        }
        // Only a token that was valid queues for a review.
        let permit = match reviewed {
            None => self.reviews.try_acquire().ok(),
            Some(_) => self.reviews.acquire().await.ok(),
        };
        if permit.is_none() {
            return is_within(VALID);
        }
        let began = Instant::now();
        match self.review(token).await {
            Ok(()) => {
                self.remember(token, began);
                true
            }
            Err(why) => {
                self.report(&why);
                matches!(why, Refused::NotReviewed(_)) && is_within(VALID)
            }
        }
    }

    /// Asks the API server whose token it is.
    async fn review(&self, token: &str) -> Result<(), Refused> {
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![AUDIENCE.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let reviewed = timeout(TIMEOUT, api.create(&PostParams::default(), &review)).await;
        let reviewed = reviewed.map_err(|_| NotReviewed::NoAnswer)?.map_err(NotReviewed::Failed)?;
        let status = reviewed.status.ok_or(NotReviewed::NoStatus)?;
        Ok(check(&status, &self.user)?)
    }

    fn remember(&self, token: &str, reviewed: Instant) {
        let mut known = self.known();
        known.retain(|_, at| at.elapsed() < VALID);
        if known.len() < MAX_KNOWN_TOKENS {
            known.insert(token.to_owned(), reviewed);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, why: &Refused) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let last = match why {
            Refused::NotAReplica(_) => &mut reported.not_a_replica,
            Refused::NotReviewed(_) => &mut reported.not_reviewed,
        };
        if last.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        match why {
            Refused::NotAReplica(why) => {
                tracing::warn!(%why, "a caller that claims to be one of our replicas is none");
            }
            Refused::NotReviewed(why) => tracing::warn!(
                %why,
                "cannot review the token of a caller: deletions that other replicas announce go on without a flip; may we create tokenreviews.authentication.k8s.io, as the chart's ClusterRole says?"
            ),
        }
    }
}

/// Whether a review shows that a token is of a replica; if not, why.
fn check(status: &TokenReviewStatus, user: &str) -> Result<(), NotAReplica> {
    if status.authenticated != Some(true) {
        let why = status.error.clone().unwrap_or_else(|| "the token is not valid".into());
        return Err(NotAReplica::NotAuthenticated(why));
    }
    // An API server that knows no audiences answers for its own.
    let mut audiences = status.audiences.iter().flatten();
    if !audiences.any(|audience| audience == AUDIENCE) {
        return Err(NotAReplica::OtherAudience);
    }
    match status.user.as_ref().and_then(|found| found.username.as_deref()) {
        Some(found) if found == user => Ok(()),
        found => {
            let (found, expected) = (found.map(str::to_owned), user.to_owned());
            Err(NotAReplica::OtherUser { found, expected })
        }
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
    fn a_token_that_claims_to_be_of_another_user_is_not_reviewed() {
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
    fn only_a_token_of_our_service_account_and_for_our_audience_is_accepted() {
        let user = "system:serviceaccount:ns:name";
        let check = |status: Value| check(&serde_json::from_value(status).unwrap(), user);
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
