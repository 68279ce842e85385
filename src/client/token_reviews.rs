//! Whose a bearer token is, by TokenReviews whose answers are valid for a while.

use crate::kinds::brief;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use k8s_openapi::api::authentication::v1::{
    TokenReview, TokenReviewSpec, TokenReviewStatus, UserInfo,
};
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// More tokens than callers and their renewals have.
const MAX_KNOWN_TOKENS: usize = 64;
/// Longer than any token of a ServiceAccount.
const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// Other callers cannot make the API server review more than this at once.
const CONCURRENT_REVIEWS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(3);

/// Reviews tokens for one audience.
pub(crate) struct TokenReviews {
    client: Client,
    audience: &'static str,
    /// For how long a review is valid.
    valid: Duration,
    known: Mutex<HashMap<String, Reviewed>>,
    reviews: Semaphore,
}

/// A token that the API server has found to be valid.
#[derive(Clone)]
struct Reviewed {
    user: Arc<UserInfo>,
    at: Instant,
}

/// Whose a token is.
pub(crate) struct TokenUser {
    pub user: Arc<UserInfo>,
    /// Why the review was not renewed, where an older one that is valid counts.
    pub not_renewed: Option<NotReviewed>,
}

/// Why it is not known whose a token is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenRefusal {
    /// It does not even claim to be for the audience: it was not reviewed.
    #[error("the token is not for the audience {0}")]
    Unclaimed(&'static str),
    /// Too many other tokens are under review.
    #[error("too many other tokens are under review")]
    Busy,
    #[error(transparent)]
    Rejected(#[from] Rejected),
    #[error(transparent)]
    NotReviewed(#[from] NotReviewed),
}

/// What a review shows of a token that does not count.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Rejected {
    /// As the API server puts it.
    #[error("{0}")]
    NotAuthenticated(String),
    #[error("the token is not for {0}")]
    OtherAudience(&'static str),
}

/// Why a token was not reviewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotReviewed {
    #[error("{}", brief(.0))]
    Failed(#[from] kube::Error),
    #[error("the API server does not answer")]
    NoAnswer,
    #[error("the review has no answer")]
    NoStatus,
}

impl TokenReviews {
    pub(crate) fn new(client: Client, audience: &'static str, valid: Duration) -> Self {
        let (known, reviews) = (Mutex::default(), Semaphore::new(CONCURRENT_REVIEWS));
        Self { client, audience, valid, known, reviews }
    }

    /// Whose a token is. A review that is older than `renewed` is renewed.
    pub(crate) async fn user_of(
        &self,
        token: &str,
        renewed: Duration,
    ) -> Result<TokenUser, TokenRefusal> {
        // A token that does not even claim to be for us costs the API server nothing.
        let is_for = |claims: Claims| claims.is_for(self.audience);
        if token.len() > MAX_TOKEN_BYTES || !Claims::of(token).is_some_and(is_for) {
            return Err(TokenRefusal::Unclaimed(self.audience));
        }
        let known = self.known().get(token).cloned();
        let valid = |limit| known.as_ref().filter(|known| known.at.elapsed() < limit);
        let user = |known: &Reviewed| known.user.clone();
        if let Some(known) = valid(renewed.min(self.valid)) {
            return Ok(TokenUser { user: user(known), not_renewed: None });
        }
        // Only a token that was valid queues for a review.
        let permit = match &known {
            None => self.reviews.try_acquire().ok(),
            Some(_) => self.reviews.acquire().await.ok(),
        };
        let reviewed = match permit {
            Some(_) => self.review(token).await,
            None => Err(TokenRefusal::Busy),
        };
        match (reviewed, valid(self.valid)) {
            (Err(TokenRefusal::NotReviewed(why)), Some(known)) => {
                Ok(TokenUser { user: user(known), not_renewed: Some(why) })
            }
            (reviewed, _) => Ok(TokenUser { user: reviewed?, not_renewed: None }),
        }
    }

    /// Asks the API server whose token it is.
    async fn review(&self, token: &str) -> Result<Arc<UserInfo>, TokenRefusal> {
        let began = Instant::now();
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![self.audience.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let reviewed = timeout(TIMEOUT, api.create(&PostParams::default(), &review)).await;
        let reviewed = reviewed.map_err(|_| NotReviewed::NoAnswer)?.map_err(NotReviewed::Failed)?;
        let status = reviewed.status.ok_or(NotReviewed::NoStatus)?;
        let user = Arc::new(check(status, self.audience)?);
        self.remember(token, Reviewed { user: user.clone(), at: began });
        Ok(user)
    }

    /// A token stays known for longer than its review is valid: it queues for the next one.
    fn remember(&self, token: &str, reviewed: Reviewed) {
        let mut known = self.known();
        known.retain(|_, known| known.at.elapsed() < self.valid.saturating_mul(4));
        if known.len() < MAX_KNOWN_TOKENS {
            known.insert(token.to_owned(), reviewed);
        }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Reviewed>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose token a review shows, where it is valid for this audience.
fn check(status: TokenReviewStatus, audience: &'static str) -> Result<UserInfo, Rejected> {
    if status.authenticated != Some(true) {
        let why = status.error.unwrap_or_else(|| "the token is not valid".into());
        return Err(Rejected::NotAuthenticated(why));
    }
    // An API server that knows no audiences answers for its own.
    if !status.audiences.iter().flatten().any(|found| found == audience) {
        return Err(Rejected::OtherAudience(audience));
    }
    Ok(status.user.unwrap_or_default())
}

/// What a token claims to be. Only a review proves it.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    /// The user.
    #[serde(default)]
    pub sub: String,
    #[serde(default)]
    aud: Value,
}

impl Claims {
    /// None where it is no JSON Web Token.
    pub(crate) fn of(token: &str) -> Option<Self> {
        let payload = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
        serde_json::from_slice(&payload).ok()
    }

    fn is_for(&self, audience: &str) -> bool {
        let audiences = self.aud.as_array().map_or(std::slice::from_ref(&self.aud), Vec::as_slice);
        audiences.iter().any(|found| found == audience)
    }
}

/// The bearer token of a request; empty where it has none.
pub(crate) fn bearer_token(headers: &http::HeaderMap) -> &str {
    let value = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AUDIENCE: &str = "some.example.com";

    #[test]
    fn a_token_that_claims_to_be_for_another_audience_is_not_reviewed() {
        let is_for_us = |token: &str| Claims::of(token).is_some_and(|c| c.is_for(AUDIENCE));
        let token = |claims: Value| {
            let part = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            format!("header.{part}.signature")
        };
        assert!(is_for_us(&token(json!({"sub": "me", "aud": ["x", AUDIENCE]}))));
        assert!(is_for_us(&token(json!({"aud": AUDIENCE}))));
        for wrong in [
            token(json!({"aud": ["https://kubernetes.default.svc"]})),
            token(json!({"sub": AUDIENCE})),
            token(json!([])),
            token(json!({"sub": 1, "aud": AUDIENCE})),
            "a.b.c".into(),
            "".into(),
        ] {
            assert!(!is_for_us(&wrong), "{wrong}");
        }
    }

    #[test]
    fn only_an_authenticated_token_for_the_audience_is_valid() {
        let check = |status: Value| check(serde_json::from_value(status).unwrap(), AUDIENCE);
        let good =
            json!({"authenticated": true, "audiences": [AUDIENCE], "user": {"username": "me"}});
        assert_eq!(check(good.clone()).unwrap().username.as_deref(), Some("me"));
        for wrong in [
            json!({"authenticated": false}),
            json!({"authenticated": null}),
            json!({"audiences": []}),
            json!({"audiences": null}),
            json!({"audiences": ["https://kubernetes.default.svc"]}),
        ] {
            let mut status = good.clone();
            json_patch::merge(&mut status, &wrong);
            assert!(check(status).is_err(), "{wrong}");
        }
    }
}
