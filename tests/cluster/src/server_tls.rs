//! TLS as a webhook speaks it that no chart has installed.

use crate::client_tls::WEBHOOK_NAME;
use jiff::Timestamp;
use rustls::ServerConfig;
use std::sync::Arc;
use webhook_certs::{Authority, ClientAuth, Lifetimes, ReloadingResolver, TlsVersions};

/// TLS of a server at [`WEBHOOK_NAME`] with a certificate of its own, and the CA that has issued it, in PEM.
///
/// # Errors
///
/// No key can be made.
pub fn self_issued_tls() -> anyhow::Result<(ServerConfig, String)> {
    let (names, lifetimes, now) =
        ([WEBHOOK_NAME.to_owned()], Lifetimes::default(), Timestamp::now());
    let authority = Authority::generate(&names, &lifetimes, now)?;
    let resolver = Arc::new(ReloadingResolver::default());
    resolver.set(authority.issue(&names, &lifetimes, now)?);
    let tls = webhook_certs::server_config(resolver, TlsVersions::Tls12And13, ClientAuth::None)?;
    Ok((tls, authority.cert_pem().to_owned()))
}
