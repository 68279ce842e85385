//! The webhook's server: TLS, limits, reviews in and responses out. The room `admission` decides what
//! the responses are.

mod answer;
mod backend_counts;
mod background;
pub(crate) mod body;
pub(crate) mod connections;
#[cfg(test)]
mod cost_tests;
pub(crate) mod eviction;
pub(crate) mod handler;
pub(crate) mod handshakes;
pub(crate) mod partial_review;
mod places;
pub(crate) mod pod_deletion_request;
pub(crate) mod pod_deletions;
pub mod replay;
pub(crate) mod response;
pub(crate) mod review;
pub(crate) mod routes;
pub mod server;
mod size_limit;
#[cfg(test)]
mod work_tests;
