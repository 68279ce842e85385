//! The CAs of clients, in a file that another program writes: it is read again when it changes.

use crate::certificates::FILE_POLL;
use crate::telemetry::report_once::ReportOnce;
use crate::telemetry::{CertificateLoad, Metrics};
use anyhow::Context;
use rustls::ServerConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use webhook_certs::{ClientAuth, ClientCas, ReloadingResolver, TlsVersions, server_config};

/// The TLS settings of the server, except for the CAs of clients.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub resolver: Arc<ReloadingResolver>,
    pub versions: TlsVersions,
    /// Whether a client without a certificate is accepted, for what only needs a token.
    pub certificate_optional: bool,
}

impl TlsSettings {
    /// Without CAs, clients need no certificate.
    pub(crate) fn config(&self, cas: Option<ClientCas>) -> anyhow::Result<Arc<ServerConfig>> {
        let clients = match cas {
            None => ClientAuth::None,
            Some(cas) if self.certificate_optional => ClientAuth::Optional(cas),
            Some(cas) => ClientAuth::Required(cas),
        };
        Ok(Arc::new(server_config(self.resolver.clone(), self.versions, clients)?))
    }
}

/// The file, and the TLS configuration that is made of it.
pub(crate) struct ClientCa {
    path: PathBuf,
    /// Loaded or refused already: each content once.
    last_read: Vec<u8>,
    settings: TlsSettings,
    config: watch::Sender<Arc<ServerConfig>>,
    refusal: ReportOnce<String>,
}

impl ClientCa {
    /// Reads the file. Without it no client would be accepted, so a start fails.
    pub(crate) fn open(
        path: &Path,
        settings: TlsSettings,
    ) -> anyhow::Result<(Self, watch::Receiver<Arc<ServerConfig>>)> {
        let last_read = std::fs::read(path)?;
        let (config, configs) =
            watch::channel(settings.config(Some(ClientCas::from_pem(&last_read)?))?);
        let refusal = ReportOnce::default();
        Ok((Self { path: path.to_owned(), last_read, settings, config, refusal }, configs))
    }

    /// Loads each change of the file, until dropped.
    pub(crate) async fn reload_on_change(mut self, metrics: Arc<Metrics>) {
        loop {
            tokio::time::sleep(FILE_POLL).await;
            let read = tokio::fs::read(&self.path).await;
            match read.with_context(|| self.path.display().to_string()) {
                Ok(text) if text == self.last_read => {}
                Ok(text) => self.load(text, &metrics),
                Err(error) => self.refuse(format!("{error:#}"), &metrics),
            }
        }
    }

    fn load(&mut self, text: Vec<u8>, metrics: &Metrics) {
        let config = ClientCas::from_pem(&text)
            .map_err(anyhow::Error::from)
            .and_then(|cas| self.settings.config(Some(cas)));
        self.last_read = text;
        match config {
            Ok(config) => {
                self.refusal.ends();
                metrics.certificates.client_ca_loaded(CertificateLoad::File);
                tracing::info!("other CAs of clients are in use, from {}", self.path.display());
                self.config.send_replace(config);
            }
            Err(error) => self.refuse(format!("{}: {error:#}", self.path.display()), metrics),
        }
    }

    fn refuse(&mut self, reason: String, metrics: &Metrics) {
        if self.refusal.begins(reason.clone()) {
            metrics.certificates.client_ca_loaded(CertificateLoad::Refused);
            tracing::warn!("the CAs of clients are not taken, those before stay in use: {reason}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use webhook_certs::{Authority, Lifetimes};

    fn ca() -> String {
        let names = ["x".to_owned()];
        Authority::generate(&names, &Lifetimes::default(), Timestamp::now()).unwrap().cert_pem()
    }

    #[tokio::test(start_paused = true)]
    async fn other_cas_are_taken_from_the_file_and_a_truncated_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        std::fs::write(&path, ca()).unwrap();
        let settings = TlsSettings {
            resolver: Arc::default(),
            versions: TlsVersions::default(),
            certificate_optional: false,
        };
        let (client_ca, mut configs) = ClientCa::open(&path, settings).unwrap();
        let metrics = Arc::new(Metrics::default());
        let reloading = tokio::spawn(client_ca.reload_on_change(metrics.clone()));
        let loads = |kind: &str, times: u32| {
            let name = "linkerd_failover_webhook_client_ca_loads_total";
            metrics.encode().contains(&format!("{name}{{kind=\"{kind}\"}} {times}\n"))
        };
        let first = configs.borrow_and_update().clone();

        let next = ca();
        std::fs::write(&path, &next[..next.len() / 2]).unwrap();
        while !loads("refused", 1) {
            tokio::time::sleep(FILE_POLL).await;
        }
        tokio::time::sleep(FILE_POLL * 3).await;
        assert!(Arc::ptr_eq(&first, &configs.borrow()), "a truncated file was taken");
        assert!(loads("refused", 1), "it was refused again and again");

        std::fs::write(&path, next).unwrap();
        configs.changed().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &configs.borrow()) && loads("file", 1));
        reloading.abort();
    }
}
