//! The proxy before the API server: what goes through, and what is delayed.

use futures::future::FutureExt;
use futures::stream::{BoxStream, StreamExt};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use kube::client::ConfigExt;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config, ResourceExt};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use test_cluster::{ApiProxy, Cluster, InstallOptions, Installation, eventually};
use tower::ServiceBuilder;

const PATIENCE: Duration = Duration::from_secs(60);
/// How long nothing must come; much more than it takes when nothing is frozen.
const SILENCE: Duration = Duration::from_millis(300);

/// How an administrator reaches the API server through the proxy.
async fn config(cluster: &Cluster, proxy: &ApiProxy) -> anyhow::Result<Config> {
    let account = "--serviceaccount=default:default";
    let role = "--clusterrole=cluster-admin";
    let bind = ["create", "clusterrolebinding", "proxied", role, account];
    cluster.kubectl(bind).ok().await?;
    let token = cluster.kubectl(["create", "token", "default"]).ok().await?;
    let mut text: Value = serde_json::from_str(&std::fs::read_to_string(cluster.kubeconfig())?)?;
    text["clusters"][0]["cluster"]["server"] = proxy.url().into();
    text["users"][0]["user"] = json!({ "token": token.trim() });
    let kubeconfig = Kubeconfig::from_yaml(&text.to_string())?;
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    config.proxy_url = None;
    Ok(config)
}

/// kube's own client speaks HTTP/1.1; this one speaks HTTP/2, over one connection.
fn http2_client(config: Config) -> anyhow::Result<Client> {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_only()
        .enable_http2()
        .build();
    let http = HttpClient::builder(TokioExecutor::new()).http2_only(true).build(https);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(tower::BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}

async fn create(maps: &Api<ConfigMap>, name: &str) -> anyhow::Result<()> {
    let map = serde_json::from_value(json!({ "metadata": { "name": name } }))?;
    maps.create(&PostParams::default(), &map).await?;
    Ok(())
}

/// Waits until a LIST shows the object.
async fn listed(maps: &Api<ConfigMap>, name: &str) -> anyhow::Result<()> {
    eventually(name, PATIENCE, || async {
        let names = maps.list(&ListParams::default()).await?;
        let found = names.iter().any(|map| map.name_any() == name);
        anyhow::ensure!(found, "LIST does not show it");
        Ok(())
    })
    .await
}

type Events = BoxStream<'static, kube::Result<WatchEvent<ConfigMap>>>;

/// A watch from now on.
async fn watch(maps: &Api<ConfigMap>) -> anyhow::Result<Events> {
    let everything = ListParams::default();
    let list = || maps.list(&everything);
    let from = eventually("LIST", PATIENCE, list).await?.metadata.resource_version;
    let events = maps.watch(&WatchParams::default(), &from.unwrap_or_default()).await?;
    Ok(events.boxed())
}

async fn added(events: &mut Events) -> anyhow::Result<String> {
    match tokio::time::timeout(PATIENCE, events.next()).await? {
        Some(Ok(WatchEvent::Added(map))) => Ok(map.name_any()),
        other => anyhow::bail!("no object was added, but: {other:?}"),
    }
}

/// Freezes and thaws what `client`, which goes through the proxy, does.
async fn freeze_and_thaw(
    cluster: &Cluster,
    proxy: &ApiProxy,
    client: Client,
) -> anyhow::Result<()> {
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let direct: Api<ConfigMap> = Api::namespaced(cluster.client(), "default");
    let (mut seen, mut control) = (watch(&maps).await?, watch(&direct).await?);
    create(&maps, "before").await?;
    assert_eq!(added(&mut seen).await?, "before");
    assert_eq!(added(&mut control).await?, "before");

    proxy.freeze_watches("/configmaps");
    for name in ["first", "second"] {
        create(&maps, name).await?;
        listed(&maps, name).await?;
        assert_eq!(added(&mut control).await?, name);
    }
    let silence = tokio::time::timeout(SILENCE, seen.next()).await;
    assert!(silence.is_err(), "delivered: {silence:?}");
    proxy.thaw();
    assert_eq!(added(&mut seen).await?, "first");
    assert_eq!(added(&mut seen).await?, "second");

    proxy.freeze("/configmaps");
    let theirs = maps.clone();
    let delayed = tokio::spawn(async move { create(&theirs, "delayed").await });
    namespaces.list(&ListParams::default()).await?;
    create(&direct, "after").await?;
    assert_eq!(added(&mut control).await?, "after");
    // A create that got through would be seen here, whoever holds its answer.
    let silence = tokio::time::timeout(SILENCE, control.next()).await;
    assert!(silence.is_err(), "it reached the API server: {silence:?}");
    assert!(!delayed.is_finished());
    assert!(seen.next().now_or_never().is_none());
    proxy.thaw();
    assert_eq!(added(&mut seen).await?, "after");
    assert_eq!(added(&mut seen).await?, "delayed");
    tokio::time::timeout(PATIENCE, delayed).await???;

    for name in ["before", "first", "second", "after", "delayed"] {
        direct.delete(name, &Default::default()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_frozen_is_delayed_until_thawed() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let proxy = ApiProxy::start(&cluster)?;
    let config = config(&cluster, &proxy).await?;
    let client = Client::try_from(config.clone())?;
    freeze_and_thaw(&cluster, &proxy, client.clone()).await?;
    freeze_and_thaw(&cluster, &proxy, http2_client(config)?).await?;

    let mut open = watch(&Api::namespaced(client, "default")).await?;
    proxy.freeze("/configmaps");
    drop(proxy);
    let end = tokio::time::timeout(PATIENCE, open.next()).await?;
    assert!(!matches!(end, Some(Ok(_))), "the watch goes on: {end:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_goes_through_its_proxy_only() -> anyhow::Result<()> {
    let cluster = Cluster::start().await?;
    let options = InstallOptions {
        chart: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixture-chart"),
        binary: env!("CARGO_BIN_EXE_test-cluster-stub").into(),
        ..InstallOptions::default()
    };
    let mut installation = Installation::install(&cluster, options).await?;
    let proxy = ApiProxy::start(&cluster)?;
    let replica = installation.start_replica_through(&proxy).await?;
    installation.wait_ready(PATIENCE).await?;
    replica.restart().await?;
    replica.wait_ready(PATIENCE).await?;

    let who = |nth: usize| {
        let replica = installation.replicas()[nth].name();
        let config = cluster.folder().join("home").join(replica).join("kubeconfig");
        let args = ["auth", "whoami", "-o=jsonpath={.status.userInfo.username}"];
        cluster.kubectl(args).env("KUBECONFIG", config).ok()
    };
    let account = "system:serviceaccount:linkerd-failover:fixture";
    assert_eq!(who(0).await?, account);
    assert_eq!(who(1).await?, account);
    let address = proxy.url();
    drop(proxy);
    assert_eq!(who(0).await?, account);
    let error = format!("{:#}", who(1).await.expect_err("the proxy is gone"));
    let address = address.trim_start_matches("https://");
    assert!(error.contains(address) && error.contains("refused"), "{error}");
    Ok(())
}
