//! The webhook's server: TLS, limits, reviews in and answers out. What a review is answered with is
//! decided by `admission`.

pub(crate) mod body;
pub(crate) mod connections;
pub(crate) mod handler;
pub(crate) mod handshakes;
pub(crate) mod outline;
pub(crate) mod pod_deletions;
pub(crate) mod response;
pub(crate) mod review;
pub(crate) mod routes;
pub mod server;
#[cfg(test)]
mod work_tests;
