//! The keys of a cluster's etcd, read and written without the API server.

use crate::plain_http;
use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Everything that Kubernetes stores, as a range.
const FIRST: &str = "/registry/";
const END: &str = "/registry0";
/// etcd's default limit of operations in a transaction is 128.
const BATCH: usize = 100;

/// A client of etcd's JSON gateway.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Etcd {
    address: SocketAddr,
}

/// A stored value, in base64, as the gateway has it; empty where only keys were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub value: String,
    pub revision: u64,
}

/// A write of one key.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    /// The value is in base64.
    Put(String, String),
    Delete(String),
}

impl Etcd {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Whether it serves.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        let (status, body) = plain_http::get(self.address, "/health").await?;
        anyhow::ensure!(status == 200, "{status}: {body}");
        Ok(())
    }

    /// All keys of Kubernetes with their revisions.
    pub(crate) async fn keys(&self) -> anyhow::Result<BTreeMap<String, Entry>> {
        self.range(true).await
    }

    /// All keys of Kubernetes with their values.
    pub(crate) async fn entries(&self) -> anyhow::Result<BTreeMap<String, Entry>> {
        self.range(false).await
    }

    async fn range(&self, keys_only: bool) -> anyhow::Result<BTreeMap<String, Entry>> {
        let range =
            json!({ "key": encode(FIRST), "range_end": encode(END), "keys_only": keys_only });
        let answer = self.call("range", &range).await?;
        let entries = answer["kvs"].as_array().into_iter().flatten();
        entries.map(entry).collect::<Option<_>>().context("etcd's answer cannot be read")
    }

    /// Makes these writes, in order; returns the revision of the last of them.
    pub(crate) async fn write(&self, writes: &[Write]) -> anyhow::Result<u64> {
        let mut revision = 0;
        for batch in writes.chunks(BATCH) {
            let operations: Vec<Value> = batch.iter().map(operation).collect();
            let answer = self.call("txn", &json!({ "success": operations })).await?;
            revision = number(&answer["header"]["revision"]).context("no revision")?;
        }
        Ok(revision)
    }

    /// Drops all versions but the newest of each key.
    pub(crate) async fn compact(&self) -> anyhow::Result<()> {
        let newest = json!({ "key": encode(FIRST), "count_only": true });
        let answer = self.call("range", &newest).await?;
        let revision = number(&answer["header"]["revision"]).context("no revision")?;
        let asked = json!({ "revision": revision.to_string(), "physical": true });
        self.call("compaction", &asked).await?;
        Ok(())
    }

    async fn call(&self, method: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("/v3/kv/{method}");
        let (status, answer) =
            plain_http::post(self.address, &path, &body.to_string(), TIMEOUT).await?;
        anyhow::ensure!(status == 200, "etcd answers {path} with {status}: {answer}");
        serde_json::from_str(&answer).context("etcd answers no JSON")
    }
}

fn operation(write: &Write) -> Value {
    match write {
        Write::Put(key, value) => json!({ "requestPut": { "key": encode(key), "value": value } }),
        Write::Delete(key) => json!({ "requestDeleteRange": { "key": encode(key) } }),
    }
}

fn entry(entry: &Value) -> Option<(String, Entry)> {
    let key = BASE64_STANDARD.decode(entry["key"].as_str()?).ok()?;
    let value = entry["value"].as_str().unwrap_or_default().to_string();
    let revision = number(&entry["mod_revision"])?;
    Some((String::from_utf8(key).ok()?, Entry { value, revision }))
}

/// The gateway writes 64-bit integers as text.
fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn encode(key: &str) -> String {
    BASE64_STANDARD.encode(key)
}
