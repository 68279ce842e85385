//! Objects of the API with no more than is needed here: neither the bare client nor who observes it
//! takes CPU for what is not.

use serde::Deserialize;
use std::collections::HashMap;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Meta {
    pub name: String,
    pub namespace: String,
    pub resource_version: String,
    pub labels: HashMap<String, String>,
}

/// What a watch needs of an object.
pub(crate) trait Lean {
    fn meta(&self) -> &Meta;
}

/// A TrafficSplit, an HTTPRoute of one rule, or a ServiceProfile.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Weighted {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    backends: Vec<Backend>,
    rules: Vec<Rule>,
    dst_overrides: Vec<Backend>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Rule {
    backend_refs: Vec<Backend>,
}

#[derive(Clone, Debug, Deserialize)]
struct Backend {
    weight: Option<Weight>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Weight {
    Number(f64),
    Text(String),
}

impl Weighted {
    pub(crate) fn has_weights(&self, wanted: [u32; 2]) -> bool {
        let Spec { backends, rules, dst_overrides } = &self.spec;
        let of_rule = rules.first().map(|rule| &rule.backend_refs);
        let lists = [Some(backends), of_rule, Some(dst_overrides)];
        let backends = lists.into_iter().flatten().find(|list| !list.is_empty());
        backends.is_some_and(|backends| {
            backends.len() == 2
                && backends.iter().zip(wanted).all(|(backend, wanted)| match &backend.weight {
                    Some(Weight::Number(weight)) => *weight == f64::from(wanted),
                    Some(Weight::Text(weight)) => *weight == wanted.to_string(),
                    None => false,
                })
        })
    }
}

impl Lean for Weighted {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Slice {
    metadata: Meta,
    endpoints: Option<Vec<Endpoint>>,
}

#[derive(Clone, Debug, Deserialize)]
struct Endpoint {
    conditions: Option<Conditions>,
}

#[derive(Clone, Debug, Deserialize)]
struct Conditions {
    ready: Option<bool>,
}

impl Slice {
    pub(crate) fn is_ready(&self) -> bool {
        self.endpoints.iter().flatten().any(|endpoint| {
            endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) != Some(false)
        })
    }

    pub(crate) fn service(&self) -> Option<&str> {
        self.metadata.labels.get("kubernetes.io/service-name").map(String::as_str)
    }
}

impl Lean for Slice {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}

/// Of which nothing but its version is needed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Any {
    metadata: Meta,
}

impl Lean for Any {
    fn meta(&self) -> &Meta {
        &self.metadata
    }
}
