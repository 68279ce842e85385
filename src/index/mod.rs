//! The index: the facts of the cluster, as small as a decision allows. Pure data: informers enter
//! them, and nothing here does I/O.

pub(crate) mod announced_pods;
pub(crate) mod backends;
pub(crate) mod change;
pub(crate) mod changed_services;
pub(crate) mod cluster_settings;
mod common;
pub(crate) mod declared_down;
pub(crate) mod down_facts;
pub(crate) mod endpoint_count;
mod endpoint_counts;
pub(crate) mod endpoints;
pub(crate) mod forbidden_namespaces;
pub(crate) mod grants;
pub(crate) mod guarded_pods;
pub(crate) mod history;
#[cfg(test)]
mod interleavings_tests;
pub(crate) mod managed_object;
pub(crate) mod namespace_facts;
pub(crate) mod namespaces;
pub(crate) mod objects;
pub(crate) mod order;
pub(crate) mod peak;
#[cfg(test)]
mod ports_history_tests;
#[cfg(test)]
mod ports_tests;
pub(crate) mod profile_facts;
pub(crate) mod profile_table;
pub(crate) mod profiles;
pub(crate) mod remote;
pub(crate) mod resource;
pub(crate) mod served_ports;
pub(crate) mod service_facts;
mod service_slices;
pub(crate) mod services;
pub(crate) mod shared_index;
pub(crate) mod slice_table;
pub(crate) mod store;
pub(crate) mod synced;
