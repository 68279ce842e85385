//! What faults happen to: two clusters, replicas, Services, and 300 failover objects; and what goes on
//! beside the faults: endpoints that are lost, authors that apply.

mod authors;
pub(crate) mod clock;
mod contents;
pub mod disturbance;
mod endpoints;
mod kubelet;
mod lanes;
pub mod manifest;
pub mod objects;
mod pace;
mod reach;
pub mod script;
mod start;

pub use contents::{api, apply, resource};
pub use start::{NAMESPACE, Options, World};
