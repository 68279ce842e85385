//! Certificates that another program issues into a folder: cert-manager, or whoever writes a mounted
//! Secret.

use crate::certificates::configurations::WebhookConfigurations;
use crate::certificates::problem::CertificateProblem;
use crate::certificates::status::CertificateStatus;
use crate::certificates::trust_check::TrustCheck;
use crate::certificates::{FILE_POLL, RESYNC, ResourceNames};
use crate::telemetry::report_once::ReportOnce;
use crate::telemetry::{CertificateLoad, Metrics};
use anyhow::Context;
use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::time::Instant;
use webhook_certs::{Leaf, verifies};

pub(super) async fn run(
    client: Client,
    names: ResourceNames,
    folder: PathBuf,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    let configurations = WebhookConfigurations::new(client, &names.configurations);
    let mut changes = configurations.changes().ready_chunks(64);
    let mut trust = TrustCheck::new(status.clone(), &names.service);
    let mut files = CertificateFiles {
        folder,
        service: names.service,
        last_read: None,
        refusal: ReportOnce::default(),
        status,
        metrics: metrics.clone(),
    };
    let mut check_at = Instant::now();
    loop {
        if files.reload().await || check_at <= Instant::now() {
            let read = configurations.read().await;
            trust.check(&read, None, &metrics.certificates, Timestamp::now());
            check_at = Instant::now() + RESYNC;
        }
        tokio::select! {
            Some(_) = changes.next() => check_at = Instant::now(),
            () = tokio::time::sleep(FILE_POLL) => {}
        }
    }
}

/// The content of `tls.crt` and `tls.key`.
#[derive(PartialEq)]
struct PemPair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

struct CertificateFiles {
    folder: PathBuf,
    service: String,
    /// Loaded or refused already: each content once.
    last_read: Option<PemPair>,
    refusal: ReportOnce<String>,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
}

impl CertificateFiles {
    /// Serves what has changed in the folder, if it is usable. Returns whether it was.
    async fn reload(&mut self) -> bool {
        match read(&self.folder).await {
            Ok(pair) if self.last_read.as_ref() == Some(&pair) => false,
            Ok(pair) => {
                let leaf = Leaf::from_pem(&pair.certificate, &pair.key);
                self.last_read = Some(pair);
                self.load(leaf).await
            }
            Err(error) => {
                self.last_read = None;
                let reason = format!("{error:#}");
                self.refuse(reason, "the webhook's certificate cannot be read")
            }
        }
    }

    async fn load(&mut self, leaf: Result<Leaf, webhook_certs::Error>) -> bool {
        let leaf = match leaf {
            Ok(leaf) => leaf,
            Err(error) => {
                let reason = format!("{}: {error}", self.folder.display());
                return self.refuse(
                    reason,
                    "the webhook's certificate is not taken, the one before stays in use",
                );
            }
        };
        tracing::info!(not_after = %leaf.not_after, "serving the certificate of the files");
        self.refusal.ends();
        self.compare_with_ca(&leaf).await;
        let metrics = &self.metrics.certificates;
        metrics.loaded(CertificateLoad::File);
        metrics.leaf_expires.set(leaf.not_after.as_second());
        self.status.resolver.set(leaf);
        true
    }

    fn refuse(&mut self, reason: String, message: &str) -> bool {
        if self.refusal.begins(reason.clone()) {
            self.metrics.certificates.loaded(CertificateLoad::Refused);
            tracing::warn!("{message}: {reason}");
        }
        self.status.record_failure(CertificateProblem::Failed(reason));
        false
    }

    /// A `ca.crt` beside the pair is optional; one that does not verify the pair is reported.
    async fn compare_with_ca(&self, leaf: &Leaf) {
        let (path, service) = (self.folder.join("ca.crt"), &self.service);
        let Ok(ca) = tokio::fs::read(&path).await else { return };
        if let Err(error) = verifies(&ca, leaf, service, Timestamp::now()) {
            let path = path.display();
            tracing::warn!("{path} does not verify tls.crt beside it for {service}: {error}");
        }
    }
}

async fn read(folder: &Path) -> anyhow::Result<PemPair> {
    let read = async |name: &str| {
        let path = folder.join(name);
        tokio::fs::read(&path).await.with_context(|| path.display().to_string())
    };
    Ok(PemPair { certificate: read("tls.crt").await?, key: read("tls.key").await? })
}
