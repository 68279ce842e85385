//! What is true in the cluster: the watches, and the index they feed.

pub mod clock;
pub mod endpoints;
mod index;
mod managed;
mod namespace;
mod part;
mod peak;
pub mod profiles;
pub mod remote;
pub mod services;
mod shared;
mod watch;

pub use clock::Clock;
pub use index::{Index, Synced};
pub use managed::{Decider, Managed};
pub use namespace::ClusterWide;
pub use part::Part;
pub use shared::{Changes, Shared};
pub use watch::{SILENCE, Source, Watched, watch_all};
