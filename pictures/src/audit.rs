//! The API server's audit log, as far as it tells of a flip: one clock for all that is written.

use crate::record::{Endpoints, Write};
use anyhow::Context;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// Entries for what a flip is made of, once each, when it has been answered.
pub(crate) const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: RequestResponse
  verbs: [create, update, patch]
  resources:
  - {group: discovery.k8s.io, resources: [endpointslices]}
  - {group: gateway.networking.k8s.io, resources: [httproutes]}
  - {group: events.k8s.io, resources: [events]}
  - {group: "", resources: [events]}
- level: None
"#;

/// A request that was answered.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Entry {
    pub object_ref: ObjectRef,
    pub user: User,
    #[serde(rename = "requestReceivedTimestamp")]
    pub received: Timestamp,
    #[serde(rename = "stageTimestamp")]
    pub answered: Timestamp,
    /// The object as it was stored.
    #[serde(rename = "responseObject", default)]
    pub object: Value,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ObjectRef {
    pub resource: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct User {
    pub username: String,
}

/// The entries of a log, in the order in which they were answered.
pub(crate) fn entries(log: &str) -> anyhow::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for line in log.lines() {
        let entry: Entry =
            serde_json::from_str(line).with_context(|| format!("audit log: {line}"))?;
        entries.push(entry);
    }
    entries.sort_by_key(|entry| entry.answered);
    Ok(entries)
}

/// What of a log is about one object.
pub(crate) struct Story<'a> {
    pub entries: &'a [Entry],
    pub primary: &'a str,
    /// Of the controller, as the API server knows it.
    pub writer: &'a str,
}

/// A flip as the log has it.
#[derive(Debug, PartialEq)]
pub(crate) struct Found {
    pub endpoints: Endpoints,
    pub write: Write,
    pub state_ms: f64,
    pub why: String,
    pub event_ms: f64,
}

impl Story<'_> {
    /// The flip whose weights become `after`, if all of it is in the log: the endpoints that it follows, and what is
    /// recorded of it, and its Event.
    pub(crate) fn flip(&self, after: [u64; 2]) -> Option<Found> {
        let (at, before, write) = self.weights(after)?;
        let (slice, old) = self.slice_before(write)?;
        let ms = |time: Timestamp| time.duration_since(slice.answered).as_micros() as f64 / 1e3;
        let later = &self.entries[at..];
        let recorded =
            |entry: &&Entry| state(&entry.object).is_some_and(|(weights, _)| weights == after);
        let record = later.iter().find(recorded)?;
        let is_failover = |entry: &&Entry| {
            entry.object["reason"] == "Failover" && entry.user.username == self.writer
        };
        let event =
            later.iter().filter(|entry| entry.object_ref.resource == "events").find(is_failover)?;
        Some(Found {
            endpoints: Endpoints {
                received_ms: ms(slice.received),
                resource_version: version(&slice.object)?,
                before: old,
                after: ready(&slice.object),
            },
            write: Write {
                received_ms: ms(write.received),
                stored_ms: ms(write.answered),
                version_before: version(before)?,
                version_after: version(&write.object)?,
                before: weights(before)?,
                after,
            },
            state_ms: ms(record.answered),
            why: state(&record.object)?.1,
            event_ms: ms(event.answered),
        })
    }

    /// The last write that changed the weights to these, and the object before it.
    fn weights(&self, after: [u64; 2]) -> Option<(usize, &Value, &Entry)> {
        let routes = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.object_ref.resource == "httproutes");
        let routes: Vec<_> = routes.collect();
        let changed = |pair: &&[(usize, &Entry)]| {
            let [before, now] = pair else { return false };
            weights(&now.1.object) == Some(after)
                && weights(&before.1.object).is_some_and(|w| w != after)
        };
        let pair = routes.windows(2).rev().find(changed)?;
        Some((pair[1].0, &pair[0].1.object, pair[1].1))
    }

    /// The last write of the primary's slice that changed how many are ready, before this one; and how many were.
    fn slice_before(&self, write: &Entry) -> Option<(&Entry, u32)> {
        let of_primary = |entry: &&Entry| {
            entry.object["metadata"]["labels"]["kubernetes.io/service-name"] == self.primary
                && entry.received < write.received
        };
        let slices: Vec<_> = self.entries.iter().filter(of_primary).collect();
        let pair = slices
            .windows(2)
            .rev()
            .find(|pair| ready(&pair[0].object) != ready(&pair[1].object))?;
        Some((pair[1], ready(&pair[0].object)))
    }
}

