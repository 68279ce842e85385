//! What is true in the cluster: the watches, and the index they feed.

pub mod endpoints;
mod index;
pub mod services;
mod watch;

pub use index::{Index, Managed, Synced};
pub use watch::{Changes, Shared, Source, watch_all};
