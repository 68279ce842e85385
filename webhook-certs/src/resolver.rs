//! What rustls serves.

use crate::{Error, Leaf, trust};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// Gives each new connection the newest leaf. Until the first one is set, handshakes fail.
#[derive(Debug, Default)]
pub struct ReloadingResolver {
    leaf: ArcSwapOption<Leaf>,
}

impl ReloadingResolver {
    /// Serves this leaf from the next connection on.
    pub fn set(&self, leaf: Leaf) {
        self.leaf.store(Some(Arc::new(leaf)));
    }

    /// What is served; nothing until the first leaf is set.
    pub fn current(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// When the leaf that is served expires; none while there is none.
    pub fn current_not_after(&self) -> Option<Timestamp> {
        self.leaf.load().as_ref().map(|leaf| leaf.not_after)
    }
}

impl ResolvesServerCert for ReloadingResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf.load().as_ref().map(|leaf| leaf.certified_key.clone())
    }
}

/// Which versions of TLS are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    #[default]
    Tls13Only,
    Tls12And13,
}

/// The CAs whose clients are let in.
#[derive(Clone, Debug)]
pub struct ClientCas(Arc<RootCertStore>);

impl ClientCas {
    /// Reads certificates in PEM. All of them have to be usable: whoever is left out would be
    /// refused later, where nobody sees why.
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let certificates = trust::certificates(text);
        if certificates.is_empty() {
            return Err(Error::unusable("no certificate", "the certificates of CAs in PEM"));
        }
        let mut roots = RootCertStore::empty();
        certificates.into_iter().try_for_each(|one| roots.add(one))?;
        Ok(Self(Arc::new(roots)))
    }
}

/// Which clients are let in.
#[derive(Clone, Debug)]
pub enum Clients {
    Anybody,
    /// Those with a certificate of these CAs.
    Of(ClientCas),
    /// These, and those without any certificate: the server finds that out on the connection.
    OfOrNone(ClientCas),
}

/// A server configuration for HTTP/2 and HTTP/1.1.
pub fn server_config(
    resolver: Arc<ReloadingResolver>,
    versions: TlsVersions,
    clients: Clients,
) -> Result<ServerConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&'static rustls::SupportedProtocolVersion] = match versions {
        TlsVersions::Tls13Only => &[&rustls::version::TLS13],
        TlsVersions::Tls12And13 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let builder =
        ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let verifier = |ClientCas(roots): ClientCas| {
        WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
    };
    let verifier = match clients {
        Clients::Anybody => None,
        Clients::Of(cas) => Some(verifier(cas)),
        Clients::OfOrNone(cas) => Some(verifier(cas).allow_unauthenticated()),
    };
    let builder = match verifier {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(
            verifier
                .build()
                .map_err(|error| Error::unusable(error.to_string(), "CAs of clients"))?,
        ),
    };
    let mut config = builder.with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
