//! The controller: hears which objects are concerned, asks for the decision, writes it.

#[cfg(test)]
mod ahead_tests;
mod alarms;
mod announced;
mod attempts;
mod brake;
mod braking;
mod confirm;
mod election;
mod events;
mod fitness;
mod guard;
mod lanes;
mod lease;
mod leave;
mod left_behind;
mod linked;
mod memory;
mod mention;
mod nothing_ready;
mod outcomes;
mod own_namespace;
mod plan;
mod profile;
mod profile_lane;
mod profile_writer;
mod queue;
mod reconcile;
mod scope;
mod short;
mod survey;
mod undone;
mod waits;
mod writer;

pub use brake::{Ledger, Record as BrakeRecord};
pub use election::{Election, Record, Step, Timing};
pub use events::{Said, publisher};
pub use lease::{Striving, always_leading, hold_lease};
pub use linked::tell_of_links;
pub use own_namespace::{Labelling, label_own_namespace};
pub use profile::ProfileSettings;
pub use reconcile::{Connections, Controller, Settings};
pub use survey::{Survey, survey_unmanaged};
