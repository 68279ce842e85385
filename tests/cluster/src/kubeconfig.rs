//! Kubeconfig files.

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::pki::Identity;

/// The `user` that proves itself with a client certificate.
pub(crate) fn certificate_user(identity: &Identity) -> Value {
    json!({
        "client-certificate-data": BASE64_STANDARD.encode(&identity.certificate),
        "client-key-data": BASE64_STANDARD.encode(&identity.key),
    })
}

/// The `user` that proves itself with a token that is read from a file.
pub(crate) fn token_user(file: &Path) -> Value {
    json!({ "tokenFile": file })
}

/// The text of a kubeconfig. It is JSON, which is YAML.
pub(crate) fn kubeconfig(server: &str, ca: &str, user: Value, namespace: &str) -> String {
    let name = "test-cluster";
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": {
            "server": server,
            "certificate-authority-data": BASE64_STANDARD.encode(ca),
        }}],
        "users": [{ "name": name, "user": user }],
        "contexts": [{ "name": name, "context": {
            "cluster": name, "user": name, "namespace": namespace,
        }}],
        "current-context": name,
    })
    .to_string()
}

/// Writes a file that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}
