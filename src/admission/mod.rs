//! The admission webhook: it defaults and validates failover objects at `kubectl apply`.
//!
//! [`mutate`](mutate::mutate) and [`validate`](validate::validate) are functions of the request
//! and of a [`View`]; the server around them does the I/O. A rule of admission that the engine
//! could not work without belongs to [`Intent::parse`](crate::failover::Intent::parse); one that
//! needs the Services around to `services`; a word about what is legal and may hurt to `advice`.

mod advice;
pub mod certificates;
mod deletion;
mod handler;
mod lookup;
pub mod mutate;
pub mod review;
pub mod server;
mod services;
#[cfg(test)]
mod test_support;
pub mod validate;
mod view;

pub use handler::{Handler, Operation};
pub use view::{Answer, LookedUp, MissingBackends, Presence, Rules, View};
