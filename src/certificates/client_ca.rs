//! The CAs of clients, in a file that somebody else keeps: read again when it changes.

use crate::certificates::log_once::LogOnce;
use crate::telemetry::{CertificateLoad, Metrics};
use anyhow::Context;
use rustls::ServerConfig;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use webhook_certs::{ClientAuth, ClientCas, ReloadingResolver, TlsVersions, server_config};

/// Looks at the file so often; why no watch of it, `files` says.
const POLL: Duration = Duration::from_secs(2);

/// How TLS is spoken, but for the CAs of clients.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub resolver: Arc<ReloadingResolver>,
    pub versions: TlsVersions,
    /// A client without a certificate is let in for what only needs a token.
    pub peers: bool,
}

impl TlsSettings {
    /// None: clients need no certificate.
    pub(crate) fn config(&self, cas: Option<ClientCas>) -> anyhow::Result<Arc<ServerConfig>> {
        let clients = match cas {
            None => ClientAuth::None,
            Some(cas) if self.peers => ClientAuth::Optional(cas),
            Some(cas) => ClientAuth::Required(cas),
        };
        Ok(Arc::new(server_config(self.resolver.clone(), self.versions, clients)?))
    }
}

/// The file, and what it is for.
pub(crate) struct ClientCa {
    path: PathBuf,
    /// What was last taken or refused: either is done once.
    tried: Vec<u8>,
    speaking: TlsSettings,
    tls: watch::Sender<Arc<ServerConfig>>,
    said: LogOnce,
}

impl ClientCa {
    /// Reads the file. A start without it would let nobody in.
    pub(crate) fn open(
        path: &Path,
        speaking: TlsSettings,
    ) -> anyhow::Result<(Self, watch::Receiver<Arc<ServerConfig>>)> {
        let tried = std::fs::read(path)?;
        let (tls, configs) = watch::channel(speaking.config(Some(ClientCas::from_pem(&tried)?))?);
        let said = LogOnce::default();
        Ok((Self { path: path.to_owned(), tried, speaking, tls, said }, configs))
    }

    /// Takes what is new in the file, until dropped.
    pub(crate) async fn keep(mut self, metrics: Arc<Metrics>) {
        loop {
            tokio::time::sleep(POLL).await;
            let read = tokio::fs::read(&self.path).await;
            match read.with_context(|| self.path.display().to_string()) {
                Ok(text) if text == self.tried => {}
                Ok(text) => self.take(text, &metrics),
                Err(error) => self.refuse(&format!("{error:#}"), &metrics),
            }
        }
    }

    fn take(&mut self, text: Vec<u8>, metrics: &Metrics) {
        let config = ClientCas::from_pem(&text)
            .map_err(anyhow::Error::from)
            .and_then(|cas| self.speaking.config(Some(cas)));
        self.tried = text;
        match config {
            Ok(config) => {
                self.said.is_over("client-ca");
                metrics.certificates.client_ca_loaded(CertificateLoad::File);
                tracing::info!("other CAs of clients are in use, from {}", self.path.display());
                self.tls.send_replace(config);
            }
            Err(error) => {
                self.refuse(&format!("{}: {error:#}", self.path.display()), metrics);
            }
        }
    }

    fn refuse(&mut self, why: &str, metrics: &Metrics) {
        if self.said.is_news("client-ca", why) {
            metrics.certificates.client_ca_loaded(CertificateLoad::Refused);
            tracing::warn!("the CAs of clients are not taken, those before stay in use: {why}");
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
    async fn other_cas_are_taken_from_the_file_and_a_piece_of_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.crt");
        std::fs::write(&path, ca()).unwrap();
        let speaking = TlsSettings {
            resolver: Arc::default(),
            versions: TlsVersions::default(),
            peers: false,
        };
        let (client_ca, mut configs) = ClientCa::open(&path, speaking).unwrap();
        let metrics = Arc::new(Metrics::default());
        let keeping = tokio::spawn(client_ca.keep(metrics.clone()));
        let loads = |kind: &str, times: u32| {
            let name = "linkerd_failover_webhook_client_ca_loads_total";
            metrics.encode().contains(&format!("{name}{{kind=\"{kind}\"}} {times}\n"))
        };
        let first = configs.borrow_and_update().clone();

        let next = ca();
        std::fs::write(&path, &next[..next.len() / 2]).unwrap();
        while !loads("refused", 1) {
            tokio::time::sleep(POLL).await;
        }
        tokio::time::sleep(POLL * 3).await;
        assert!(Arc::ptr_eq(&first, &configs.borrow()), "a piece was taken");
        assert!(loads("refused", 1), "it was refused again and again");

        std::fs::write(&path, next).unwrap();
        configs.changed().await.unwrap();
        assert!(!Arc::ptr_eq(&first, &configs.borrow()) && loads("file", 1));
        keeping.abort();
    }
}
