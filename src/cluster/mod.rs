//! What is true in the cluster: the watches, and the index they feed.

mod backends;
mod changes;
pub mod clock;
mod departures;
mod discovery;
pub mod endpoints;
mod grants;
mod guarded;
mod index;
mod list_watch;
mod managed;
mod namespace;
mod order;
mod part;
mod peak;
#[cfg(test)]
mod ports_tests;
mod profile_table;
pub mod profiles;
pub mod proxied;
pub mod quick_client;
pub mod remote;
mod served;
pub mod services;
mod shared;
mod slices;
mod sources;
mod watch;

pub use clock::Clock;
pub use departures::Word;
pub use discovery::served;
pub use endpoints::PodUid;
pub use grants::GrantFacts;
pub use guarded::GuardedPod;
pub use index::{Index, Synced};
pub use list_watch::follow;
pub use managed::{Decider, Managed, ManagedSet};
pub use namespace::ClusterWide;
pub use order::{Arrival, Ticket};
pub use part::Part;
pub use shared::{Changes, Shared};
pub use slices::ToldSlice;
pub use sources::{Watched, watch_all};
pub use watch::{SILENCE, Source};
