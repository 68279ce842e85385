//! Admission: failover objects are defaulted and validated at `kubectl apply`.
//!
//! [`mutate`](mutate::mutate) and [`validate`](validate::validate) are functions of the request
//! and of a [`View`](view::View); the [`webhook`](crate::webhook) around them does the I/O.
//!
//! A rule of admission that the engine could not work without belongs to
//! [`Intent::parse`](crate::engine::Intent::parse); every other one is a file of [`rules`].

pub(crate) mod author;
pub(crate) mod lookup;
pub(crate) mod mutate;
pub(crate) mod preexisting;
pub(crate) mod previous;
pub(crate) mod release;
#[cfg(test)]
mod route_backends_tests;
#[cfg(test)]
mod route_review_tests;
pub(crate) mod rules;
pub(crate) mod service_deletion;
#[cfg(test)]
mod stored_faults_tests;
#[cfg(test)]
pub(crate) mod test_support;
pub(crate) mod validate;
pub(crate) mod view;
