//! Admission: failover objects are defaulted and validated at `kubectl apply`.
//!
//! [`mutate`](mutate::mutate) and [`validate`](validate::validate) are functions of the request
//! and of a [`View`](view::View); the [`webhook`](crate::webhook) around them does the I/O.
//!
//! A rule of admission that the engine could not work without belongs to
//! [`Intent::parse`](crate::engine::Intent::parse); every other one is a file of [`rules`].

pub mod author;
pub mod lookup;
pub mod mutate;
pub mod preexisting;
pub mod previous;
pub mod release;
#[cfg(test)]
mod route_backends_tests;
#[cfg(test)]
mod route_review_tests;
pub mod rules;
pub mod service_deletion;
#[cfg(test)]
mod stored_faults_tests;
#[cfg(test)]
pub mod test_support;
pub mod validate;
pub mod view;
