//! A real Kubernetes control plane on loopback, for integration tests and the
//! demo: etcd, kube-apiserver, kube-controller-manager, and kwok in the place
//! of nodes. No containers, no root, no network. Linux only: it uses that every
//! address of 127.0.0.0/8 can be bound without setting it up first.
//!
//! [`Cluster::start`] builds the programs the first time ([`Tools`]) and has a
//! cluster ready in seconds afterwards. Clusters run side by side, in one
//! process or in several: each claims a [`Slot`] of loopback addresses. Tests of
//! one process share clusters: [`Cluster::shared`] takes one that was emptied.
//!
//! [`Installation::install`] installs the chart with helm and then stands in
//! for what a node would do: it runs the Deployment's container as local
//! processes (kubelet) and listens on the webhook Service's ClusterIP
//! (kube-proxy). [`Workload`] writes the services that fail over. [`ApiProxy`]
//! stands between one replica and the API server, and can freeze what it sees.
//! [`Recorder`] watches a namespace, and records in which order things happen.
//! [`Link`] links one cluster to another, as Linkerd does, and [`PolicyController`] accepts routes as
//! Linkerd's does. [`Alertmanager`] sends what it is told to fire, and [`Prometheus`] scrapes replicas
//! and fires by rules.
//!
//! Everything ends with the process that started it, even by SIGKILL. Set
//! `KEEP_CLUSTER=1`, or call [`Cluster::keep`], to look at a cluster afterwards.

mod alertmanager;
mod api_gate;
mod api_proxy;
mod argo_cd;
mod baseline;
mod client_tls;
mod cluster;
mod command;
mod components;
mod crd;
mod deployment;
mod discovery;
mod etcd;
mod folder;
mod helm_test;
mod history;
mod installed;
mod kept;
mod kubeconfig;
mod link;
mod mirror;
mod node;
mod pki;
mod plain_http;
mod pod;
mod policy_controller;
mod pool;
mod process;
mod prometheus;
mod promtool;
mod recorder;
mod replica;
mod secret_env;
mod seed;
mod server_tls;
mod service_proxy;
mod site;
mod slices;
mod slot;
mod token;
pub mod usage;
mod volumes;
mod wait;
mod web_server;
mod workload;

pub use alertmanager::Alertmanager;
pub use api_proxy::ApiProxy;
pub use argo_cd::{ArgoCd, Compared};
pub use client_tls::{WEBHOOK_NAME, WebhookClient, client_config, webhook_ca, webhook_client};
pub use cluster::{Cluster, ClusterBuilder};
pub use command::{Invocation, Output};
pub use deployment::Deployment;
pub use helm_test::HelmTest;
pub use history::{History, Move};
pub use installed::{InstallOptions, Installation, is_of_release};
pub use kept::{Kept, stop_kept};
pub use link::{Link, NAMESPACE as LINKS};
pub use mirror::{Followed, Mirror};
pub use plain_http::get;
pub use policy_controller::PolicyController;
pub use pool::Contents;
pub use process::{Exit, Process};
pub use prometheus::{Prometheus, Sample};
pub use promtool::{check_rules, test_rules};
pub use recorder::Recorder;
pub use replica::Replica;
pub use server_tls::self_issued_tls;
pub use service_proxy::ServiceProxy;
pub use slot::Slot;
pub use test_tools::{Tools, target_dir, workspace_root};
pub use wait::eventually;
pub use workload::Workload;
