//! etcd's JSON gateway: one range, and the lines of one watch.

use crate::truth::record::{Change, StoredKey};
use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Everything that Kubernetes stores, as a range.
const FIRST: &str = "/registry/";
const END: &str = "/registry0";
const ANSWER: Duration = Duration::from_secs(5);

/// One answer of a watch.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// Changes, in their order; none at all where it is only a sign of life.
    Changes(Vec<Change>),
    /// What was asked for has been compacted.
    Compacted,
}

/// The lines of one watch.
pub(super) struct Lines {
    stream: BufReader<TcpStream>,
    line: Vec<u8>,
}

/// Everything that is stored now, and the revision that it is of.
pub(super) async fn range(etcd: SocketAddr) -> anyhow::Result<(u64, Vec<Change>)> {
    let body = json!({ "key": encode(FIRST), "range_end": encode(END) });
    let exchange = async {
        let mut stream = post(etcd, "/v3/kv/range", &body).await?;
        let mut text = vec![];
        stream.read_to_end(&mut text).await?;
        anyhow::Ok(text)
    };
    let text = tokio::time::timeout(ANSWER, exchange).await.context("etcd does not answer")??;
    let answer: Value = serde_json::from_slice(&text).context("etcd answers no JSON")?;
    let revision = number(&answer["header"]["revision"]).context("etcd names no revision")?;
    let stored = answer["kvs"].as_array().into_iter().flatten();
    Ok((revision, stored.filter_map(|entry| change(entry, true)).collect()))
}

/// Watches everything from a revision on.
pub(super) async fn watch(etcd: SocketAddr, from: u64) -> anyhow::Result<Lines> {
    let request = json!({ "create_request": {
        "key": encode(FIRST), "range_end": encode(END), "start_revision": from.to_string(),
    }});
    let opened = tokio::time::timeout(ANSWER, post(etcd, "/v3/watch", &request));
    let stream = opened.await.context("etcd does not answer")??;
    Ok(Lines { stream, line: vec![] })
}

impl Lines {
    /// The next answer; none where the watch has ended. It may be dropped and called again.
    pub(super) async fn next(&mut self) -> anyhow::Result<Option<Answer>> {
        if self.stream.read_until(b'\n', &mut self.line).await? == 0 {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&self.line).context("etcd sends no JSON")?;
        self.line.clear();
        read(&answer).map(Some)
    }
}

/// HTTP/1.0: the answer ends where the connection ends, never in chunks.
async fn post(etcd: SocketAddr, path: &str, body: &Value) -> anyhow::Result<BufReader<TcpStream>> {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.0\r\nHost: {etcd}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(etcd).await?;
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    anyhow::ensure!(line.contains(" 200 "), "etcd answers {path} with {line:?}, expected 200");
    while line.trim() != "" {
        line.clear();
        stream.read_line(&mut line).await?;
    }
    Ok(stream)
}

fn read(answer: &Value) -> anyhow::Result<Answer> {
    let result = answer.get("result").with_context(|| format!("etcd ends the watch: {answer}"))?;
    if result["compact_revision"]
        .as_str()
        .and_then(|r| r.parse::<u64>().ok())
        .is_some_and(|r| r > 0)
    {
        return Ok(Answer::Compacted);
    }
    anyhow::ensure!(result["canceled"] != true, "etcd ends the watch: {answer}");
    let events = result["events"].as_array().into_iter().flatten();
    let changes = events.filter_map(|event| change(&event["kv"], event["type"] != "DELETE"));
    Ok(Answer::Changes(changes.collect()))
}

/// None where the key is of nothing that is looked at. A value that is no JSON counts as one without fields.
fn change(entry: &Value, is_there: bool) -> Option<Change> {
    let key = BASE64_STANDARD.decode(entry["key"].as_str()?).ok()?;
    let key = StoredKey::parse(std::str::from_utf8(&key).ok()?)?;
    let value = BASE64_STANDARD.decode(entry["value"].as_str().unwrap_or_default()).ok()?;
    let value = is_there.then(|| serde_json::from_slice(&value).unwrap_or_default());
    Some(Change { revision: number(&entry["mod_revision"])?, key, value })
}

/// The gateway writes 64-bit integers as text.
fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}

fn encode(key: &str) -> String {
    BASE64_STANDARD.encode(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, value: &str, revision: u64) -> Value {
        json!({ "key": encode(key), "value": encode(value), "mod_revision": revision.to_string() })
    }

    #[test]
    fn an_answer_has_changes_in_their_order_and_leaves_out_what_is_not_looked_at() {
        let answer = json!({ "result": { "header": { "revision": "9" }, "events": [
            { "kv": kv("/registry/pods/ns/a", "{\"kind\":\"Pod\"}", 7) },
            { "kv": kv("/registry/secrets/ns/a", "{}", 8) },
            { "type": "DELETE", "kv": kv("/registry/pods/ns/a", "", 9) },
        ]}});
        let Answer::Changes(changes) = read(&answer).unwrap() else { panic!("changes") };
        let seen: Vec<_> = changes.iter().map(|c| (c.revision, c.value.is_some())).collect();
        assert_eq!(seen, [(7, true), (9, false)]);
        assert_eq!(changes[0].value.as_ref().unwrap()["kind"], "Pod");
    }

    #[test]
    fn the_first_answer_of_a_watch_has_no_change_and_a_compacted_one_says_so() {
        let created = json!({ "result": { "header": {}, "created": true } });
        assert_eq!(read(&created).unwrap(), Answer::Changes(vec![]));
        let compacted = json!({ "result": { "canceled": true, "compact_revision": "12" } });
        assert_eq!(read(&compacted).unwrap(), Answer::Compacted);
        assert!(read(&json!({ "error": { "message": "gone" } })).is_err());
        assert!(read(&json!({ "result": { "canceled": true } })).is_err());
    }
}
