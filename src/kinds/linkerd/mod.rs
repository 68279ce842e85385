//! Linkerd's annotations and values, read as Linkerd reads them.

pub(crate) mod duration;
pub(crate) mod failfast;
