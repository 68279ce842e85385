//! The receiver of notifications, over HTTP: with a client of its own, which knows no credentials of the API
//! server, follows no redirect, and bounds what it waits for and reads.

use crate::client::causes::with_causes;
use crate::notifications::cloud_event::CONTENT_TYPE;
use crate::notifications::queue::{Outcome, Queued};
use crate::notifications::retry_after::retry_after;
use crate::notifications::settings::{NotificationSettings, ReceiverUrl};
use crate::notifications::signature::SigningKey;
use anyhow::{Context, ensure};
use axum::body::{Body, to_bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE as CONTENT_TYPE_HEADER, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// For a TCP connection.
const CONNECT: Duration = Duration::from_secs(5);
/// From the connection to the head of the answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// For the rest of the answer.
const BODY_WITHIN: Duration = Duration::from_secs(1);
/// Connections that are kept between notifications.
const KEPT: Duration = Duration::from_secs(60);
/// So much of an answer is read, so that its connection can be used again.
const ANSWER: usize = 16 * 1024;

/// Where notifications are sent.
pub(crate) struct Receiver {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    url: ReceiverUrl,
    key: SigningKey,
    source: String,
    answers_within: Duration,
}

impl Receiver {
    /// A client of its own for this receiver.
    pub(crate) fn new(settings: &NotificationSettings) -> anyhow::Result<Self> {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(trust(settings.ca.as_deref(), &settings.url)?)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(tcp);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(KEPT)
            .build(https);
        let (url, key) = (settings.url.clone(), settings.key.clone());
        let source = settings.source.clone();
        Ok(Self { client, url, key, source, answers_within: ANSWERS_WITHIN })
    }

    /// For tests of a receiver that never answers.
    #[cfg(test)]
    pub(super) fn impatient(self) -> Self {
        Self { answers_within: Duration::from_millis(300), ..self }
    }

    /// Where it is, without what may be secret.
    pub(super) fn url(&self) -> &ReceiverUrl {
        &self.url
    }

    /// Sends a notification.
    pub(super) async fn deliver(&self, queued: &Queued, now: Timestamp) -> Outcome {
        let request = match self.request(queued, now) {
            Ok(request) => request,
            Err(error) => return Outcome::Refused(format!("it cannot be sent: {error}")),
        };
        match tokio::time::timeout(self.answers_within, self.client.request(request)).await {
            Ok(Ok(answer)) => finish(answer.map(Body::new), now).await,
            Ok(Err(error)) => failed(with_causes(&error)),
            Err(_) => failed(format!("no answer within {} s", self.answers_within.as_secs_f64())),
        }
    }

    fn request(&self, queued: &Queued, now: Timestamp) -> anyhow::Result<Request<Body>> {
        let body = queued.notification.to_json(&queued.id, &self.source)?;
        let mut request = Request::post(self.url.uri.clone())
            .header(CONTENT_TYPE_HEADER, CONTENT_TYPE)
            .header(USER_AGENT, concat!("linkerd-failover/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", &queued.id)
            .header("webhook-timestamp", now.as_second())
            .header("webhook-signature", self.key.sign(&queued.id, now, &body));
        if let Some(authorization) = &self.url.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        Ok(request.body(Body::from(body))?)
    }
}

/// The head of an answer decides. Of what follows so much is read that the connection can be used again.
async fn finish(answer: Response<Body>, now: Timestamp) -> Outcome {
    let (head, body) = answer.into_parts();
    let _ = tokio::time::timeout(BODY_WITHIN, to_bytes(body, ANSWER)).await;
    outcome(head.status, &head.headers, now)
}

/// By whom the certificate of a receiver is to be signed.
fn trust(ca: Option<&str>, url: &ReceiverUrl) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let is_plain = url.uri.scheme_str() == Some("http");
    let builder = match ca {
        Some(pem) => builder.with_root_certificates(roots(pem)?),
        None if is_plain => builder.with_root_certificates(RootCertStore::empty()),
        None => builder.with_native_roots().context(
            "notifications: found no CA of the system, expected one, or the receiver's in notifications.ca",
        )?,
    };
    Ok(builder.with_no_client_auth())
}

fn roots(pem: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        roots.add(certificate.context("notifications.ca: found no PEM")?)?;
    }
    ensure!(!roots.is_empty(), "notifications.ca: found no certificate, expected CAs in PEM");
    Ok(roots)
}

/// What an answer means. What a receiver that is set up wrongly answers may come right: only what says that
/// this very body is not wanted is final.
fn outcome(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Outcome {
    match status {
        status if status.is_success() => Outcome::Delivered,
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Outcome::Refused(format!("it answers {status}")),
        status if status.is_redirection() => failed(format!(
            "it answers {status}, and redirects are not followed: set the URL that it names"
        )),
        status => Outcome::Failed {
            why: format!("it answers {status}"),
            retry_after: retry_after(headers, now),
        },
    }
}

fn failed(why: String) -> Outcome {
    Outcome::Failed { why, retry_after: None }
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "receiver_tls_tests.rs"]
mod tls_tests;
