//! Failover objects, Services and slices by the ten thousand: copies of what the API server, the webhook and
//! the controller have made of one of each.

use super::bench::PATIENCE;
use super::pair::create;
use super::subject::{Named, Subject};
use anyhow::{Context, Result};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use std::ops::Range;
use std::time::Duration;
use test_cluster::{Cluster, Workload, eventually};

const NAMESPACE: &str = "population";
const PRIMARY: &str = "template-primary";
const FALLBACK: &str = "template-fallback";
const ENDPOINTS: usize = 3;
/// Objects that are copied and written at once.
const BATCH: usize = 500;
/// What the controller records of a new object is recorded by then.
const SETTLED: Duration = Duration::from_secs(3);

/// An object that is copied: its folder in etcd, and its text.
struct Template {
    folder: String,
    text: String,
}

/// One of each, and how many copies there are.
pub(crate) struct Population<'a> {
    cluster: &'a Cluster,
    templates: [Template; 3],
    count: usize,
}

impl<'a> Population<'a> {
    /// Makes one of each by the API, keeps what became of it, and removes it again.
    pub(crate) async fn new(cluster: &'a Cluster, client: &Client) -> Result<Self> {
        Workload::new(cluster, NAMESPACE).await?;
        let services = format!("/api/v1/namespaces/{NAMESPACE}/services");
        let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices");
        let splits = Subject::Split.within(NAMESPACE);
        for name in [PRIMARY, FALLBACK] {
            create(client, &services, service(name)).await?;
            create(client, &slices, slice(name)).await?;
        }
        let named = Named {
            namespace: NAMESPACE,
            name: PRIMARY.to_owned(),
            apex: PRIMARY.to_owned(),
            primary: PRIMARY,
        };
        let mut split = Subject::Split.manifest(&named, true);
        split["spec"]["backends"][1]["service"] = json!(FALLBACK);
        create(client, &splits, split).await?;
        tokio::time::sleep(SETTLED).await;
        let template = async |path: &str, folder: &str| {
            let request = Request::get(format!("{path}/{PRIMARY}")).body(vec![])?;
            let mut object: Value = client.request(request).await?;
            let metadata = object["metadata"].as_object_mut().context("no metadata")?;
            metadata.remove("resourceVersion");
            let (folder, text) = (format!("{folder}/{NAMESPACE}"), object.to_string());
            anyhow::Ok(Template { folder, text })
        };
        let templates = [
            template(&services, "services/specs").await?,
            template(&slices, "endpointslices").await?,
            template(&splits, "split.smi-spec.io/trafficsplits").await?,
        ];
        for path in [&splits, &slices, &services] {
            for name in [PRIMARY, FALLBACK] {
                let request = Request::delete(format!("{path}/{name}")).body(vec![])?;
                match client.request_text(request).await {
                    Err(error) if path != &splits => return Err(error.into()),
                    _ => {}
                }
            }
        }
        eventually("the templates are removed", PATIENCE, || async {
            let list: Value = client.request(Request::get(&splits).body(vec![])?).await?;
            anyhow::ensure!(list["items"] == json!([]), "{list}");
            Ok(())
        })
        .await?;
        Ok(Self { cluster, templates, count: 0 })
    }

    /// Grows to so many of each.
    pub(crate) async fn grow(&mut self, count: usize) -> Result<()> {
        for template in &self.templates {
            for from in (self.count..count).step_by(BATCH) {
                self.cluster.seed(copies(template, from..count.min(from + BATCH))?).await?;
            }
        }
        self.count = count;
        Ok(())
    }
}

fn copies(template: &Template, numbers: Range<usize>) -> Result<Vec<(String, Value)>> {
    let copy = |i: usize| {
        let name = format!("service-{i}");
        // The one before, which exists already.
        let fallback = format!("service-{}", if i == 0 { 1 } else { i - 1 });
        let text = template.text.replace(PRIMARY, &name).replace(FALLBACK, &fallback);
        let mut object: Value = serde_json::from_str(&text)?;
        object["metadata"]["uid"] = json!(format!("0189abcd-ef01-4abc-8def-{i:012}"));
        Ok((format!("{}/{name}", template.folder), object))
    };
    numbers.map(copy).collect()
}

fn service(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}},
        "spec": {"clusterIP": "None", "ports": [{"name": "grpc", "port": 8080}]}})
}

fn slice(name: &str) -> Value {
    let endpoint = |i: usize| {
        json!({"addresses": [format!("10.1.{}.{}", i / 250, i % 250 + 1)], "nodeName": "node-17",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "name": format!("{name}-6c9f8bd8f5-{i:05}"),
                "namespace": NAMESPACE, "uid": format!("0189abcd-ef01-4abc-8def-{i:012}")},
            "zone": "eu-central-1a"})
    };
    json!({"metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}],
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>()})
}
