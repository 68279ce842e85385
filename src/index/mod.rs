//! The index: what is true in the cluster, as small as a decision allows. Pure data: informers feed
//! it, and nothing here does I/O.

pub mod announced_pods;
pub mod backends;
pub mod changed_services;
pub mod cluster_settings;
pub mod endpoints;
pub mod grants;
pub mod guarded_pods;
pub mod history;
pub mod managed_object;
pub mod order;
#[cfg(test)]
mod ports_tests;
pub mod profile_facts;
pub mod profile_table;
pub mod remote;
pub mod served_ports;
pub mod service_facts;
pub mod shared_index;
pub mod slice_table;
pub mod store;
pub mod watch_scope;
