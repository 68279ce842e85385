//! TLS as a client of the webhook's speaks it.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::sync::Arc;
use test_cluster::Cluster;
use tokio_rustls::TlsConnector;

/// Trusts the CA of the Secret and nothing else.
pub(crate) async fn connector(cluster: &Cluster) -> Result<TlsConnector> {
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "linkerd-failover");
    let secret = secrets.get("linkerd-failover-webhook-ca").await?;
    let ca = secret.data.and_then(|mut data| data.remove("ca.crt")).context("no CA")?.0;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&ca)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