fn ready(slice: &Value) -> u32 {
    let endpoints = slice["endpoints"].as_array().into_iter().flatten();
    let ready = endpoints.filter(|endpoint| endpoint["conditions"]["ready"] != false).count();
    u32::try_from(ready).unwrap_or(u32::MAX)
}

fn weights(route: &Value) -> Option<[u64; 2]> {
    let refs = route["spec"]["rules"][0]["backendRefs"].as_array()?;
    let weights: Vec<u64> = refs.iter().filter_map(|backend| backend["weight"].as_u64()).collect();
    weights.try_into().ok()
}

fn version(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// The weights that the annotation `state` records, and why.
fn state(route: &Value) -> Option<([u64; 2], String)> {
    let text = route["metadata"]["annotations"]["failover.linkerd.io/state"].as_str()?;
    let state: Value = serde_json::from_str(text).ok()?;
    let (_, set) = state["sets"].as_object()?.iter().next()?;
    // By name; which is which is told by the object.
    let refs = route["spec"]["rules"][0]["backendRefs"].as_array()?;
    let weight = |backend: &Value| set["weights"].get(backend["name"].as_str()?)?.as_u64();
    let weights: Vec<u64> = refs.iter().filter_map(weight).collect();
    Some((weights.try_into().ok()?, set["why"].as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WRITER: &str = "system:serviceaccount:linkerd-failover:linkerd-failover";

    fn entry(resource: &str, user: &str, at: [u32; 2], object: &Value) -> String {
        let time = |micros: u32| format!("2026-11-26T12:00:00.{micros:06}Z");
        let entry = json!({
            "objectRef": {"resource": resource}, "user": {"username": user},
            "requestReceivedTimestamp": time(at[0]), "stageTimestamp": time(at[1]), "responseObject": object,
        });
        entry.to_string()
    }

    fn slice(at: [u32; 2], version: u64, ready: bool) -> String {
        let object = json!({
            "metadata": {"resourceVersion": version.to_string(), "labels": {"kubernetes.io/service-name": "emoji-svc"}},
            "endpoints": [{"conditions": {"ready": ready}}],
        });
        entry(
            "endpointslices",
            "system:serviceaccount:kube-system:endpointslice-controller",
            at,
            &object,
        )
    }

    fn route(at: [u32; 2], version: u64, weights: [u64; 2], recorded: [u64; 2]) -> String {
        let state = json!({"sets": {"": {
            "weights": {"emoji-svc": recorded[0], "emoji-svc-west": recorded[1]}, "why": "as it is",
        }}});
        let object = json!({
            "metadata": {
                "resourceVersion": version.to_string(),
                "annotations": {"failover.linkerd.io/state": state.to_string()},
            },
            "spec": {"rules": [{"backendRefs": [
                {"name": "emoji-svc", "weight": weights[0]}, {"name": "emoji-svc-west", "weight": weights[1]},
            ]}]},
        });
        entry("httproutes", WRITER, at, &object)
    }

    fn log() -> Vec<String> {
        vec![
            slice([100, 200], 5, true),
            route([300, 400], 6, [1, 0], [1, 0]),
            slice([10_000, 12_000], 7, false),
            // Told again, and nothing new.
            slice([12_100, 12_500], 8, false),
            route([14_000, 17_500], 9, [0, 1], [1, 0]),
            entry("events", WRITER, [18_000, 19_000], &json!({"reason": "Failover"})),
            route([20_000, 22_000], 10, [0, 1], [0, 1]),
        ]
    }

    fn found(lines: &[String]) -> Option<Found> {
        let entries = entries(&lines.join("\n")).unwrap();
        Story { entries: &entries, primary: "emoji-svc", writer: WRITER }.flip([0, 1])
    }

    #[test]
    fn times_count_from_the_answer_to_the_write_of_the_endpoints() {
        let flip = found(&log()).unwrap();
        let endpoints = Endpoints { received_ms: -2.0, resource_version: 7, before: 1, after: 0 };
        assert_eq!(flip.endpoints, endpoints);
        assert_eq!((flip.write.received_ms, flip.write.stored_ms), (2.0, 5.5));
        assert_eq!((flip.write.version_before, flip.write.version_after), (6, 9));
        assert_eq!((flip.write.before, flip.write.after), ([1, 0], [0, 1]));
        assert_eq!((flip.event_ms, flip.state_ms, flip.why.as_str()), (7.0, 10.0, "as it is"));
    }

    #[test]
    fn a_flip_is_whole_or_not_there() {
        for missing in [2, 4, 5, 6] {
            let mut lines = log();
            lines.remove(missing);
            if missing == 2 {
                lines.remove(2);
            }
            assert_eq!(found(&lines), None, "without line {missing}");
        }
    }
}
