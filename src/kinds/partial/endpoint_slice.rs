//! An EndpointSlice, as far as it is used: of an endpoint nothing but numbers remains.

use crate::kinds::hash::hash_of;
use crate::kinds::partial::metadata;
use crate::kinds::partial::text::Text;
use crate::kinds::pods::{PodEndpoint, PodName, PodUid};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A slice with its labels, the names of its ports, and the endpoints that Linkerd sends to.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PartialSlice {
    #[serde(default, deserialize_with = "metadata::brief")]
    metadata: ObjectMeta,
    #[serde(default)]
    pub address_type: AddressType,
    pub ports: Option<Vec<SlicePort>>,
    #[serde(default, deserialize_with = "sent_to")]
    pub endpoints: Vec<Endpoint>,
}

/// The kind of addresses that a slice has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) enum AddressType {
    IPv4,
    IPv6,
    #[default]
    #[serde(other)]
    Other,
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct SlicePort {
    pub name: Option<String>,
}

/// An endpoint that Linkerd sends to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Endpoint {
    /// Hash of the targetRef, or of the address where there is none.
    pub identity: u64,
    pub is_pod: bool,
    pub pod: Option<PodEndpoint>,
    pub ready: bool,
    /// It is being deleted.
    pub terminating: bool,
}

/// Reads the endpoints one by one, and keeps those that Linkerd sends to.
fn sent_to<'de, D: Deserializer<'de>>(endpoints: D) -> Result<Vec<Endpoint>, D::Error> {
    struct Endpoints;

    impl<'de> Visitor<'de> for Endpoints {
        type Value = Vec<Endpoint>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of endpoints")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(vec![])
        }
        fn visit_seq<S: SeqAccess<'de>>(self, mut found: S) -> Result<Self::Value, S::Error> {
            let mut endpoints = vec![];
            while let Some(endpoint) = found.next_element::<FoundEndpoint<'de>>()? {
                endpoints.extend(endpoint.read());
            }
            Ok(endpoints)
        }
    }

    endpoints.deserialize_any(Endpoints)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FoundEndpoint<'a> {
    #[serde(borrow, default)]
    addresses: FirstText<'a>,
    #[serde(default)]
    conditions: Option<Conditions>,
    #[serde(borrow)]
    target_ref: Option<TargetRef<'a>>,
}

#[derive(Default, Deserialize)]
struct Conditions {
    ready: Option<bool>,
    terminating: Option<bool>,
}

#[derive(Deserialize)]
struct TargetRef<'a> {
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
}

impl FoundEndpoint<'_> {
    /// None where it has no address, and for a target of a kind that Linkerd does not send to.
    fn read(&self) -> Option<Endpoint> {
        let conditions = self.conditions.as_ref();
        let (identity, pod) = match &self.target_ref {
            Some(target) => (target.identity()?, Some(target).filter(|target| target.is_pod())),
            None => (hash_of(self.addresses.0.as_deref()?), None),
        };
        Some(Endpoint {
            identity,
            is_pod: pod.is_some(),
            pod: pod.and_then(TargetRef::pod),
            ready: conditions.and_then(|c| c.ready).unwrap_or(true),
            terminating: conditions.and_then(|c| c.terminating).unwrap_or_default(),
        })
    }
}

impl TargetRef<'_> {
    fn is_pod(&self) -> bool {
        self.kind.as_deref() == Some("Pod")
    }

    fn identity(&self) -> Option<u64> {
        match self.kind.as_deref() {
            kind @ Some("Pod" | "ExternalWorkload") => {
                let (namespace, name) = (self.namespace.as_deref(), self.name.as_deref());
                Some(hash_of((kind, namespace, name, self.uid.as_deref())))
            }
            _ => None,
        }
    }

    fn pod(&self) -> Option<PodEndpoint> {
        let name = PodName::new(self.namespace.as_deref()?, self.name.as_deref()?);
        Some(PodEndpoint { uid: PodUid::parse(self.uid.as_deref()?)?, name })
    }
}

/// The first of a list of texts.
#[derive(Default)]
struct FirstText<'a>(Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for FirstText<'a> {
    fn deserialize<D: Deserializer<'de>>(texts: D) -> Result<Self, D::Error> {
        texts.deserialize_any(FirstText(None))
    }
}

impl<'de: 'a, 'a> Visitor<'de> for FirstText<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of texts")
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<S: SeqAccess<'de>>(self, mut texts: S) -> Result<Self, S::Error> {
        let first = texts.next_element::<Text<'a>>()?;
        while texts.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self(first))
    }
}

resource_as!(PartialSlice, EndpointSlice, metadata);
