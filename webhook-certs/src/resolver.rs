//! The server's side of TLS: the certificate, and which clients are admitted.

use crate::{Error, Leaf, trust};
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::sync::Arc;

/// Gives each new connection the newest leaf. Handshakes fail until the first one is set.
///
/// ```
/// use jiff::Timestamp;
/// use webhook_certs::{Authority, Lifetimes, ReloadingResolver};
///
/// let names = ["webhook.example.svc".to_owned()];
/// let (lifetimes, now) = (Lifetimes::default(), Timestamp::now());
/// let ca = Authority::generate(&names, &lifetimes, now)?;
/// let resolver = ReloadingResolver::default();
/// assert!(resolver.current().is_none());
/// resolver.set(ca.issue(&names, &lifetimes, now)?);
/// assert!(resolver.current_not_after().is_some_and(|end| now < end));
/// # Ok::<(), webhook_certs::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ReloadingResolver {
    leaf: ArcSwapOption<Leaf>,
}

impl ReloadingResolver {
    /// Serves this leaf to every connection from now on.
    pub fn set(&self, leaf: Leaf) {
        self.leaf.store(Some(Arc::new(leaf)));
    }

    /// The leaf that is served, once one is set.
    pub fn current(&self) -> Option<Arc<Leaf>> {
        self.leaf.load_full()
    }

    /// When the leaf that is served expires.
    pub fn current_not_after(&self) -> Option<Timestamp> {
        self.leaf.load().as_ref().map(|leaf| leaf.not_after)
    }
}

impl ResolvesServerCert for ReloadingResolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf.load().as_ref().map(|leaf| leaf.certified_key.clone())
    }
}

/// The TLS versions of a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersions {
    /// 1.3 alone.
    #[default]
    Tls13Only,
    /// 1.2 and 1.3.
    Tls12And13,
}

/// The CAs whose clients are admitted.
#[derive(Clone, Debug)]
pub struct ClientCas(Arc<RootCertStore>);

impl ClientCas {
    /// Reads certificates in PEM. All of them have to be usable: the clients of one that is left out
    /// would be refused later, without a reason.
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

/// Whether clients authenticate.
#[derive(Clone, Debug)]
pub enum ClientAuth {
    /// No client is asked for a certificate.
    None,
    /// A client needs a certificate of these CAs.
    Required(ClientCas),
    /// A client's certificate has to be of these CAs. One without is admitted, and the server sees it
    /// from the connection.
    Optional(ClientCas),
}

/// A server configuration for HTTP/2 and HTTP/1.1.
pub fn server_config(
    resolver: Arc<ReloadingResolver>,
    versions: TlsVersions,
    client_auth: ClientAuth,
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
    let verifier = match client_auth {
        ClientAuth::None => None,
        ClientAuth::Required(cas) => Some(verifier(cas)),
        ClientAuth::Optional(cas) => Some(verifier(cas).allow_unauthenticated()),
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
