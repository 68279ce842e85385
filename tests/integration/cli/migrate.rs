//! `linkerd-failover migrate`, piped to a real API server with the Gateway API.

use crate::support::{cluster, splits};
use anyhow::{Context, Result};
use kube::api::PostParams;
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use test_cluster::{Cluster, Invocation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MIGRATE: &str = concat!(env!("CARGO_BIN_EXE_linkerd-failover"), " migrate");

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: emoji-svc, namespace: emojivoto}
spec: {ports: [{name: http, port: 80}, {name: grpc, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-svc, namespace: emojivoto}
spec: {ports: [{port: 80}]}
";

/// Values that a reader of YAML takes for something else when they are not quoted well.
const VALUES: [&str; 16] = [
    "",
    "yes",
    "n",
    "~",
    "12:30:45",
    "0x1F",
    "1_000",
    "1e3",
    ".inf",
    "2026-11-21",
    "=",
    "<<",
    "# no comment",
    " space ",
    "two\nlines\n",
    "{\"v\":1,\"a\":\"é: - 'x' \\\\ \\t\"}",
];

fn split(name: &str, annotations: &Value) -> Value {
    json!({
        "apiVersion": "split.smi-spec.io/v1alpha2",
        "kind": "TrafficSplit",
        "metadata": {"name": name, "namespace": "emojivoto", "annotations": annotations},
        "spec": {"service": format!("{name}-svc"), "backends": [
            {"service": format!("{name}-svc"), "weight": 0.75},
            {"service": format!("{name}-svc-west"), "weight": 0.25},
        ]},
    })
}

/// Two Services, a split for each.
async fn stage(annotations: &Value) -> Result<Cluster> {
    let cluster = cluster().await?;
    cluster.install_gateway_api_crds().await?;
    cluster.kubectl(["create", "namespace", "emojivoto"]).ok().await?;
    cluster.apply(SERVICES).await?;
    let api = splits(&cluster, "emojivoto");
    for name in ["emoji", "web"] {
        let split = serde_json::from_value(split(name, annotations))?;
        api.create(&PostParams::default(), &split).await?;
    }
    Ok(cluster)
}

fn sh(cluster: &Cluster, script: &str) -> Invocation {
    cluster.sh(&script.replace("MIGRATE", MIGRATE))
}

/// The routes of a kind, each as name, parent's port, and backends.
async fn routes(cluster: &Cluster, kind: &str) -> Result<Vec<Value>> {
    let path = format!("/apis/gateway.networking.k8s.io/v1/namespaces/emojivoto/{kind}");
    let list: Value = serde_json::from_str(&cluster.get_raw(&path).await?)?;
    let summary = |route: &Value| {
        let spec = &route["spec"];
        let backends = spec["rules"][0]["backendRefs"].as_array().cloned().unwrap_or_default();
        let backends: Vec<_> =
            backends.iter().map(|b| json!([b["name"], b["port"], b["weight"]])).collect();
        json!([route["metadata"]["name"], spec["parentRefs"][0]["port"], backends])
    };
    Ok(list["items"].as_array().into_iter().flatten().map(summary).collect())
}

#[tokio::test]
async fn what_is_printed_of_live_splits_can_be_applied_as_it_is() -> Result<()> {
    let annotations: serde_json::Map<String, Value> =
        VALUES.iter().enumerate().map(|(i, v)| (format!("example.com/v{i}"), json!(v))).collect();
    let annotations = Value::Object(annotations);
    let cluster = stage(&annotations).await?;

    let live = "kubectl get trafficsplits -A -o yaml | MIGRATE -f - | kubectl apply -f -";
    sh(&cluster, live).ok().await?;
    let backends = |name: &str, port: u16| {
        json!([[format!("{name}-svc"), port, 3], [format!("{name}-svc-west"), port, 1]])
    };
    assert_eq!(
        routes(&cluster, "httproutes").await?,
        [
            json!(["emoji-80", 80, backends("emoji", 80)]),
            json!(["emoji-8080", 8080, backends("emoji", 8080)]),
            json!(["web", 80, backends("web", 80)]),
        ]
    );
    let web = cluster.kubectl(["get", "httproute", "web", "-n", "emojivoto", "-o", "json"]);
    let mut web: Value = serde_json::from_str(&web.ok().await?)?;
    let applied = "kubectl.kubernetes.io/last-applied-configuration";
    let kept = web["metadata"]["annotations"].as_object_mut().map(|kept| kept.remove(applied));
    assert!(kept.is_some());
    assert_eq!(web["metadata"]["annotations"], annotations);

    let grpc = "kubectl get trafficsplit web -n emojivoto -o json \
                | MIGRATE -f - --kind grpcroute --port 9000 | kubectl apply -f -";
    sh(&cluster, grpc).ok().await?;
    let expected = json!(["web", 9000, backends("web", 9000)]);
    assert_eq!(routes(&cluster, "grpcroutes").await?, [expected]);
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_migrated_fails_the_command_and_spoils_nothing_else() -> Result<()> {
    let cluster = stage(&json!({})).await?;
    cluster.kubectl(["delete", "service", "emoji-svc", "-n", "emojivoto"]).ok().await?;

    let live = "kubectl get trafficsplits -A -o yaml | MIGRATE -f -";
    let output = sh(&cluster, live).output().await?;
    assert_eq!(output.status.code(), Some(1));
    let place =
        "-: document 1: item 1: TrafficSplit emojivoto/emoji: spec.service: found emoji-svc";
    assert!(output.stderr.contains(place), "{}", output.stderr);
    assert!(output.stderr.contains("not found (404)"), "{}", output.stderr);
    cluster.apply(&output.stdout).await?;
    assert_eq!(routes(&cluster, "httproutes").await?.len(), 1);

    // Without a cluster.
    let output = sh(&cluster, live).env("LINKERD_FAILOVER_KUBECONFIG", "/nowhere").output().await?;
    assert_eq!((output.status.code(), output.stdout.as_str()), (Some(1), ""));
    assert!(output.stderr.contains("give --port"), "{}", output.stderr);
    let with_port = format!("{live} --port 80");
    let output = sh(&cluster, &with_port).env("LINKERD_FAILOVER_KUBECONFIG", "/nowhere");
    assert_eq!(output.ok().await?.matches("kind: HTTPRoute").count(), 2);
    Ok(())
}

/// A proxy that tunnels whatever it is asked for to the cluster's API server, and counts.
async fn tunnels(cluster: &Cluster) -> Result<(String, Arc<AtomicUsize>)> {
    let file = Kubeconfig::read_from(cluster.kubeconfig())?;
    let server = file.clusters[0].cluster.as_ref().and_then(|c| c.server.clone());
    let api = server.context("no server")?.replace("https://", "");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let count = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (api, counts) = (api.clone(), Arc::clone(&counts));
            tokio::spawn(async move {
                let mut request = vec![];
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await?);
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await?;
                counts.fetch_add(1, Ordering::SeqCst);
                tokio::io::copy_bidirectional(&mut stream, &mut TcpStream::connect(api).await?)
                    .await
            });
        }
    });
    Ok((address, count))
}

