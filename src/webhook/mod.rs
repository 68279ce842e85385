//! The webhook's server: TLS, limits, reviews in and answers out. What a review is answered with is
//! decided by [`admission`](crate::admission).

pub mod body;
pub mod connections;
pub mod handler;
pub mod handshakes;
pub mod outline;
pub mod pod_deletions;
pub mod response;
pub mod review;
pub mod routes;
pub mod server;
#[cfg(test)]
mod work_tests;
