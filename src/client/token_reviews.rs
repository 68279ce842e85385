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
const MAX_KNOWN_TOKENS: usize = 256;
/// More than one caller and its renewals have: whoever gets many tokens displaces its own.
const MAX_TOKENS_OF_USER: usize = 8;
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
    known: Mutex<KnownTokens>,
    reviews: Semaphore,
}

/// The tokens that were valid when they were reviewed last.
#[derive(Default)]
struct KnownTokens(HashMap<String, Reviewed>);

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
        let renewed = renewed.min(self.valid);
        if let Some(user) = self.known().user_of(token, renewed) {
            return Ok(TokenUser { user, not_renewed: None });
        }
        // Only a token that was valid queues for a review.
        let was_valid = self.known().0.contains_key(token);
        let permit = match was_valid {
            false => self.reviews.try_acquire().ok(),
            true => self.reviews.acquire().await.ok(),
        };
        // Another request with this token may have had it reviewed meanwhile.
        if let Some(user) = self.known().user_of(token, renewed) {
            return Ok(TokenUser { user, not_renewed: None });
        }
        let reviewed = match permit {
            Some(_) => self.review(token).await,
            None => Err(TokenRefusal::Busy),
        };
        match (reviewed, self.known().user_of(token, self.valid)) {
            (Err(TokenRefusal::NotReviewed(why)), Some(user)) => {
                Ok(TokenUser { user, not_renewed: Some(why) })
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
        let checked = check(status, self.audience);
        if checked.is_err() {
            self.known().0.remove(token);
        }
        let user = Arc::new(checked?);
        // A token stays known for longer than its review is valid: it queues for the next one.
        let known_for = self.valid.saturating_mul(4);
        self.known().add(token, Reviewed { user: user.clone(), at: began }, known_for);
        Ok(user)
    }

    fn known(&self) -> MutexGuard<'_, KnownTokens> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownTokens {
    /// Whose a token is by a review that is younger.
    fn user_of(&self, token: &str, younger: Duration) -> Option<Arc<UserInfo>> {
        let known = self.0.get(token).filter(|known| known.at.elapsed() < younger)?;
        Some(known.user.clone())
    }

    /// Adds a token that has just been reviewed, and forgets those that were not for so long.
    fn add(&mut self, token: &str, reviewed: Reviewed, known_for: Duration) {
        let age = |known: &Reviewed| reviewed.at.saturating_duration_since(known.at);
        self.0.retain(|other, known| age(known) < known_for && other != token);
        let is_of_user = |known: &Reviewed| known.user.username == reviewed.user.username;
        let mut of_user: Vec<(Instant, String)> = self
            .0
            .iter()
            .filter(|(_, known)| is_of_user(known))
            .map(|(other, known)| (known.at, other.clone()))
            .collect();
        of_user.sort_unstable();
        for (_, other) in of_user.iter().rev().skip(MAX_TOKENS_OF_USER - 1) {
            self.0.remove(other);
        }
        if self.0.len() < MAX_KNOWN_TOKENS {
            self.0.insert(token.to_owned(), reviewed);
        }
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
    fn who_gets_many_tokens_displaces_only_its_own_and_no_known_one_is_forgotten_by_its_renewal() {
        let (mut known, start) = (KnownTokens::default(), Instant::now());
        let hour = Duration::from_secs(3_600);
        let mut review = |user: &str, token: &str, at: Instant| {
            let username = Some(user.to_owned());
            let user = Arc::new(UserInfo { username, ..UserInfo::default() });
            known.add(token, Reviewed { user, at }, hour);
            (known.0.contains_key("alertmanager-1"), known.0.len())
        };
        assert_eq!(review("alertmanager", "alertmanager-1", start), (true, 1));
        for n in 0..1_000 {
            let (is_known, all) = review("many", &format!("many-{n}"), start);
            assert!(is_known && all <= 1 + MAX_TOKENS_OF_USER, "{n}: {all}");
        }
        for n in 0..1_000 {
            let (is_known, all) = review(&format!("user-{n}"), &format!("user-{n}"), start);
            assert!(is_known && all <= MAX_KNOWN_TOKENS, "{n}: {all}");
        }
        assert_eq!(review("alertmanager", "alertmanager-1", start), (true, MAX_KNOWN_TOKENS));
        let (_, all) = review("alertmanager", "alertmanager-2", start + hour);
        assert_eq!(all, 1, "the others are forgotten");
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
