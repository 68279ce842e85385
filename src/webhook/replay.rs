//! Reviews as text, answered by an index without an API server, TLS and HTTP: what a review costs, for
//! benchmarks.

use crate::engine::{Defaults, Identity};
use crate::informers::replay::Replay;
use crate::kinds::selector::LabelSelector;
use crate::telemetry::{ReviewOutcome, ReviewPath};
use crate::webhook::handler::Handler;
use crate::webhook::response::answer;
use futures::FutureExt;
use kube::Client;
use kube::client::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Later than any review is answered.
const DEADLINE: Duration = Duration::from_secs(60);

/// A webhook that is called.
#[derive(Clone, Copy, Debug)]
pub enum Webhook {
    /// The mutating one.
    Mutate,
    /// The validating one.
    Validate,
}

/// The webhooks of a replica that has these facts.
pub struct Reviews(Handler);

impl Reviews {
    /// By the facts of a replay, of the objects that carry our label. Within a runtime.
    pub fn new(facts: &Replay) -> anyhow::Result<Self> {
        let none = tower::service_fn(|_: http::Request<Body>| {
            std::future::ready(Err::<http::Response<Body>, _>(std::io::Error::other(
                "no look-up is needed",
            )))
        });
        Ok(Self(Handler {
            client: Client::new(none, "default"),
            shared: facts.index().clone(),
            selector: Arc::new(LabelSelector::parse(
                "failover.linkerd.io/controlled-by=linkerd-failover",
            )?),
            rules: Arc::default(),
            defaults: Defaults::default(),
            me: Identity::new("linkerd-failover-5d9c7bd6f8-x2x9z"),
        }))
    }

    /// The answer to a review, as text; none where it is not allowed, or needs more than the facts.
    pub fn answer(&self, by: Webhook, review: &[u8]) -> Option<Vec<u8>> {
        let path = match by {
            Webhook::Mutate => ReviewPath::Mutate,
            Webhook::Validate => ReviewPath::Validate,
        };
        let answered = answer(&self.0, path, review, Instant::now() + DEADLINE).now_or_never()?;
        (answered.outcome == ReviewOutcome::Allowed).then_some(answered.review.ok()).flatten()
    }
}
