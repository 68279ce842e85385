//! Whether a caller is a replica of ours: by the token of its ServiceAccount, which the API server
//! is asked about.

use super::AUDIENCE;
use crate::resources::brief;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// A review counts for so long; a replica that pings has it made anew in good time.
const VALID: Duration = Duration::from_secs(600);
const RENEWED: Duration = Duration::from_secs(300);
/// More tokens than replicas and their renewals have.
const MOST: usize = 64;
/// Longer than any token of a ServiceAccount.
const LONGEST: usize = 8 * 1024;
/// Strangers cannot make the API server review more than this at once.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(3);

/// Knows the replicas of one installation.
pub struct Authenticator {
    client: Client,
    /// `system:serviceaccount:<namespace>:<name>`.
    user: String,
    known: Mutex<HashMap<String, Instant>>,
    reviews: Semaphore,
}

impl Authenticator {
    pub fn new(client: Client, namespace: &str, service_account: &str) -> Self {
        Self {
            client,
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            known: Mutex::default(),
            reviews: Semaphore::new(AT_ONCE),
        }
    }

    /// Whether this is a token of a replica. `early`: a review that ends soon is made anew.
    pub async fn is_replica(&self, token: &str, early: bool) -> bool {
        if token.is_empty() || token.len() > LONGEST {
            return false;
        }
        let valid = if early { RENEWED } else { VALID };
        let reviewed =
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(token).copied();
        if reviewed.is_some_and(|at| at.elapsed() < valid) {
            return true;
        }
        let Ok(_place) = self.reviews.try_acquire() else { return false };
        let now = Instant::now();
        let reviewed = match tokio::time::timeout(PATIENCE, self.review(token)).await {
            Ok(Ok(status)) => judged(status.as_ref(), &self.user),
            Ok(Err(error)) => Err(brief(&error)),
            Err(_) => Err("the API server does not answer".into()),
        };
        if let Err(why) = reviewed {
            tracing::warn!(why, "a caller of the peers' port is not one of our replicas");
            return false;
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, at| at.elapsed() < VALID);
        if known.len() < MOST {
            known.insert(token.to_owned(), now);
        }
        true
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

/// What a review says of a token; why it is not one of ours.
fn judged(status: Option<&TokenReviewStatus>, user: &str) -> Result<(), String> {
    let Some(status) = status else { return Err("the review has no answer".into()) };
    if status.authenticated != Some(true) {
        return Err(status.error.clone().unwrap_or_else(|| "the token is not valid".into()));
    }
    // An API server that knows no audiences answers for its own.
    let audiences = status.audiences.iter().flatten();
    if !audiences.into_iter().any(|audience| audience == AUDIENCE) {
        return Err(format!("the token is not for {AUDIENCE}"));
    }
    match status.user.as_ref().and_then(|found| found.username.as_deref()) {
        Some(found) if found == user => Ok(()),
        found => Err(format!("found {found:?}, expected {user}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_a_token_of_our_service_account_and_for_this_purpose_is_taken() {
        let user = "system:serviceaccount:ns:name";
        let judged = |status: Value| judged(serde_json::from_value(status).ok().as_ref(), user);
        let good =
            json!({"authenticated": true, "audiences": [AUDIENCE], "user": {"username": user}});
        assert_eq!(judged(good.clone()), Ok(()));
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
            assert!(judged(status).is_err(), "{wrong}");
        }
    }
}
