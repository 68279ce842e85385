//! The webhook's certificates. `webhook_certs` decides about the CA; this room reads and writes.
//!
//! - `issuer`: the webhook issues its own, from a CA in a Secret, and writes `caBundle` into both
//!   webhook configurations. `rotation` is its state machine, without I/O.
//! - `files`: another program issues them into a folder and writes `caBundle`, as cert-manager does.
//! - `trust_check`: whether the API server trusts what is served; `status` holds the result, a
//!   `problem` or none, for readiness.
//! - `client_ca`: the CAs of clients, where they need certificates.
//! - `configurations` and `secret`: the objects that are read and written.

mod client_ca;
mod configurations;
mod files;
mod issuer;
mod problem;
mod rotation;
mod secret;
mod status;
mod trust_check;

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

    /// The DNS name by which the API server calls the webhook, and that certificates are for.
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

/// Everything is read again after this time, also where no watch reports a change.
const RESYNC: Duration = Duration::from_secs(60);
/// How often files are read. They are not watched: a folder that is mounted, or that a kubelet replaces
/// through a symbolic link, is not watched the same way on every file system.
const FILE_POLL: Duration = Duration::from_secs(2);

/// Serves the newest certificate through the resolver of `status`, until dropped.
pub(crate) async fn run(
    client: Client,
    names: ResourceNames,
    source: CertificateSource,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    match source {
        CertificateSource::Own(lifetimes) => {
            issuer::run(client, names, lifetimes, status, metrics).await;
        }
        CertificateSource::Files(folder) => {
            files::run(client, names, folder, status, metrics).await;
        }
    }
}
