//! Authenticates replicas by the token of their ServiceAccount, by a TokenReview.

use crate::client::token_reviews::{Claims, NotReviewed, Rejected, TokenRefusal, TokenReviews};
use crate::deletion_guard::announcement::AUDIENCE;
use k8s_openapi::api::authentication::v1::UserInfo;
use kube::Client;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a review is valid, and when a ping renews it.
const VALID: Duration = Duration::from_secs(600);
const RENEWED: Duration = Duration::from_secs(300);
/// Anybody may call, and be refused.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Authenticates the replicas of one installation.
pub(crate) struct Authenticator {
    tokens: TokenReviews,
    /// `system:serviceaccount:<namespace>:<name>`.
    user: String,
    reported: Mutex<LastReports>,
}

/// When each cause of a refusal was logged last.
#[derive(Debug, Default)]
struct LastReports {
    not_a_replica: Option<Instant>,
    not_reviewed: Option<Instant>,
}

/// Why a token is refused, or its review was not renewed.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Rejected(Rejected),
    #[error("found {found:?}, expected {expected}")]
    OtherUser { found: Option<String>, expected: String },
    #[error(transparent)]
    NotReviewed(NotReviewed),
}

impl Authenticator {
    pub(crate) fn new(client: Client, namespace: &str, service_account: &str) -> Self {
        Self {
            tokens: TokenReviews::new(client, AUDIENCE, VALID),
            user: format!("system:serviceaccount:{namespace}:{service_account}"),
            reported: Mutex::default(),
        }
    }

    /// Whether this is a token of a replica. `early`: a review that expires soon is renewed.
    pub(crate) async fn is_replica(&self, token: &str, early: bool) -> bool {
        // A token that does not even claim to be one costs the API server nothing.
        if !claims_to_be(&self.user, token) {
            return false;
        }
        let reviewed = self.tokens.user_of(token, if early { RENEWED } else { VALID }).await;
        let (checked, problem) = match reviewed {
            Ok(known) => {
                let checked = check(&known.user, &self.user);
                (checked.is_ok(), checked.err().or(known.not_renewed.map(Refused::NotReviewed)))
            }
            Err(TokenRefusal::Unclaimed(_) | TokenRefusal::Busy) => (false, None),
            Err(TokenRefusal::Rejected(why)) => (false, Some(Refused::Rejected(why))),
            Err(TokenRefusal::NotReviewed(why)) => (false, Some(Refused::NotReviewed(why))),
        };
        if let Some(problem) = problem {
            self.report(&problem);
        }
        checked
    }

    fn report(&self, why: &Refused) {
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        let last = match why {
            Refused::Rejected(_) | Refused::OtherUser { .. } => &mut reported.not_a_replica,
            Refused::NotReviewed(_) => &mut reported.not_reviewed,
        };
        if last.is_some_and(|at| at.elapsed() < REPORT_EVERY) {
            return;
        }
        *last = Some(Instant::now());
        match why {
            Refused::Rejected(_) | Refused::OtherUser { .. } => {
                tracing::warn!(%why, "a caller that claims to be one of our replicas is none");
            }
            Refused::NotReviewed(why) => tracing::warn!(
                %why,
                "cannot review the token of a caller: deletions that other replicas announce go on without a flip; may we create tokenreviews.authentication.k8s.io, as the chart's ClusterRole says?"
            ),
        }
    }
}

/// Whether a reviewed token is of a replica; if not, why.
fn check(found: &UserInfo, user: &str) -> Result<(), Refused> {
    match found.username.as_deref() {
        Some(found) if found == user => Ok(()),
        found => {
            let (found, expected) = (found.map(str::to_owned), user.to_owned());
            Err(Refused::OtherUser { found, expected })
        }
    }
}

/// Whether a token claims to be of a user. Only a review proves it.
fn claims_to_be(user: &str, token: &str) -> bool {
    Claims::of(token).is_some_and(|claims| claims.sub == user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    #[test]
    fn a_token_that_claims_to_be_of_another_user_is_not_reviewed() {
        let user = "system:serviceaccount:ns:name";
        let token = |claims: Value| {
            let part = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            format!("header.{part}.signature")
        };
        assert!(claims_to_be(user, &token(json!({"sub": user, "aud": ["x", AUDIENCE]}))));
        for wrong in [
            token(json!({"sub": "system:serviceaccount:ns:other", "aud": [AUDIENCE]})),
            token(json!({"aud": [AUDIENCE]})),
            token(json!([])),
            "a.b.c".into(),
            "".into(),
        ] {
            assert!(!claims_to_be(user, &wrong), "{wrong}");
        }
    }

    #[test]
    fn only_a_token_of_our_service_account_is_accepted() {
        let user = "system:serviceaccount:ns:name";
        let of = |username: Option<&str>| {
            let username = username.map(str::to_owned);
            check(&UserInfo { username, ..UserInfo::default() }, user).is_ok()
        };
        assert!(of(Some(user)));
        assert!(!of(Some("system:serviceaccount:ns:other")) && !of(None));
    }
}
