//! The webhook's certificates. The decisions are `webhook_certs`'; this is their I/O.
//!
//! - `keeper`: issues them itself, from a CA in a Secret, and keeps `caBundle` in both webhook
//!   configurations.
//! - `client_ca`: the CAs of clients, where they need certificates.
//! - `files`: somebody else issues them into a folder and keeps `caBundle`, as cert-manager does.
//! - `configurations` and `secret`: what is read and written in the cluster.
//! - `status`: whether the API server would believe what is served; readiness asks it.

mod client_ca;
mod configurations;
mod files;
mod keeper;
mod log_once;
mod secret;
mod status;

use crate::telemetry::Metrics;
use kube::Client;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use webhook_certs::Lifetimes;

pub(crate) use client_ca::{ClientCa, TlsSettings};
pub(crate) use status::CertificateStatus;

/// The objects that certificates concern, by the installation's base name.
#[derive(Clone, Debug)]
pub(crate) struct ResourceNames {
    namespace: String,
    secret: String,
    configurations: String,
    service: String,
}

impl ResourceNames {
    pub(crate) fn new(name: &str, namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            secret: format!("{name}-webhook-ca"),
            configurations: name.to_owned(),
            service: format!("{name}-webhook.{namespace}.svc"),
        }
    }

    /// The name by which the API server calls the webhook, and that certificates are for.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }
}

/// Where certificates come from.
#[derive(Clone, Debug)]
pub(crate) enum CertificateSource {
    /// From the CA in the Secret.
    Own(Lifetimes),
    /// From `tls.crt` and `tls.key` in a folder.
    Files(PathBuf),
}

/// Looks again where no watch brought anything.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Keeps the newest certificate in the resolver of `status`, until dropped.
pub(crate) async fn keep(
    client: Client,
    names: ResourceNames,
    source: CertificateSource,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    match source {
        CertificateSource::Own(lifetimes) => {
            keeper::keep(client, names, lifetimes, status, metrics).await
        }
        CertificateSource::Files(folder) => {
            files::keep(client, names, folder, status, metrics).await
        }
    }
}
