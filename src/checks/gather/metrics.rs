//! What replicas tell by their metrics, which are read through the API server.

use super::not_known;
use crate::checks::facts::{Asked, NotKnown, ReplicaMetrics};
use crate::snapshot::Settings;
use futures::future::join_all;
use http::Request;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::{Client, ResourceExt};
use std::time::Duration;

/// A pod that does not answer is none that can be asked.
const PATIENCE: Duration = Duration::from_secs(3);

const EXPIRY: &str = "linkerd_failover_webhook_certificate_expiry_timestamp_seconds ";
const REACHABLE: &str = "linkerd_failover_remote_reachable{cluster=\"";

/// Of each pod.
pub(super) async fn of_replicas(
    client: &Client,
    settings: &Settings,
    pods: &Asked<Vec<Pod>>,
) -> Vec<(String, Asked<ReplicaMetrics>)> {
    let namespace = &settings.installation.namespace;
    let pods = pods.iter().flatten().filter(|pod| is_running(pod));
    let pods = pods.filter_map(|pod| Some((pod.name_any(), admin_port(pod)?)));
    let metrics = pods.map(async |(pod, port)| {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/metrics");
        let metrics = text(client, &path).await.map(|text| read(&text));
        (pod, metrics)
    });
    join_all(metrics).await
}

async fn text(client: &Client, path: &str) -> Asked<String> {
    let failed = |why: &str| NotKnown::Failed(format!("its metrics cannot be read: {why}"));
    let request = Request::get(path).body(vec![]).map_err(|error| failed(&error.to_string()))?;
    let answer = tokio::time::timeout(PATIENCE, client.request_text(request)).await;
    let answer = answer.map_err(|_| failed("the API server has no answer of it"))?;
    answer.map_err(|error| match not_known(&error) {
        NotKnown::Failed(why) => failed(&why),
        NotKnown::Forbidden => NotKnown::Forbidden,
    })
}

/// One that starts or ends is not asked: whether replicas are ready is another check.
fn is_running(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    let mut conditions = status.iter().flat_map(|status| status.conditions.iter().flatten());
    let is_ready =
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True");
    is_ready && pod.metadata.deletion_timestamp.is_none()
}

fn admin_port(pod: &Pod) -> Option<i32> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    let ports = containers.find_map(|container| {
        let ports = container.ports.as_ref()?;
        ports.iter().find(|port| port.name.as_deref() == Some("admin-http"))
    });
    ports.map(|port| port.container_port)
}

fn read(metrics: &str) -> ReplicaMetrics {
    let reachable = metrics.lines().filter_map(|line| {
        let (cluster, value) = line.strip_prefix(REACHABLE)?.split_once("\"} ")?;
        Some((cluster.to_owned(), value.trim() == "1"))
    });
    ReplicaMetrics { certificate_end: expiry(metrics), reachable: reachable.collect() }
}

/// The value of the metric; none while no certificate is served.
fn expiry(metrics: &str) -> Option<Timestamp> {
    let value = metrics.lines().find_map(|line| line.strip_prefix(EXPIRY))?;
    let seconds: f64 = value.trim().parse().ok()?;
    Timestamp::from_second(seconds as i64).ok().filter(|_| seconds > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_read_from_metrics() {
        let of = |text: &str| read(text).certificate_end.map(|end| end.to_string());
        let there = format!("# HELP {EXPIRY} x\n# TYPE {EXPIRY} gauge\n{EXPIRY}1795000000\n");
        assert_eq!(of(&there).as_deref(), Some("2026-11-18T11:06:40Z"));
        assert_eq!(of(&format!("{EXPIRY}0\n")), None);
        assert_eq!(of("other 1\n"), None);
    }

    #[test]
    fn which_clusters_a_replica_sees_is_read_from_metrics() {
        let text =
            format!("# TYPE x gauge\n{REACHABLE}west\"}} 1\n{REACHABLE}north\"}} 0\nother 1\n");
        let read = read(&text).reachable;
        assert_eq!(read, [("north".to_owned(), false), ("west".to_owned(), true)].into());
    }

    #[test]
    fn the_metrics_are_those_that_the_program_serves() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let page = std::fs::read_to_string(page).unwrap();
        for name in [EXPIRY.trim_end(), REACHABLE.trim_end_matches("{cluster=\"")] {
            assert!(page.contains(&format!("`{name}")), "{name}");
        }
    }
}
