//! Deployments whose pods run on a kwok node.

use crate::node::NODE;
use crate::workload::PORT;
use serde_json::{Value, json};

/// A Deployment and its Service, by default `<name>-svc`.
#[derive(Clone, Debug)]
pub struct Deployment {
    name: String,
    service: String,
    replicas: usize,
    grace_seconds: u32,
    pod_labels: Vec<(String, String)>,
    strategy: String,
    node: String,
}

impl Deployment {
    /// One pod that is gone as soon as it is deleted.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            service: format!("{name}-svc"),
            name,
            replicas: 1,
            grace_seconds: 0,
            pod_labels: Vec::new(),
            strategy: "RollingUpdate".into(),
            node: NODE.into(),
        }
    }

    /// How many pods.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The pods' grace period. kwok ends a pod at once whatever it is, but the API server first
    /// marks it as terminating, as it does with every real one.
    pub fn grace_seconds(mut self, seconds: u32) -> Self {
        self.grace_seconds = seconds;
        self
    }

    /// A further label of the pods.
    pub fn pod_label(mut self, name: &str, value: &str) -> Self {
        self.pod_labels.push((name.into(), value.into()));
        self
    }

    /// Its rollouts' strategy: `RollingUpdate` or `Recreate`.
    pub fn strategy(mut self, strategy: &str) -> Self {
        self.strategy = strategy.into();
        self
    }

    /// The node of its pods, see [`Cluster::add_node`](crate::Cluster::add_node).
    pub fn node(mut self, node: &str) -> Self {
        self.node = node.into();
        self
    }

    /// Another name of its Service.
    pub fn served_as(mut self, service: &str) -> Self {
        self.service = service.into();
        self
    }

    /// The name of its Service.
    pub fn service(&self) -> String {
        self.service.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.replicas
    }

    /// The manifests of both.
    pub(crate) fn manifests(&self) -> Value {
        let Self { name, replicas, grace_seconds, strategy, node, .. } = self;
        let (port_name, port) = PORT;
        let service = self.service();
        let app = json!({ "app": service });
        let mut labels = app.clone();
        for (name, value) in &self.pod_labels {
            labels[name] = json!(value);
        }
        let container = json!({
            "name": name,
            "image": format!("buoyantio/emojivoto-{service}:v11"),
            "ports": [{ "name": port_name, "containerPort": port }],
        });
        json!({ "apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": name, "labels": app },
                "spec": {
                    "replicas": replicas,
                    "selector": { "matchLabels": app },
                    "strategy": { "type": strategy },
                    "template": {
                        "metadata": { "labels": labels },
                        "spec": {
                            // No scheduler runs: the pods say themselves where they are.
                            "nodeName": node,
                            "terminationGracePeriodSeconds": grace_seconds,
                            "tolerations": [{ "operator": "Exists" }],
                            "containers": [container],
                        },
                    },
                },
            },
            {
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": service, "labels": app },
                "spec": {
                    "selector": app,
                    "ports": [{ "name": port_name, "port": port, "targetPort": port_name }],
                },
            },
        ]})
    }
}
