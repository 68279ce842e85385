//! From a body to an answer: whatever happens inside, the answer carries the request's uid.

use crate::webhook::handler::Operation;
use crate::webhook::review::{self, ReviewRequest};
use futures::FutureExt;
use kube::core::admission::AdmissionResponse;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use tokio::time::{Instant, timeout_at};

/// Who judges a review that could be read.
pub(crate) trait Reviewer: Send + Sync + 'static {
    /// An answer that needs no reading of the review, if there is one.
    fn glance(&self, _: Operation, _body: &[u8]) -> Option<ReviewResponse> {
        None
    }

    fn judge(
        &self,
        operation: Operation,
        request: &ReviewRequest,
    ) -> impl Future<Output = AdmissionResponse> + Send;
}

/// How a review ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReviewOutcome {
    Allowed,
    Denied,
    /// The body is no AdmissionReview.
    Malformed,
    /// The body did not come whole, or is larger than any review.
    Unread,
    /// The deadline passed.
    Late,
    Panicked,
}

impl ReviewOutcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
            Self::Unread => "unread",
            Self::Late => "late",
            Self::Panicked => "panicked",
        }
    }
}

/// What goes back.
#[derive(Debug)]
pub(crate) struct ReviewResponse {
    /// An AdmissionReview; `Err` only where no uid can be found, with a sentence for the client.
    pub review: Result<Vec<u8>, String>,
    pub verdict: ReviewOutcome,
    /// What is done to the object, as far as that was read.
    pub on_object: &'static str,
}

/// What is known of a request whose judgement has not come to its end.
struct Known {
    uid: String,
    object: String,
    on_object: &'static str,
}

/// Answers by the deadline.
pub(crate) async fn answer(
    judge: &impl Reviewer,
    operation: Operation,
    body: &[u8],
    deadline: Instant,
) -> ReviewResponse {
    let mut known = None;
    let judging = AssertUnwindSafe(judged(judge, operation, body, &mut known)).catch_unwind();
    let (verdict, why) = match timeout_at(deadline, judging).await {
        Ok(Ok(answer)) => return answer,
        Ok(Err(_)) => (ReviewOutcome::Panicked, "an error of its own"),
        Err(_) => (ReviewOutcome::Late, "it took too long"),
    };
    let Some(known) = known else {
        tracing::error!(webhook = operation.as_str(), why, "a review could not be read");
        return ReviewResponse { review: Err(why.into()), verdict, on_object: "unknown" };
    };
    tracing::error!(
        webhook = operation.as_str(),
        object = known.object,
        why,
        "a review was not judged"
    );
    let review = Ok(review::failed(&known.uid, passes_unjudged(operation), why));
    ReviewResponse { review, verdict, on_object: known.on_object }
}

/// The answer to a review that was not judged in time, or at all.
pub(crate) fn unjudged(
    uid: Option<String>,
    operation: Operation,
    verdict: ReviewOutcome,
) -> ReviewResponse {
    let why = match verdict {
        ReviewOutcome::Late => "it took too long",
        _ => "an error of its own",
    };
    tracing::error!(
        webhook = operation.as_str(),
        uid = uid.as_deref(),
        why,
        "a review was not judged"
    );
    let review = match uid {
        Some(uid) => Ok(review::failed(&uid, passes_unjudged(operation), why)),
        None => Err(why.into()),
    };
    ReviewResponse { review, verdict, on_object: "unknown" }
}

async fn judged(
    judge: &impl Reviewer,
    operation: Operation,
    body: &[u8],
    known: &mut Option<Known>,
) -> ReviewResponse {
    let request = match review::parse(body) {
        Ok(request) => request,
        Err(malformed) => {
            let allowed = passes_unjudged(operation);
            let review = match malformed.uid {
                Some(uid) => Ok(review::failed(&uid, allowed, &malformed.why)),
                None => Err(malformed.why),
            };
            return ReviewResponse {
                review,
                verdict: ReviewOutcome::Malformed,
                on_object: "unknown",
            };
        }
    };
    let on_object = review::on_object(&request);
    *known =
        Some(Known { uid: request.uid.clone(), object: review::describe(&request), on_object });
    let response = judge.judge(operation, &request).await;
    let verdict = if response.allowed { ReviewOutcome::Allowed } else { ReviewOutcome::Denied };
    let review = serde_json::to_vec(&response.into_review()).map_err(|error| error.to_string());
    ReviewResponse { review, verdict, on_object }
}

/// A mutating webhook that fails leaves the object as it is: the validator speaks. Of a deletion
/// only a word is said.
fn passes_unjudged(operation: Operation) -> bool {
    operation != Operation::Validate
}
