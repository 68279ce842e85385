//! What a run has shown: times in milliseconds after the API server has answered the write of the endpoints.

use serde::{Deserialize, Serialize};

/// A failover and its return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// What was run.
    pub about: About,
    /// The primary's endpoint goes.
    pub loss: Flip,
    /// It is back.
    pub restored: Flip,
}

/// What was run, where and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct About {
    /// The version of linkerd-failover.
    pub program: String,
    /// How it was built: `debug` or `release`.
    pub build: String,
    /// Of the API server.
    pub kubernetes: String,
    /// The day.
    pub recorded: String,
    /// Of the machine, which runs the API server and etcd too.
    pub cpus: usize,
    /// Of linkerd-failover.
    pub replicas: usize,
    /// The kind of the object.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its first backend.
    pub primary: String,
    /// Its second.
    pub fallback: String,
}

/// One change of endpoints, and what followed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Flip {
    /// The write of the primary's EndpointSlice; answered at 0.
    pub endpoints: Endpoints,
    /// Ready endpoints of the fallback meanwhile.
    pub fallback_ready: u32,
    /// The steps of the controller, by its own metric `flip_stage_seconds`.
    pub stages_ms: Stages,
    /// The write of the weights.
    pub write: Write,
    /// When the API server had taken the write of the annotation `state` that follows it.
    pub state_ms: f64,
    /// What `state` gives as the reason.
    pub why: String,
    /// When the API server had taken the Event.
    pub event_ms: f64,
}

/// A write of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    /// When the API server received it: before 0.
    pub received_ms: f64,
    /// The resourceVersion of the slice from then on.
    pub resource_version: u64,
    /// Ready endpoints before.
    pub before: u32,
    /// Ready endpoints after.
    pub after: u32,
}

/// The steps of a flip, each from the end of the one before. The first begins as the event is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stages {
    /// The event is in the index.
    pub indexed: f64,
    /// The object is taken from the work queue.
    pub dequeued: f64,
    /// It is decided.
    pub decided: f64,
    /// The request is made.
    pub patched: f64,
    /// The connection has taken it.
    pub sent: f64,
    /// The answer is read.
    pub acknowledged: f64,
}

/// A write of weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Write {
    /// When the API server received it.
    pub received_ms: f64,
    /// When it had answered it.
    pub stored_ms: f64,
    /// The resourceVersion of the object until then.
    pub version_before: u64,
    /// From then on.
    pub version_after: u64,
    /// The weights of primary and fallback until then.
    pub before: [u64; 2],
    /// From then on.
    pub after: [u64; 2],
}

impl Flip {
    /// When it was decided: the request was received after it had been made and sent.
    pub fn decided_ms(&self) -> f64 {
        self.write.received_ms - self.stages_ms.sent - self.stages_ms.patched
    }

    /// When the event of the endpoints was read.
    pub fn read_ms(&self) -> f64 {
        let Stages { indexed, dequeued, decided, .. } = self.stages_ms;
        self.decided_ms() - decided - dequeued - indexed
    }
}
