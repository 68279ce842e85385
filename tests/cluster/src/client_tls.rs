//! TLS as a client speaks it that trusts one CA.

use crate::cluster::Cluster;
use anyhow::Context;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
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
