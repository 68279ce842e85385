//! What the error of a request to a linked cluster shows of the cluster.

use crate::informers::remote::answer::Foreign;
use crate::informers::remote::failure::RequestFailure;
use crate::informers::remote::handshake;
use futures::{Stream, StreamExt};
use kube::runtime::watcher::{self, Event};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::iter::successors;
use std::time::Duration;

/// How long a page of a LIST may take.
const PAGE_TIMEOUT: Duration = Duration::from_secs(10);

/// The failure of a request by the client of a linked cluster, whose `Api` errors are Kubernetes' own: see
/// [`answer`](crate::informers::remote::answer).
pub(crate) fn of(error: &kube::Error) -> RequestFailure {
    if let kube::Error::Api(status) = error {
        return RequestFailure::answered(status.code, &status.reason);
    }
    let tls = causes(error).find_map(<dyn Error>::downcast_ref::<rustls::Error>);
    if let Some(tls) = tls {
        return handshake::failure(tls);
    }
    RequestFailure::Unreachable(
        causes(error).find_map(silence).unwrap_or("no answer that can be read".into()),
    )
}

/// The next event of a LIST and watch; `is_listed` once the LIST is complete.
pub(crate) async fn next_event<K>(
    events: &mut (impl Stream<Item = watcher::Result<Event<K>>> + Unpin),
    is_listed: bool,
) -> Result<Event<K>, RequestFailure> {
    // A watch may be silent for as long as the client's read timeout lets it.
    let timeout = if is_listed { Duration::MAX } else { PAGE_TIMEOUT };
    match tokio::time::timeout(timeout, events.next()).await {
        Ok(Some(Ok(event))) => Ok(event),
        Ok(Some(Err(error))) => Err(of_watch(&error)),
        Ok(None) => Err(RequestFailure::Unreachable("the watch ended".into())),
        Err(_) => Err(RequestFailure::Unreachable("no answer".into())),
    }
}

/// The failure of a LIST, or of the watch that follows it.
fn of_watch(error: &watcher::Error) -> RequestFailure {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => of(error),
        watcher::Error::WatchError(status) => RequestFailure::answered(status.code, &status.reason),
        watcher::Error::NoResourceVersion => {
            RequestFailure::Unreachable("a list without resourceVersion".into())
        }
    }
}

/// Longer than any chain of causes: a circular one has to end too.
const CAUSES: usize = 32;

/// An error, and the chain of its causes.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |error| cause(*error)).take(CAUSES)
}

fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // What an io::Error wraps is not its source, but the source of that is.
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// Why there is no answer of the API server, where this cause shows it.
fn silence(cause: &(dyn Error + 'static)) -> Option<String> {
    if let Some(Foreign { code }) = cause.downcast_ref() {
        return Some(format!(
            "what answers there is no Kubernetes API server (HTTP status {code})"
        ));
    }
    if let Some(io) = cause.downcast_ref::<io::Error>() {
        return match io.kind() {
            kind @ (ErrorKind::ConnectionRefused | ErrorKind::TimedOut) => Some(kind.to_string()),
            ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                Some("the connection broke".into())
            }
            _ if io.get_ref().is_some() => None,
            _ => Some("no connection".into()),
        };
    }
    let is_dns = cause.to_string() == "dns error";
    is_dns.then(|| "the name of its API server is not found".into())
}

#[cfg(test)]
#[path = "diagnosis_tests.rs"]
mod tests;
