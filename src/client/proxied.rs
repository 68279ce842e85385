//! Connections to an API server through a proxy.
//!
//! kube's own support of proxies reads NO_PROXY differently from kubectl, and fails where it cannot; here
//! the proxy is decided when a client is made.

use crate::client::transport;
use anyhow::{Context, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use http::uri::Authority;
use http::{HeaderValue, Uri};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use kube::client::ConfigExt;
use kube::{Client, Config};

/// The port of a SOCKS proxy without one, as in kubectl.
const SOCKS: u16 = 1080;

/// A client through a proxy, which `tcp` reaches.
pub(crate) fn connect(proxy: &Uri, tcp: HttpConnector, config: Config) -> anyhow::Result<Client> {
    let login = login(proxy);
    match proxy.scheme_str() {
        Some("http") => transport::over(tunnel(proxy, tcp, login)?, config),
        Some("https") => {
            // With the CAs of the API server, as in kubectl.
            let tls = HttpsConnectorBuilder::new()
                .with_tls_config(config.rustls_client_config()?)
                .https_only()
                .enable_http1();
            transport::over(tunnel(proxy, tls.wrap_connector(tcp), login)?, config)
        }
        Some("socks5" | "socks5h") => {
            let mut socks = SocksV5::new(with_port(proxy, SOCKS)?, tcp);
            if let Some((user, password)) = login {
                socks = socks.with_auth(text(user)?, text(password)?);
            }
            transport::over(socks, config)
        }
        _ => bail!("a proxy that is neither http, https nor socks5"),
    }
}

fn tunnel<C>(proxy: &Uri, tcp: C, login: Option<(Vec<u8>, Vec<u8>)>) -> anyhow::Result<Tunnel<C>> {
    let tunnel = Tunnel::new(proxy.clone(), tcp);
    let Some((user, password)) = login else { return Ok(tunnel) };
    let basic = BASE64_STANDARD.encode([user, b":".to_vec(), password].concat());
    Ok(tunnel.with_auth(HeaderValue::try_from(format!("Basic {basic}"))?))
}

/// The user and the password in a URL.
fn login(proxy: &Uri) -> Option<(Vec<u8>, Vec<u8>)> {
    let (login, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    Some((decoded(user), decoded(password)))
}

/// Decodes percent escapes: `%40` is an @. What is no escape is copied.
fn decoded(text: &str) -> Vec<u8> {
    let hex = |at: usize| (*text.as_bytes().get(at)? as char).to_digit(16);
    let mut bytes = vec![];
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                bytes.push(byte);
                at += 1;
            }
        }
    }
    bytes
}

fn text(bytes: Vec<u8>) -> anyhow::Result<String> {
    String::from_utf8(bytes).context("the proxy's user or password is no text")
}

fn with_port(proxy: &Uri, port: u16) -> anyhow::Result<Uri> {
    let mut parts = proxy.clone().into_parts();
    if let (None, Some(authority)) = (proxy.port(), &parts.authority) {
        parts.authority = Some(Authority::try_from(format!("{authority}:{port}"))?);
    }
    Ok(Uri::from_parts(parts)?)
}

#[cfg(test)]
#[path = "proxied_tests.rs"]
mod tests;
