//! Events: what people are told, off the hot path.

pub(crate) mod publisher;
