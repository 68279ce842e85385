//! How each program of the control plane is started.

use crate::process::Launch;
use crate::site::Site;
use std::net::SocketAddr;

/// The addresses that stay the same over restarts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub etcd: SocketAddr,
    pub etcd_peer: SocketAddr,
    pub api_server: SocketAddr,
}

pub(crate) fn etcd(site: &Site, ports: &Ports) -> Launch {
    let Ports { etcd, etcd_peer, .. } = ports;
    let args = vec![
        "--name=etcd".into(),
        format!("--data-dir={}", site.path("data/etcd").display()),
        format!("--listen-client-urls=http://{etcd}"),
        format!("--advertise-client-urls=http://{etcd}"),
        format!("--listen-peer-urls=http://{etcd_peer}"),
        format!("--initial-advertise-peer-urls=http://{etcd_peer}"),
        format!("--initial-cluster=etcd=http://{etcd_peer}"),
        "--unsafe-no-fsync".into(),
        "--log-level=warn".into(),
    ];
    launch(site, "etcd", args)
}

pub(crate) fn api_server(site: &Site, ports: &Ports, extra: &[String]) -> Launch {
    let pki = |file: &str| site.path("pki").join(file).display().to_string();
    let mut args = vec![
        format!("--etcd-servers=http://{}", ports.etcd),
        format!("--bind-address={}", ports.api_server.ip()),
        format!("--advertise-address={}", ports.api_server.ip()),
        format!("--secure-port={}", ports.api_server.port()),
        format!("--service-cluster-ip-range={}", site.slot.service_range()),
        format!("--cert-dir={}", pki("")),
        format!("--tls-cert-file={}", pki("server.crt")),
        format!("--tls-private-key-file={}", pki("server.key")),
        format!("--client-ca-file={}", pki("ca.crt")),
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local".into(),
        format!("--service-account-signing-key-file={}", pki("sa.key")),
        format!("--service-account-key-file={}", pki("sa.pub")),
        "--authorization-mode=RBAC".into(),
        "--allow-privileged=true".into(),
        // Endpoints must not be loopback addresses, and the server's own are.
        "--endpoint-reconciler-type=none".into(),
        // Otherwise a graceful stop waits a minute for watches that nobody ends.
        "--shutdown-watch-termination-grace-period=5s".into(),
        // A benchmark's fan-out must meet the server's speed, not its queues.
        "--max-requests-inflight=3000".into(),
        "--max-mutating-requests-inflight=3000".into(),
    ];
    args.extend(extra.iter().cloned());
    launch(site, "kube-apiserver", args)
}

pub(crate) fn controller_manager(site: &Site) -> Launch {
    let kubeconfig = site.path("pki/controller-manager.kubeconfig");
    let args = vec![
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", site.path("pki/sa.key").display()),
        format!("--root-ca-file={}", site.path("pki/ca.crt").display()),
        // Each controller under its own account, as in a real cluster: that is
        // whom webhooks see.
        "--use-service-account-credentials=true".into(),
        "--leader-elect=false".into(),
        "--secure-port=0".into(),
        "--kube-api-qps=2000".into(),
        "--kube-api-burst=4000".into(),
        "--concurrent-service-endpoint-syncs=10".into(),
        "--mirroring-concurrent-service-endpoint-syncs=10".into(),
        "--endpointslice-updates-batch-period=0s".into(),
        "--mirroring-endpointslice-updates-batch-period=0s".into(),
        "--endpoint-updates-batch-period=0s".into(),
    ];
    launch(site, "kube-controller-manager", args)
}

pub(crate) fn kwok(site: &Site) -> Launch {
    let args = vec![
        format!("--kubeconfig={}", site.path("kubeconfig").display()),
        format!("--config={}", site.tools.kwok_stages().display()),
        "--manage-all-nodes=true".into(),
        "--cidr=10.244.0.0/16".into(),
        format!("--node-ip={}", site.slot.address()),
    ];
    launch(site, "kwok", args)
}

fn launch(site: &Site, program: &str, args: Vec<String>) -> Launch {
    Launch {
        name: program.into(),
        program: site.tools.program(program),
        args: args.into_iter().map(Into::into).collect(),
        env: vec![("HOME".into(), site.path("home").display().to_string())],
    }
}
