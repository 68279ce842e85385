//! HTTP/2 over TLS, with pings, over any connector. It times the requests that carry their times, and
//! distinguishes an API server that throttles.

use crate::client::request_times::TimedBody;
use crate::client::throttled;
use anyhow::Context;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{Body, ConfigExt};
use kube::{Client, Config};
use std::time::Duration;
use tower::{BoxError, ServiceBuilder};

/// Pings find a broken connection before a flip needs it.
const PING_EVERY: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// A client over a connector to the API server.
pub(crate) fn over<C>(connector: C, config: Config) -> anyhow::Result<Client>
where
    HttpsConnector<C>: Connect + Clone + Send + Sync + 'static,
{
    let mut tls = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http();
    if let Some(name) = &config.tls_server_name {
        let name = name.clone().try_into().with_context(|| format!("tls-server-name {name:?}"))?;
        tls = tls.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    let https = tls.enable_http1().enable_http2().wrap_connector(connector);
    let http = HttpClient::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(None::<Duration>)
        .http2_keep_alive_interval(PING_EVERY)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_result(throttled::refuse)
        .map_err(BoxError::from)
        .map_request(TimedBody::<Body>::of)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