#[tokio::test]
async fn the_cluster_is_asked_through_the_proxy_that_kubectl_would_take() -> Result<()> {
    let cluster = stage(&json!({})).await?;
    let (proxy, count) = tunnels(&cluster).await?;
    // A name that this machine does not find, for the certificate's own address.
    let text = std::fs::read_to_string(cluster.kubeconfig())?;
    let mut file: Value = serde_json::from_str(&text)?;
    let there = &mut file["clusters"][0]["cluster"];
    let server = there["server"].as_str().context("no server")?.to_owned();
    let host = server.trim_start_matches("https://").split(':').next().context("no host")?;
    there["tls-server-name"] = json!(host);
    there["server"] = json!("https://api.west.invalid:6443");
    let folder = tempfile::tempdir()?;
    let write = |name: &str, file: &Value| -> Result<String> {
        let path = folder.path().join(name);
        std::fs::write(&path, file.to_string())?;
        Ok(path.display().to_string())
    };
    let plain = write("plain", &file)?;
    file["clusters"][0]["cluster"]["proxy-url"] = json!(format!("http://{proxy}"));
    let own = write("own", &file)?;
    let split = split("emoji", &json!({})).to_string();
    let migrate = |kubeconfig: &str| {
        let script = format!("MIGRATE -f - --kubeconfig {kubeconfig}");
        sh(&cluster, &script).stdin(split.clone())
    };

    let direct = migrate(&plain).output().await?;
    assert!(direct.stderr.contains("cannot be asked"), "{}", direct.stderr);
    assert_eq!((direct.status.code(), count.load(Ordering::SeqCst)), (Some(1), 0));
    let through = format!("http://{proxy}");
    let except = [("HTTPS_PROXY", through.as_str()), ("NO_PROXY", "10.0.0.0/8,.west.invalid,")];
    for (nth, (kubeconfig, env)) in [
        (&plain, &except[..1]),
        // A proxy of its own knows no exception; one that is not to be used is not asked.
        (&own, &[("HTTPS_PROXY", "http://127.0.0.1:1"), except[1]]),
        (&own, &[("NO_PROXY", "*")]),
    ]
    .into_iter()
    .enumerate()
    {
        let with =
            |invocation: Invocation, (name, value): &(&str, &str)| invocation.env(name, *value);
        let output = env.iter().fold(migrate(kubeconfig), with).ok().await?;
        assert_eq!(output.matches("kind: HTTPRoute").count(), 2, "{env:?}: {output}");
        assert_eq!(count.load(Ordering::SeqCst), nth + 1, "{env:?}");
    }
    let excepted = except.iter().fold(migrate(&plain), |it, (name, value)| it.env(name, *value));
    assert_eq!(excepted.output().await?.status.code(), Some(1));
    assert_eq!(count.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn an_invalid_document_is_reported_with_its_place_and_the_rest_is_printed() -> Result<()> {
    let cluster = stage(&json!({})).await?;
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let one = split("emoji", &json!({})).to_string();
    let two = split("web", &json!({})).to_string();
    let text = format!("{one}\n---\na: [\n---\n{two}\n");
    let utf16 = |text: &str| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    std::fs::write(at("powershell.yaml"), utf16(&text))?;
    std::fs::write(at("latin.yaml"), [b"a: caf\xE9\n---\n", one.as_bytes(), b"\n"].concat())?;
    std::fs::write(at("plain.yaml"), &text)?;
    for (files, routes, places) in [
        (vec!["plain.yaml"], 3, vec!["plain.yaml: document 2: "]),
        (vec!["powershell.yaml"], 3, vec!["powershell.yaml: document 2: "]),
        (vec!["latin.yaml", "nowhere.yaml"], 2, vec!["latin.yaml: document 1: ", "nowhere.yaml: "]),
    ] {
        let files: String = files.iter().map(|file| format!(" -f {}", at(file))).collect();
        let output = sh(&cluster, &format!("MIGRATE{files}")).output().await?;
        assert_eq!(output.status.code(), Some(2), "{files}");
        assert_eq!(output.stdout.matches("kind: HTTPRoute").count(), routes, "{files}");
        for place in places {
            assert!(output.stderr.contains(place), "{place}: {}", output.stderr);
        }
    }
    Ok(())
}
