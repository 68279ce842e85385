//! Admission: failover objects are defaulted and validated at `kubectl apply`.
//!
//! [`mutate`](mutate::mutate) and [`validate`](validate::validate) are functions of the
//! [objects of a review](reviewed_object::ReviewedObject), each parsed once, and of a
//! [`View`](view::View) of the cluster. They do no I/O.
//!
//! A rule of admission is a file of [`rules`], whose documentation shows how one is added. [`findings`] are what
//! an object lacks so that no request is lost.

pub(crate) mod author;
pub(crate) mod declared_down;
pub(crate) mod findings;
pub(crate) mod lookup;
pub(crate) mod mutate;
pub(crate) mod namespace_protection;
pub(crate) mod preexisting;
pub(crate) mod previous;
#[cfg(test)]
mod protection_tests;
pub(crate) mod reviewed_object;
#[cfg(test)]
mod route_backends_tests;
#[cfg(test)]
mod route_defaulting_tests;
#[cfg(test)]
mod route_edit_tests;
#[cfg(test)]
mod route_property_tests;
#[cfg(test)]
pub(crate) mod route_test_support;
#[cfg(test)]
mod route_validation_tests;
pub(crate) mod rules;
pub(crate) mod sent_object;
pub(crate) mod service_deletion;
#[cfg(test)]
mod stored_faults_tests;
#[cfg(test)]
pub(crate) mod test_support;
pub(crate) mod validate;
pub(crate) mod view;
