//! The index: what is true in the cluster, as small as a decision allows. Pure data: informers feed
//! it, and nothing here does I/O.

pub mod backends;
pub mod changes;
pub mod departures;
pub mod endpoints;
pub mod grants;
pub mod guarded;
pub mod managed;
pub mod order;
pub mod own_namespace;
pub mod part;
pub mod peak;
#[cfg(test)]
mod ports_tests;
pub mod profile_table;
pub mod profiles;
pub mod remote;
pub mod served;
pub mod services;
pub mod shared;
pub mod slices;
pub mod store;
