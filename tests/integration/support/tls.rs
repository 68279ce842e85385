//! TLS as a client of the webhook's speaks it.

use anyhow::Result;
use std::sync::Arc;
use test_cluster::{Cluster, client_config, webhook_ca};
use tokio_rustls::TlsConnector;

/// Trusts the CA of the Secret and nothing else.
pub(crate) async fn connector(cluster: &Cluster) -> Result<TlsConnector> {
    let config = client_config(&webhook_ca(cluster).await?)?;
    Ok(TlsConnector::from(Arc::new(config)))
}
