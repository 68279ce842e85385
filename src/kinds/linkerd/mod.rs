//! Linkerd's annotations and values, read as Linkerd reads them.

pub(crate) mod annotations;
pub(crate) mod duration;
pub(crate) mod failfast;
pub(crate) mod failure_accrual;
pub(crate) mod request_timeout;
pub(crate) mod retry_policy;
