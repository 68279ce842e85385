//! Which kubeconfig of a linked cluster may be used: one that has everything inline.
//!
//! It comes from a Secret that others write: no program that it names is run, and no file is read. No value
//! of it is shown; a refusal names fields only.

use kube::Config;
use kube::client::RustlsTlsError;
use kube::config::{
    AuthInfo, Cluster, Context, KubeConfigOptions, Kubeconfig, KubeconfigError, NamedAuthInfo,
    NamedCluster, NamedContext,
};
use thiserror::Error;

/// A kubeconfig that needs nothing but itself. Without `Debug`: it holds a token.
#[derive(Clone)]
pub(crate) struct Checked(Kubeconfig);

/// Why a kubeconfig is not used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{field}: found {found}, expected {expected}")]
pub(crate) struct Refusal {
    field: &'static str,
    found: &'static str,
    expected: &'static str,
}

const KUBECONFIG: &str = "data.kubeconfig";
const SERVER: &str = "clusters[].cluster.server";
const CA: &str = "clusters[].cluster.certificate-authority-data";
const USER: &str = "users[].user";

fn refusal(field: &'static str, found: &'static str, expected: &'static str) -> Refusal {
    Refusal { field, found, expected }
}

/// Checks the current context of a kubeconfig, and takes only the fields that are needed.
pub(crate) fn check(bytes: &[u8]) -> Result<Checked, Refusal> {
    // The parser's own error would quote the text.
    let text = std::str::from_utf8(bytes).ok();
    let read = text.and_then(|text| Kubeconfig::from_yaml(text).ok());
    let read = read.ok_or(refusal(KUBECONFIG, "no kubeconfig", "the YAML that linkerd wrote"))?;
    let (cluster, user) = selected(read)?;
    Ok(Checked(linked_kubeconfig(checked_cluster(cluster)?, checked_user(user)?)))
}

/// The cluster and the user of the current context.
fn selected(read: Kubeconfig) -> Result<(Cluster, AuthInfo), Refusal> {
    let name = given(read.current_context);
    let context = read.contexts.into_iter().find(|c| Some(&c.name) == name.as_ref());
    let context = context.and_then(|named| named.context).ok_or(refusal(
        "current-context",
        "none that is there",
        "the name of one of contexts[]",
    ))?;
    let cluster = read.clusters.into_iter().find(|c| c.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster).ok_or(refusal(
        "contexts[].context.cluster",
        "none that is there",
        "the name of one of clusters[]",
    ))?;
    let user = context.user.as_ref().and_then(|name| {
        let user = read.auth_infos.into_iter().find(|user| user.name == *name)?;
        user.auth_info
    });
    Ok((cluster, user.unwrap_or_default()))
}

/// A kubeconfig with nothing but a cluster and a user.
fn linked_kubeconfig(cluster: Cluster, user: AuthInfo) -> Kubeconfig {
    Kubeconfig {
        clusters: vec![NamedCluster {
            name: LINKED.into(),
            cluster: Some(cluster),
            ..NamedCluster::default()
        }],
        auth_infos: vec![NamedAuthInfo {
            name: LINKED.into(),
            auth_info: Some(user),
            ..NamedAuthInfo::default()
        }],
        contexts: vec![NamedContext {
            name: LINKED.into(),
            context: Some(Context {
                cluster: LINKED.into(),
                user: Some(LINKED.into()),
                ..Context::default()
            }),
            ..NamedContext::default()
        }],
        current_context: Some(LINKED.into()),
        ..Kubeconfig::default()
    }
}

/// The name of every entry in a checked kubeconfig.
const LINKED: &str = "linked";

/// An empty field counts as absent.
fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

fn checked_cluster(cluster: Cluster) -> Result<Cluster, Refusal> {
    let server = given(cluster.server).ok_or(refusal(SERVER, "nothing", "the API server's URL"))?;
    let data = given(cluster.certificate_authority_data);
    if data.is_none() && given(cluster.certificate_authority).is_some() {
        return Err(refusal(
            "clusters[].cluster.certificate-authority",
            "the path of a file, which is not here",
            "the CA itself, in certificate-authority-data",
        ));
    }
    if given(cluster.proxy_url).is_some() {
        return Err(refusal(
            "clusters[].cluster.proxy-url",
            "a proxy, which this program does not speak to",
            "an API server that is reached directly",
        ));
    }
    Ok(Cluster {
        server: Some(server),
        certificate_authority_data: data,
        insecure_skip_tls_verify: cluster.insecure_skip_tls_verify,
        tls_server_name: given(cluster.tls_server_name),
        ..Cluster::default()
    })
}

fn checked_user(user: AuthInfo) -> Result<AuthInfo, Refusal> {
    let expected = "the static token that linkerd writes";
    let file = "the path of a file, which is not here";
    let has = |path: Option<String>| given(path).is_some();
    let certificate = given(user.client_certificate_data);
    let problem = if user.exec.is_some() {
        Some(("users[].user.exec", "a program, which is not run"))
    } else if user.auth_provider.is_some() {
        Some(("users[].user.auth-provider", "a plugin, which is not run"))
    } else if has(user.token_file) {
        Some(("users[].user.tokenFile", file))
    } else if certificate.is_none() && has(user.client_certificate) {
        Some(("users[].user.client-certificate", file))
    } else if user.client_key_data.is_none() && has(user.client_key) {
        Some(("users[].user.client-key", file))
    } else {
        None
    };
    if let Some((field, found)) = problem {
        return Err(refusal(field, found, expected));
    }
    Ok(AuthInfo {
        username: given(user.username),
        password: user.password,
        token: user.token,
        client_certificate_data: certificate,
        client_key_data: user.client_key_data,
        ..AuthInfo::default()
    })
}

