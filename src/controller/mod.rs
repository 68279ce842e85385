//! The controller: hears which objects are concerned, asks for the decision, writes it.

mod election;
mod events;
mod lease;
mod plan;
mod reconcile;
mod writer;

pub use election::{Election, Record, Step, Timing};
pub use events::{Said, publisher};
pub use lease::{always_leading, hold_lease};
pub use reconcile::Controller;
