//! A Service, as far as it is used.

use crate::kinds::partial::metadata;
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A Service with its labels, Linkerd's annotations, and what endpoints and ports follow from.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct PartialService {
    #[serde(default, deserialize_with = "metadata::brief")]
    metadata: ObjectMeta,
    pub spec: Option<ServiceSpec>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    #[serde(rename = "type")]
    pub type_: Option<String>,
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    pub selector: Option<BTreeMap<String, String>>,
    pub ip_families: Option<Vec<String>>,
    pub internal_traffic_policy: Option<String>,
    pub publish_not_ready_addresses: Option<bool>,
    pub ports: Option<Vec<ServicePort>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePort {
    pub name: Option<String>,
    #[serde(default)]
    pub port: i32,
    pub protocol: Option<String>,
    pub target_port: Option<IntOrString>,
}

resource_as!(PartialService, Service, metadata);
