//! A client of the API server as one has it who is in a hurry: one HTTP/2 connection, open before it
//! is needed.

use anyhow::{Context, Result};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::config::{AuthInfo, KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::json;
use std::path::Path;
use tower::{BoxError, ServiceBuilder};

/// Of the user of a kubeconfig, or of whom a token is.
pub(crate) async fn config(kubeconfig: &Path, token: Option<&str>) -> Result<Config> {
    let file = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(file, &options).await?;
    // The environment's proxy cannot reach loopback.
    config.proxy_url = None;
    if let Some(token) = token {
        let user: AuthInfo = serde_json::from_value(json!({"token": token}))?;
        config.auth_info = user;
    }
    Ok(config)
}

/// The client, with its connection open.
pub(crate) async fn quick(config: Config) -> Result<Client> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_only()
        .enable_http2()
        .wrap_connector(tcp);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(HttpClient::builder(TokioExecutor::new()).http2_only(true).build(https));
    let client = Client::new(service, config.default_namespace);
    client.apiserver_version().await.context("the API server does not answer")?;
    Ok(client)
}
