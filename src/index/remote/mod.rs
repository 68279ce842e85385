//! Services whose endpoints are in other clusters: Linkerd's pod-to-pod mirrors and federated
//! Services, seen as Linkerd sees them, in the EndpointSlices of the clusters that are linked.
//!
//! [`members`] reads the members of a Service; [`services`] has the port names of a cluster's own
//! Services; [`reach`] is whether a cluster's API can be watched, a function of events and of time.

pub(crate) mod health;
pub(crate) mod linked_clusters;
pub(crate) mod members;
pub(crate) mod mirrors;
pub(crate) mod reach;
pub(crate) mod services;
pub(crate) mod union;
pub(crate) mod updates;