impl Checked {
    /// The client's configuration.
    pub(crate) async fn config(self) -> Result<Config, Refusal> {
        let read = Config::from_custom_kubeconfig(self.0, &KubeConfigOptions::default()).await;
        let mut config = read.map_err(|error| match error {
            KubeconfigError::ParseClusterUrl(_) => refusal(SERVER, "no URL", "https://host:port"),
            KubeconfigError::LoadCertificateAuthority(_)
            | KubeconfigError::ParseCertificates(_) => {
                refusal(CA, "no certificate", "the CA in PEM, in base64")
            }
            _ => refusal(KUBECONFIG, "something else", "what linkerd wrote"),
        })?;
        // kube takes it from the environment, which is about this cluster.
        config.proxy_url = None;
        Ok(config)
    }

    /// The refusal of one that no client can be made from: by its CA, or by the user's certificate and key.
    pub(crate) fn unusable(error: &kube::Error) -> Refusal {
        if let kube::Error::RustlsTls(RustlsTlsError::AddRootCertificate(_)) = error {
            return refusal(
                CA,
                "a certificate that cannot be read, or none",
                "the CA in PEM, in base64",
            );
        }
        refusal(USER, "credentials that no client can use", "the static token that linkerd writes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn kubeconfig(cluster: Value, user: Value) -> String {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "west",
            "contexts": [{"name": "west", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": user}],
        })
        .to_string()
    }

    fn refused(cluster: Value, user: Value) -> Option<String> {
        let text = kubeconfig(cluster, user);
        check(text.as_bytes()).err().map(|refusal| refusal.to_string())
    }

    #[test]
    fn what_linkerd_writes_is_accepted() {
        let server =
            json!({"server": "https://192.0.2.1:6443", "certificate-authority-data": "QQ=="});
        assert_eq!(refused(server.clone(), json!({"token": "t"})), None);
        let certificate = json!({"client-certificate-data": "QQ==", "client-key-data": "QQ=="});
        assert_eq!(refused(server, certificate), None);
        // Inline data wins over a path beside it, as in kubectl.
        let both = json!({"server": "https://x", "certificate-authority": "/ca.crt",
            "certificate-authority-data": "QQ=="});
        assert_eq!(refused(both, json!({"token": "t", "tokenFile": ""})), None);
    }

    #[test]
    fn what_would_run_a_program_or_read_a_file_is_refused_by_the_fields_name() {
        let server = || json!({"server": "https://192.0.2.1:6443"});
        for (field, cluster, user) in [
            (
                "certificate-authority",
                json!({"server": "https://x", "certificate-authority": "/home/ana/ca.crt"}),
                json!({"token": "t"}),
            ),
            (
                "proxy-url",
                json!({"server": "https://x", "proxy-url": "http://ana:pw@proxy"}),
                json!({}),
            ),
            ("server", json!({}), json!({})),
            (
                "exec",
                server(),
                json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/home/ana/aws"}}),
            ),
            (
                "auth-provider",
                server(),
                json!({"auth-provider": {"name": "gcp", "config": {"cmd-path": "/home/ana/x"}}}),
            ),
            ("tokenFile", server(), json!({"tokenFile": "/home/ana/token"})),
            (
                "client-certificate",
                server(),
                json!({"client-certificate": "/home/ana/c", "client-key-data": "QQ=="}),
            ),
            (
                "client-key",
                server(),
                json!({"client-certificate-data": "QQ==", "client-key": "/home/ana/k"}),
            ),
        ] {
            let refusal = refused(cluster, user).unwrap_or_default();
            assert!(refusal.contains(&format!(".{field}: found ")), "{field}: {refusal}");
            assert!(!refusal.contains("ana"), "it quotes the Secret: {refusal}");
        }
    }

    #[test]
    fn what_is_no_kubeconfig_is_refused_without_quoting_it() {
        let lost = kubeconfig(json!({"server": "https://x"}), json!({}))
            .replace(r#""current-context":"west""#, r#""current-context":"ana""#);
        for text in ["", "token-of-ana", "[token-of-ana", "token-of-ana: {", "{}", &lost] {
            let refusal = check(text.as_bytes()).err().unwrap().to_string();
            assert!(!refusal.contains("ana"), "{refusal}");
        }
        assert!(check(b"\xff\xfe").is_err());
    }

    #[tokio::test]
    async fn a_ca_that_is_none_is_refused_and_no_proxy_is_taken_from_the_environment() {
        let with = |ca: &str| {
            let cluster = json!({"server": "https://x", "certificate-authority-data": ca});
            check(kubeconfig(cluster, json!({"token": "t"})).as_bytes()).ok().unwrap()
        };
        let refusal = with("%%").config().await.err().unwrap().to_string();
        assert!(refusal.contains("certificate-authority-data: found no certificate"), "{refusal}");
        let cluster = json!({"server": "https://x"});
        let plain = check(kubeconfig(cluster, json!({"token": "t"})).as_bytes()).ok().unwrap();
        assert_eq!(plain.config().await.unwrap().proxy_url, None);
    }
}
