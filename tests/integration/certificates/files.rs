//! Certificates that somebody else puts into a folder.

use crate::support::admission_load::create;
use crate::support::*;
use anyhow::{Context, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use test_cluster::{Cluster, Installation, Replica, WEBHOOK_NAME, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Somebody else's CA.
struct Theirs {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

struct Pair {
    certificate: String,
    key: String,
}

impl Theirs {
    fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    fn issue(&self, purpose: ExtendedKeyUsagePurpose) -> Result<Pair> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([WEBHOOK_NAME.to_owned()])?;
        params.extended_key_usages = vec![purpose];
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Pair { certificate, key: key.serialize_pem() })
    }

    fn server(&self) -> Result<Pair> {
        self.issue(ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A connection to a replica, with or without a certificate of the client's own.
    async fn connect(
        &self,
        replica: &Replica,
        client: Option<&Pair>,
    ) -> Result<TlsStream<TcpStream>> {
        self.connect_by(replica, client, rustls::DEFAULT_VERSIONS).await
    }

    async fn connect_by(
        &self,
        replica: &Replica,
        client: Option<&Pair>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.pem.as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(Pair { certificate, key }) => config.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes())?],
                PrivateKeyDer::from_pem_slice(key.as_bytes())?,
            )?,
        };
        let stream = TcpStream::connect(replica.webhook_addr()).await?;
        let connector = TlsConnector::from(Arc::new(config));
        Ok(connector.connect(ServerName::try_from(WEBHOOK_NAME)?, stream).await?)
    }

    /// The status with which a replica answers what is no review and no announcement.
    async fn posted(&self, replica: &Replica, client: Option<&Pair>, path: &str) -> Result<String> {
        let mut stream = self.connect(replica, client).await?;
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: webhook\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer.split(' ').nth(1).context("no status")?.to_owned())
    }

    /// The certificate that a replica serves to a client with or without one of its own.
    async fn served(&self, replica: &Replica, client: Option<&Pair>) -> Result<String> {
        let mut stream = self.connect(replica, client).await?;
        let theirs = stream.get_ref().1.peer_certificates().context("no certificate")?[0].to_vec();
        // With TLS 1.3 the server's refusal comes after the client's part of the handshake: who is let
        // in is answered.
        stream.write_all(b"GET /nowhere HTTP/1.1\r\nhost: webhook\r\n\r\n").await?;
        tokio::time::timeout(PATIENCE, stream.read_u8()).await?.context("turned away")?;
        Ok(serde_json::to_string(&theirs)?)
    }
}

impl Pair {
    fn der(&self) -> Result<String> {
        let der = CertificateDer::from_pem_slice(self.certificate.as_bytes())?.to_vec();
        Ok(serde_json::to_string(&der)?)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        std::fs::write(folder.join("tls.crt"), &self.certificate)?;
        std::fs::write(folder.join("tls.key"), &self.key)?;
        Ok(())
    }

    /// As a kubelet does it: a folder for each version, and one link that is swapped.
    fn mount(&self, folder: &Path, version: &str) -> Result<()> {
        std::fs::create_dir(folder.join(version))?;
        self.write(&folder.join(version))?;
        let swapped = folder.join("..data_tmp");
        std::os::unix::fs::symlink(version, &swapped)?;
        std::fs::rename(swapped, folder.join("..data"))?;
        for name in ["tls.crt", "tls.key"] {
            if !folder.join(name).exists() {
                std::os::unix::fs::symlink(Path::new("..data").join(name), folder.join(name))?;
            }
        }
        Ok(())
    }
}

/// A folder with the server's pair and the CA of clients.
struct ClientCaFiles {
    folder: tempfile::TempDir,
    client_ca: String,
}

impl ClientCaFiles {
    fn write(servers: &Theirs, clients: &Theirs) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        servers.server()?.write(folder.path())?;
        let client_ca = folder.path().join("clients.crt").display().to_string();
        std::fs::write(&client_ca, &clients.pem)?;
        Ok(Self { folder, client_ca })
    }

    fn env(&self) -> [(&str, &str); 2] {
        [
            ("LINKERD_FAILOVER_WEBHOOK_TLS_DIR", self.folder.path().to_str().unwrap_or_default()),
            ("LINKERD_FAILOVER_CLIENT_CA", &self.client_ca),
        ]
    }
}

