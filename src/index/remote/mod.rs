//! Services whose endpoints are in other clusters: Linkerd's pod-to-pod mirrors and federated
//! Services, seen as Linkerd sees them, in the EndpointSlices of the clusters that are linked.
//!
//! [`members`] reads what a Service rests on; [`services`] is how a cluster's own Services call their
//! ports; [`reach`] is what is known of a cluster's API, as a function of what happened and of time.

pub(crate) mod health;
pub(crate) mod linked_clusters;
pub(crate) mod members;
pub(crate) mod mirrors;
pub(crate) mod reach;
pub(crate) mod services;
pub(crate) mod union;
pub(crate) mod updates;
