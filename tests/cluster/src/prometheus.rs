//! The real Prometheus: it scrapes replicas, and evaluates rules.

use crate::cluster::Cluster;
use crate::installed::Installation;
use crate::kubeconfig::write_secret;
use crate::plain_http;
use crate::process::Process;
use crate::web_server::{self, PATIENCE};
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use test_tools::AlertingTools;

const CONFIGURATION: &str = "prometheus.yaml";
const RULES: &str = "rules.yaml";

/// A Prometheus beside a cluster. Dropping it ends it.
#[derive(Debug)]
pub struct Prometheus {
    address: SocketAddr,
    folder: PathBuf,
    /// Ends when this is dropped.
    _process: Process,
}

/// One series of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels, the name included where it has one.
    pub labels: BTreeMap<String, String>,
    /// Its value, as Prometheus writes it.
    pub value: String,
}

impl Prometheus {
    /// Starts it with these groups of rules, as a PrometheusRule's spec has them. It scrapes every replica.
    pub async fn start(
        cluster: &Cluster,
        installation: &Installation,
        rules: &Value,
    ) -> anyhow::Result<Self> {
        let tools = tokio::task::spawn_blocking(AlertingTools::ensure).await??;
        let site = cluster.site();
        let folder = web_server::empty_folder(site, "prometheus")?;
        // JSON is YAML.
        write_secret(&folder.join(RULES), &rules.to_string())?;
        let configuration = folder.join(CONFIGURATION);
        write_secret(&configuration, &configuration_for(installation).to_string())?;
        let address = SocketAddr::from((site.slot.address(), site.slot.free_port()?));
        let args = [
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={address}"),
            "--web.enable-lifecycle".into(),
            "--log.level=warn".into(),
        ];
        let program = tools.prometheus();
        let process =
            web_server::start(site, "prometheus", program, args, &folder, address).await?;
        Ok(Self { address, folder, _process: process })
    }

    /// Scrapes the replicas that there are now.
    pub async fn discover(&self, installation: &Installation) -> anyhow::Result<()> {
        let configuration = configuration_for(installation).to_string();
        write_secret(&self.folder.join(CONFIGURATION), &configuration)?;
        let (status, body) = plain_http::post(self.address, "/-/reload", "", PATIENCE).await?;
        anyhow::ensure!(status == 200, "/-/reload answers {status}: {body}");
        Ok(())
    }

    /// What an expression gives now, in no order.
    pub async fn query(&self, expression: &str) -> anyhow::Result<Vec<Sample>> {
        let data = self.get("query", &[("query", expression)]).await?;
        let result = data["result"].as_array();
        let result = result.with_context(|| format!("{expression} gives {data}"))?;
        result.iter().map(|one| sample(one).with_context(|| one.to_string())).collect()
    }

    /// How many series a selector has found since it was started, those that have ended included.
    pub async fn count_series(&self, selector: &str) -> anyhow::Result<usize> {
        let data = self.get("series", &[("match[]", selector)]).await?;
        data.as_array().map(Vec::len).with_context(|| format!("{selector} finds {data}"))
    }

    /// An expression as Prometheus reads it: a tree of nodes with a `type` each.
    pub async fn parse(&self, expression: &str) -> anyhow::Result<Value> {
        self.get("parse_query", &[("query", expression)]).await
    }

    /// The alerts that are pending or fire, each with `state`, `labels` and `annotations`.
    pub async fn alerts(&self) -> anyhow::Result<Vec<Value>> {
        let data = self.get("alerts", &[]).await?;
        data["alerts"].as_array().cloned().with_context(|| format!("no alerts in {data}"))
    }

    async fn get(&self, what: &str, parameters: &[(&str, &str)]) -> anyhow::Result<Value> {
        let parameters = parameters.iter().map(|(name, value)| format!("{name}={}", escape(value)));
        let path = format!("/api/v1/{what}?{}", parameters.collect::<Vec<_>>().join("&"));
        let (status, body) = plain_http::get(self.address, &path).await?;
        anyhow::ensure!(status == 200, "{what} answers {status}: {body}");
        let mut answer: Value = serde_json::from_str(&body)?;
        Ok(answer["data"].take())
    }
}

/// It scrapes as the chart's monitors ask for, and as fast as a busy machine can: every replica, with the
/// labels that the Prometheus operator gives its target, and the metrics' own labels kept.
fn configuration_for(installation: &Installation) -> Value {
    let namespace = installation.namespace();
    let targets = installation.replicas().iter().map(|replica| {
        json!({
            "targets": [replica.admin_addr().to_string()],
            "labels": {"namespace": namespace, "pod": replica.name()},
        })
    });
    json!({
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        },
        "rule_files": [RULES],
        "scrape_configs": [{
            "job_name": format!("{namespace}/linkerd-failover"),
            "honor_labels": true,
            "static_configs": targets.collect::<Vec<_>>(),
        }],
    })
}

fn sample(one: &Value) -> Option<Sample> {
    let labels = one["metric"].as_object()?.iter();
    let labels = labels.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    let value = one["value"].get(1)?.as_str()?.to_owned();
    Some(Sample { labels: labels.collect::<Option<_>>()?, value })
}

/// As a value in the query of a URL.
fn escape(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'.' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_escaped_byte_by_byte() {
        assert_eq!(escape(r#"up{a="é"} > 1"#), "up%7Ba%3D%22%C3%A9%22%7D%20%3E%201");
    }
}
