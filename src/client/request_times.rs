//! When a request was made, and when the connection took it. A request that is to be timed carries the
//! times among its extensions.

use axum::body::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Instant;

/// The times of one request.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestTimes(Arc<Times>);

#[derive(Debug, Default)]
struct Times {
    made: OnceLock<Instant>,
    sent: OnceLock<Instant>,
}

impl RequestTimes {
    /// The request is made, and carries its times from now on.
    pub(crate) fn begin<B>(&self, request: &mut Request<B>) {
        let _ = self.0.made.set(Instant::now());
        request.extensions_mut().insert(self.clone());
    }

    /// When it was made, all of its body included.
    pub(crate) fn made(&self) -> Option<Instant> {
        self.0.made.get().copied()
    }

    /// When the connection took its body.
    pub(crate) fn sent(&self) -> Option<Instant> {
        self.0.sent.get().copied()
    }
}

/// The body of a request, which notes when the connection takes it.
#[derive(Debug)]
pub(crate) struct TimedBody<B> {
    body: B,
    times: Option<RequestTimes>,
}

impl<B> TimedBody<B> {
    /// The same request; its times move to its body.
    pub(crate) fn of(mut request: Request<B>) -> Request<Self> {
        let times = request.extensions_mut().remove();
        request.map(|body| Self { body, times })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TimedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(RequestTimes(times)) = self.times.take() {
            let _ = times.sent.set(Instant::now());
        }
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::client::Body as KubeBody;

    #[tokio::test]
    async fn a_request_is_sent_once_its_body_is_taken_and_the_body_stays_the_same() {
        let times = RequestTimes::default();
        let mut request = Request::new(KubeBody::from(b"patch".to_vec()));
        times.begin(&mut request);
        let mut body = TimedBody::of(request).into_body();
        assert!(times.made().is_some() && times.sent().is_none());
        assert_eq!(body.size_hint().exact(), Some(5));
        let frame = std::future::poll_fn(|c| Pin::new(&mut body).poll_frame(c)).await;
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap(), "patch");
        assert!(times.sent() >= times.made());
        assert!(body.is_end_stream());
    }

    #[test]
    fn a_request_without_times_is_passed_on() {
        let body = TimedBody::of(Request::new(KubeBody::empty())).into_body();
        assert!(body.times.is_none() && body.is_end_stream());
    }
}
