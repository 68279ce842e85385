//! What rustls serves.

use crate::Leaf;
use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
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

/// A server configuration for HTTP/2 and HTTP/1.1, without client certificates.
pub fn server_config(
    resolver: Arc<ReloadingResolver>,
    versions: TlsVersions,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[&'static rustls::SupportedProtocolVersion] = match versions {
        TlsVersions::Tls13Only => &[&rustls::version::TLS13],
        TlsVersions::Tls12And13 => &[&rustls::version::TLS13, &rustls::version::TLS12],
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
