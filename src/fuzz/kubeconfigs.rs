//! Kubeconfigs of linked clusters: no program runs, no file is read, nothing of a Secret is shown.

use crate::fuzz::input::Source;
use crate::informers::remote::kubeconfig::check;
use futures::FutureExt;
use serde_json::{Value, json};

/// Stands in every generated value that must not be shown.
const SECRET: &str = "hunter2";

/// The first byte chooses whether the rest is the kubeconfig itself, or makes a likely one.
pub(super) fn run(input: &[u8]) {
    let Some((choice, rest)) = input.split_first() else { return };
    if choice % 2 == 0 {
        checked(rest);
        return;
    }
    let kubeconfig = kubeconfig(&mut Source::new(rest));
    let taken = checked(kubeconfig.to_string().as_bytes());
    agree(&kubeconfig, taken);
}

/// Whether a kubeconfig is taken. One that is has nothing but an address, a CA and inline credentials.
fn checked(bytes: &[u8]) -> bool {
    let taken = match check(bytes) {
        Err(refusal) => {
            quotes_nothing(&refusal.to_string());
            return false;
        }
        Ok(taken) => taken,
    };
    // No file and no program: it is there at once.
    match taken.config().now_or_never().expect("a configuration without waiting") {
        Err(refusal) => quotes_nothing(&refusal.to_string()),
        Ok(config) => {
            let user = &config.auth_info;
            assert!(user.exec.is_none() && user.auth_provider.is_none(), "a program would run");
            assert!(
                user.token_file.is_none() && user.client_certificate.is_none(),
                "a file would be read"
            );
            assert!(user.client_key.is_none() && config.proxy_url.is_none(), "a file, or a proxy");
        }
    }
    true
}

pub(super) fn quotes_nothing(refusal: &str) {
    assert!(!refusal.contains(SECRET), "it quotes the Secret: {refusal}");
}

/// A kubeconfig with all that there may be in one.
fn kubeconfig(source: &mut Source<'_>) -> Value {
    let mut cluster = json!({"server": source.pick(&["https://192.0.2.1:6443", "https://x", "", "x y", "http://[::1]"])});
    let mut user = json!({"token": SECRET});
    let path = format!("/home/{SECRET}/x");
    for _ in 0..source.below(4) {
        match source.below(12) {
            0 => cluster["certificate-authority"] = json!(path),
            1 => {
                cluster["certificate-authority-data"] =
                    json!(source.pick(&["QQ==", "%%", "", "LS0tLS1CRUdJTg=="]));
            }
            2 => cluster["proxy-url"] = json!(format!("http://{SECRET}@proxy")),
            3 => cluster["insecure-skip-tls-verify"] = json!(true),
            4 => {
                user["exec"] =
                    json!({"command": path, "apiVersion": "client.authentication.k8s.io/v1"});
            }
            5 => user["auth-provider"] = json!({"name": "gcp", "config": {"cmd-path": path}}),
            6 => user["tokenFile"] = json!(path),
            7 => user["client-certificate"] = json!(path),
            8 => user["client-key"] = json!(path),
            9 => user["client-certificate-data"] = json!("QQ=="),
            10 => user["client-key-data"] = json!("QQ=="),
            _ => user["password"] = json!(SECRET),
        }
    }
    let name = |source: &mut Source<'_>| *source.pick(&["west", "west", "west", "west", "east"]);
    let mut all = json!({"apiVersion": "v1", "kind": "Config", "current-context": name(source),
        "contexts": [{"name": "west", "context": {"cluster": name(source), "user": name(source)}}],
        "clusters": [{"name": "west", "cluster": cluster}],
        "users": [{"name": "west", "user": user}]});
    if source.one_in(8) {
        source.damage(&mut all);
    }
    all
}

/// Whoever is taken names nothing outside of the Secret.
pub(super) fn agree(kubeconfig: &Value, taken: bool) {
    let there = |pointer: &str| kubeconfig.pointer(pointer).filter(|value| !value.is_null());
    // A number is a text to who reads YAML into one.
    let text = |pointer: &str| there(pointer).filter(|value| *value != "");
    let uses_user =
        text("/contexts/0/context/user").is_some_and(|user| text("/users/0/name") == Some(user));
    let outside = text("/clusters/0/cluster/proxy-url").is_some()
        || text("/clusters/0/cluster/certificate-authority").is_some()
            && text("/clusters/0/cluster/certificate-authority-data").is_none()
        || uses_user
            && (there("/users/0/user/exec").is_some()
                || there("/users/0/user/auth-provider").is_some()
                || text("/users/0/user/tokenFile").is_some()
                || text("/users/0/user/client-certificate").is_some()
                    && text("/users/0/user/client-certificate-data").is_none()
                || text("/users/0/user/client-key").is_some()
                    && there("/users/0/user/client-key-data").is_none());
    assert!(
        !(taken && outside),
        "a kubeconfig is used that names what is not in the Secret: {kubeconfig}"
    );
}
