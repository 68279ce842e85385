//! TLS as a client speaks it that trusts one CA.

use crate::cluster::Cluster;
use anyhow::Context;
use axum::body::Body;
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// The configuration of a client without a certificate that trusts this CA, in PEM, and nothing else.
///
/// # Errors
///
/// What is no certificate.
pub fn client_config(ca: &[u8]) -> anyhow::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca)?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The name in the webhook's certificate, as the chart installs it.
pub const WEBHOOK_NAME: &str = "linkerd-failover-webhook.linkerd-failover.svc";

/// A client of HTTP/2 over TLS.
pub type WebhookClient = Client<HttpsConnector<HttpConnector>, Body>;

/// A client that calls the webhook as an API server does: over one HTTP/2 connection, at whatever address.
///
/// # Errors
///
/// None that is known.
pub fn webhook_client(tls: ClientConfig) -> anyhow::Result<WebhookClient> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only()
        .with_server_name_resolver(FixedServerNameResolver::new(ServerName::try_from(
            WEBHOOK_NAME,
        )?))
        .enable_http2()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new()).http2_only(true).build(https))
}

/// The CA, in PEM, of the webhook that is installed.
///
/// # Errors
///
/// The Secret is not there, or has no CA yet.
pub async fn webhook_ca(cluster: &Cluster) -> anyhow::Result<Vec<u8>> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "linkerd-failover");
    let secret = secrets.get("linkerd-failover-webhook-ca").await?;
    Ok(secret.data.and_then(|mut data| data.remove("ca.crt")).context("no CA")?.0)
}