/// Puts a CA into every webhook of both configurations, as cert-manager does.
async fn inject(cluster: &Cluster, ca: &str) -> Result<()> {
    let bundle = json!(ByteString(ca.as_bytes().to_vec()));
    for kind in ["mutatingwebhookconfiguration", "validatingwebhookconfiguration"] {
        let path = |i: usize| format!("/webhooks/{i}/clientConfig/caBundle");
        let names = ["get", kind, "linkerd-failover", "-o=jsonpath={.webhooks[*].name}"];
        let webhooks = cluster.kubectl(names).ok().await?.split_whitespace().count();
        let patch: Vec<_> =
            (0..webhooks).map(|i| json!({"op": "add", "path": path(i), "value": bundle})).collect();
        let patch = json!(patch);
        cluster
            .kubectl(["patch", kind, "linkerd-failover", "--type=json", "-p", &patch.to_string()])
            .ok()
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_in_files_is_reloaded_whole_or_not_at_all_and_no_secret_or_bundle_is_touched()
-> Result<()> {
    let cluster = cluster().await?;
    let values = ["webhook.failurePolicy.mutating=Fail", "webhook.timeoutSeconds=30"];
    let mut installation = Installation::install(&cluster, options(0, &values)).await?;
    let folder = tempfile::tempdir()?;
    let ca = Theirs::new("theirs")?;
    let dir = folder.path().display().to_string();
    let env = [("LINKERD_FAILOVER_WEBHOOK_TLS_DIR", dir.as_str())];
    let replica = installation.start_replica_with(&env).await?;

    let not_ready = async |words: &str| {
        eventually(&format!("not ready: {words}"), PATIENCE, || async {
            let reply = replica.get("/ready").await.err().context("it is ready")?.to_string();
            ensure!(reply.contains(words), "{reply}");
            Ok::<_, anyhow::Error>(())
        })
        .await
    };
    not_ready("tls.crt: No such file").await?;
    let first = ca.server()?;
    first.mount(folder.path(), "..first")?;
    not_ready("no certificate in the bundle").await?;
    inject(&cluster, &Theirs::new("another")?.pem).await?;
    not_ready("it does not verify our certificate").await?;
    inject(&cluster, &ca.pem).await?;
    replica.wait_ready(PATIENCE).await?;
    wait_webhook(&cluster).await?;
    let (_workload, _west) = emojivoto(&cluster).await?;
    let splits = splits(&cluster, "emojivoto");
    eventually("a create passes", PATIENCE, || create(&splits, 0)).await?;
    assert_eq!(ca.served(&replica, None).await?, first.der()?);

    let wait_served = async |pair: &Pair| {
        eventually("the new certificate is served", PATIENCE, || async {
            ensure!(ca.served(&replica, None).await? == pair.der()?, "another one");
            Ok::<_, anyhow::Error>(())
        })
        .await
    };
    let second = ca.server()?;
    second.mount(folder.path(), "..second")?;
    wait_served(&second).await?;

    // Half of a pair, then a piece of a certificate: the one before is served on.
    let third = ca.server()?;
    let refused = async |times: f64| {
        let name = r#"linkerd_failover_webhook_certificate_loads_total{kind="refused"}"#;
        eventually("it is refused", PATIENCE, || async {
            let count = metric(&replica.get("/metrics").await?, name).unwrap_or(0.0);
            ensure!(count >= times, "{count}");
            Ok::<_, anyhow::Error>(count)
        })
        .await
    };
    let before = refused(0.0).await?;
    std::fs::write(folder.path().join("..data/tls.crt"), &third.certificate)?;
    let before = refused(before + 1.0).await?;
    assert_eq!(ca.served(&replica, None).await?, second.der()?);
    let half = &third.certificate[..third.certificate.len() / 2];
    std::fs::write(folder.path().join("..data/tls.crt"), half)?;
    refused(before + 1.0).await?;
    assert_eq!(ca.served(&replica, None).await?, second.der()?);
    for n in 0..20 {
        create(&splits, n).await?;
    }
    third.write(&folder.path().join("..data"))?;
    wait_served(&third).await?;
    create(&splits, 0).await?;

    assert_eq!(bundles(&cluster).await?, [ca.pem.clone(), ca.pem.clone()]);
    let secrets: Api<Secret> = Api::namespaced(cluster.client(), "linkerd-failover");
    assert_eq!(secrets.get("linkerd-failover-webhook-ca").await?.data, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_ca_of_clients_only_they_are_let_in() -> Result<()> {
    let cluster = cluster().await?;
    let without_guard = options(0, &["guard.enabled=false"]);
    let mut installation = Installation::install(&cluster, without_guard).await?;
    let (servers, clients) = (Theirs::new("servers")?, Theirs::new("clients")?);
    let files = ClientCaFiles::write(&servers, &clients)?;
    let env = files.env();
    let replica = installation.start_replica_with(&env).await?;
    let known = clients.issue(ExtendedKeyUsagePurpose::ClientAuth)?;
    let stranger = servers.issue(ExtendedKeyUsagePurpose::ClientAuth)?;
    eventually("a known client is let in", PATIENCE, || servers.served(&replica, Some(&known)))
        .await?;
    for client in [None, Some(&stranger)] {
        let refused = servers.served(&replica, client).await;
        ensure!(refused.is_err(), "a stranger was let in");
    }

    // With the guard other replicas come too, who have tokens and no certificate.
    let guard: Vec<_> = env.into_iter().chain([("LINKERD_FAILOVER_GUARD", "true")]).collect();
    let replica = installation.start_replica_with(&guard).await?;
    eventually("a known client is let in", PATIENCE, || servers.served(&replica, Some(&known)))
        .await?;
    ensure!(servers.served(&replica, Some(&stranger)).await.is_err(), "a stranger was let in");
    for path in ["/mutate", "/validate", "/pod-deletion", "/eviction"] {
        let (nobody, known) = (None, Some(&known));
        ensure!(servers.posted(&replica, nobody, path).await? == "401", "{path} without any");
        ensure!(servers.posted(&replica, known, path).await? == "400", "{path} with a known one");
    }
    for client in [None, Some(&known)] {
        let status = servers.posted(&replica, client, "/announcement").await?;
        ensure!(status == "401", "an announcement without a token: {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ca_of_clients_is_read_again_and_handshakes_that_fail_are_counted_and_logged_once()
-> Result<()> {
    let cluster = cluster().await?;
    let without_guard = options(0, &["guard.enabled=false"]);
    let mut installation = Installation::install(&cluster, without_guard).await?;
    let (servers, before, after) =
        (Theirs::new("servers")?, Theirs::new("before")?, Theirs::new("after")?);
    let files = ClientCaFiles::write(&servers, &before)?;
    let replica = installation.start_replica_with(&files.env()).await?;
    let old = before.issue(ExtendedKeyUsagePurpose::ClientAuth)?;
    let new = after.issue(ExtendedKeyUsagePurpose::ClientAuth)?;
    eventually("a known client is let in", PATIENCE, || servers.served(&replica, Some(&old)))
        .await?;
    let mut open = servers.connect(&replica, Some(&old)).await?;
    for _ in 0..3 {
        ensure!(servers.served(&replica, Some(&new)).await.is_err(), "a stranger was let in");
    }

    std::fs::write(&files.client_ca, &after.pem)?;
    eventually("the new client is let in", PATIENCE, || servers.served(&replica, Some(&new)))
        .await?;
    ensure!(servers.served(&replica, Some(&old)).await.is_err(), "the old one is let in");
    // Whoever is in by the old CA is asked to come again.
    let ended = tokio::time::timeout(PATIENCE, open.read_u8()).await;
    ensure!(ended.is_ok_and(|read| read.is_err()), "the old connection goes on");
    ensure!(servers.served(&replica, None).await.is_err(), "none was needed");
    let old_tls = servers.connect_by(&replica, Some(&new), &[&rustls::version::TLS12]).await;
    ensure!(old_tls.is_err(), "TLS 1.2 was spoken");

    // The server counts a handshake after its client has seen it fail.
    let metrics = eventually("every failure is counted", PATIENCE, || async {
        let metrics = replica.get("/metrics").await?;
        let failed = |why: &str| {
            let name = format!("linkerd_failover_webhook_handshakes_failed_total{{why=\"{why}\"}}");
            metric(&metrics, &name).with_context(|| format!("no {why}:\n{metrics}"))
        };
        ensure!(failed("client_certificate")? >= 4.0, "too few");
        ensure!(failed("no_client_certificate")? >= 1.0, "too few");
        ensure!(failed("tls_version")? == 1.0, "too few");
        Ok::<_, anyhow::Error>(metrics)
    })
    .await?;
    let loads = r#"linkerd_failover_webhook_client_ca_loads_total{kind="file"}"#;
    assert_eq!(metric(&metrics, loads), Some(1.0));
    let log = std::fs::read_to_string(replica.process().log())?;
    for (words, times) in [
        ("is not valid by webhook.clientCA", 1),
        ("set webhook.tlsMinVersion to", 1),
        ("showed no certificate", 1),
    ] {
        assert_eq!(log.matches(words).count(), times, "{words}\n{log}");
    }
    Ok(())
}
