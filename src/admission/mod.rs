//! The admission webhook: it defaults and validates failover objects at `kubectl apply`.
//!
//! [`mutate`](mutate::mutate) and [`validate`](validate::validate) are functions of the request
//! and of a [`View`]; the server around them does the I/O: [`server`] takes in connections and
//! [`router`] requests, within bounds, and whatever happens the answer carries the request's uid.
//!
//! A rule of admission that the engine could not work without belongs to
//! [`Intent::parse`](crate::failover::Intent::parse); one that needs the Services around to
//! `services`; a word about what is legal and may hurt to `advice`.

mod advice;
mod answer;
mod author;
mod body;
pub mod certificates;
mod connections;
mod deletion;
mod gate;
mod grants;
mod handler;
mod handshakes;
mod in_outage;
mod inherited;
mod known;
mod lookup;
pub mod mutate;
mod outline;
mod owner;
mod profile;
mod release;
pub mod review;
#[cfg(test)]
mod route_backends_tests;
#[cfg(test)]
mod route_review_tests;
mod routes;
mod rules_left_alone;
pub mod server;
mod services;
mod serving;
#[cfg(test)]
mod stored_faults_tests;
#[cfg(test)]
mod test_support;
pub mod validate;
mod view;
#[cfg(test)]
mod work_tests;

pub use answer::Judge;
pub use gate::router as gate_router;
pub use handler::{Handler, Operation};
pub use routes::router;
pub use view::{LookedUp, Lookup, MissingBackends, Presence, Rules, View};
