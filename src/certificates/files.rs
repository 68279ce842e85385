//! Certificates that somebody else issues: cert-manager, or whoever keeps a mounted Secret.

use crate::certificates::configurations::WebhookConfigurations;
use crate::certificates::log_once::LogOnce;
use crate::certificates::status::{CertificateStatus, TrustCheck};
use crate::certificates::{LOOK_AGAIN, ResourceNames};
use crate::telemetry::{CertificateLoad, Metrics};
use anyhow::Context;
use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use webhook_certs::{Leaf, verifies};

/// Looks at the files so often. No watch of the file system: a folder that is mounted, or swapped
/// by a symbolic link as a kubelet does it, is not watched the same way everywhere.
const POLL: Duration = Duration::from_secs(2);

pub(super) async fn keep(
    client: Client,
    names: ResourceNames,
    folder: PathBuf,
    status: Arc<CertificateStatus>,
    metrics: Arc<Metrics>,
) {
    let configurations = WebhookConfigurations::new(client, &names.configurations);
    let mut touched = configurations.touched().ready_chunks(64);
    let mut files = Files { folder, tried: None, said: LogOnce::default() };
    let service = names.service.clone();
    let mut judge = TrustCheck { status, service, said: LogOnce::default() };
    let mut look_at = Instant::now();
    loop {
        let reloaded = files.reload(&names, &judge.status, &metrics).await;
        if reloaded || look_at <= Instant::now() {
            let found = configurations.read().await;
            judge.judge(&found, None, &metrics.certificates, Timestamp::now());
            look_at = Instant::now() + LOOK_AGAIN;
        }
        tokio::select! {
            Some(_) = touched.next() => look_at = Instant::now(),
            () = tokio::time::sleep(POLL) => {}
        }
    }
}

/// What the folder holds.
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

struct Files {
    folder: PathBuf,
    /// What was last taken or refused: either is done once.
    tried: Option<Pair>,
    said: LogOnce,
}

impl Files {
    /// Takes what is new in the folder, if it is a pair; whether it was.
    async fn reload(
        &mut self,
        names: &ResourceNames,
        status: &CertificateStatus,
        metrics: &Metrics,
    ) -> bool {
        let pair = match read(&self.folder).await {
            Ok(pair) => pair,
            Err(error) => {
                let why = format!("{error:#}");
                if self.said.is_news("files", &why) {
                    metrics.certificates.loaded(CertificateLoad::Refused);
                    tracing::warn!("the webhook's certificate cannot be read: {why}");
                }
                self.tried = None;
                status.nothing_to_serve(&why);
                return false;
            }
        };
        let same = |tried: &Pair| tried.certificate == pair.certificate && tried.key == pair.key;
        if self.tried.as_ref().is_some_and(same) {
            return false;
        }
        let leaf = Leaf::from_pem(&pair.certificate, &pair.key);
        self.tried = Some(pair);
        match leaf {
            Ok(leaf) => {
                tracing::info!(not_after = %leaf.not_after, "serving the certificate of the files");
                self.said.is_over("files");
                self.compare(&leaf, &names.service).await;
                metrics.certificates.loaded(CertificateLoad::File);
                metrics.certificates.leaf_expires.set(leaf.not_after.as_second());
                status.resolver.set(leaf);
                true
            }
            Err(error) => {
                let why = format!("{}: {error}", self.folder.display());
                if self.said.is_news("files", &why) {
                    metrics.certificates.loaded(CertificateLoad::Refused);
                    tracing::warn!(
                        "the webhook's certificate is not taken, the one before stays in use: {why}"
                    );
                }
                status.nothing_to_serve(&why);
                false
            }
        }
    }

    /// A CA beside the pair is not needed, but one that does not fit is worth a word.
    async fn compare(&self, leaf: &Leaf, service: &str) {
        let path = self.folder.join("ca.crt");
        let Ok(ca) = tokio::fs::read(&path).await else { return };
        if let Err(error) = verifies(&ca, leaf, service, Timestamp::now()) {
            let path = path.display();
            tracing::warn!("{path} does not verify tls.crt beside it for {service}: {error}");
        }
    }
}

async fn read(folder: &Path) -> anyhow::Result<Pair> {
    let read = async |name: &str| {
        let path = folder.join(name);
        tokio::fs::read(&path).await.with_context(|| path.display().to_string())
    };
    Ok(Pair { certificate: read("tls.crt").await?, key: read("tls.key").await? })
}
