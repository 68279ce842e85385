//! Updates of slices that no failover object depends on, at a steady rate.

use super::bench::PATIENCE;
use anyhow::{Context, Result};
use http::Request;
use kube::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use test_cluster::{Cluster, Workload};

const NAMESPACE: &str = "unrelated";
const SLICES: usize = 50;
const PER_SECOND: u32 = 1_000;
/// They are written into etcd, so many in a transaction: the API server has to decode them and to send them to
/// its watches, and the machine has CPU left for who is measured.
const TOGETHER: u32 = 5;

/// Slices that change.
pub(crate) struct Updates<'a> {
    cluster: &'a Cluster,
    slices: Vec<Value>,
    round: usize,
}

impl<'a> Updates<'a> {
    /// Makes the slices, with their Services, by the API.
    pub(crate) async fn new(cluster: &'a Cluster, client: &Client) -> Result<Self> {
        let workload = Workload::new(cluster, NAMESPACE).await?;
        for i in 0..SLICES {
            workload.service_with_slice(&format!("unrelated-{i}"), 1).await?;
        }
        let path = format!("/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices");
        let list: Value = client.request(Request::get(path).body(vec![])?).await?;
        let mut slices = list["items"].as_array().cloned().context("no slices")?;
        for slice in &mut slices {
            // Those of a list have neither.
            slice["apiVersion"] = json!("discovery.k8s.io/v1");
            slice["kind"] = json!("EndpointSlice");
            let metadata = slice["metadata"].as_object_mut().context("no metadata")?;
            metadata.remove("resourceVersion");
        }
        Ok(Self { cluster, slices, round: 0 })
    }

    /// Writes for a time, or longer where etcd does not keep up; how many there were.
    pub(crate) async fn run(&mut self, time: Duration) -> Result<u32> {
        let ticks = (time.as_secs_f64() * f64::from(PER_SECOND / TOGETHER)) as u32;
        let began = Instant::now();
        let mut nth = 0;
        for tick in 0..ticks {
            let due = began + Duration::from_secs(1) * tick * TOGETHER / PER_SECOND;
            tokio::time::sleep_until(due.into()).await;
            let mut objects = vec![];
            for _ in 0..TOGETHER {
                objects.push(self.next(nth));
                nth += 1;
            }
            let written = tokio::time::timeout(PATIENCE, self.cluster.seed(objects));
            written.await.context("etcd takes no write")??;
        }
        self.round += 1;
        Ok(ticks * TOGETHER)
    }

    /// Endpoints come and go.
    fn next(&self, nth: usize) -> (String, Value) {
        let mut slice = self.slices[nth % SLICES].clone();
        let turn = nth / SLICES + self.round;
        slice["endpoints"] = json!([{
            "addresses": [format!("10.7.{}.{}", turn / 250 % 250, turn % 250 + 1)],
            "conditions": {"ready": turn.is_multiple_of(2)},
        }]);
        let name = slice["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        (format!("endpointslices/{NAMESPACE}/{name}"), slice)
    }
}
