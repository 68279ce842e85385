//! The review of manifests: the verdict of the webhook on the objects of an input, without a cluster.
//!
//! [`Input`](input::Input) takes the documents, [`review`](review::review) judges them by the rules of
//! [`admission`](crate::admission), and a [`Report`](report::Report) is printed in one of several formats. What
//! only a cluster knows is reported as not checked. Nothing here does I/O.

mod diagnostic;
mod entry;
pub(crate) mod formats;
pub(crate) mod input;
pub(crate) mod known_world;
pub(crate) mod report;
pub(crate) mod review;
pub(crate) mod settings;
#[cfg(test)]
mod tests;
mod verdict;
