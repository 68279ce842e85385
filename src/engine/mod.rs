//! The pure core: what an author asked for, what is healthy, and what the weights should be.
//!
//! Nothing here knows Kubernetes clients, async or the clock. A kind of object reaches the engine
//! as a [`Declaration`]; [`Intent::parse`] is the one parser that webhook, controller and CLI
//! share; [`decide`] is the one decision.

pub mod annotations;
mod announced;
mod author_edit;
mod authored;
mod bounds;
mod decision;
mod declaration;
mod faults;
mod health;
#[cfg(test)]
mod histories;
mod intent;
mod lenient;
mod need;
mod own_primary;
mod policy;
mod port_loss;
mod ports;
mod problem;
pub mod proportions;
mod readiness;
mod reason;
mod state;
mod threshold;
mod tiers;
mod values;
mod weight;
mod weighting;
pub(crate) mod work;
#[cfg(test)]
mod work_tests;

pub use announced::{acts_ahead, decide};
pub use author_edit::edited;
pub use authored::AuthoredWeights;
pub use bounds::{FAR_BEYOND, MOST_TIERS, too_many};
pub use decision::{Decision, Now, Previous};
pub use declaration::{
    AuthoredText, Bounds, BySet, Declaration, DeclaredBackend, DeclaredSet, Fault, Shape,
    WeightLimits, service_of,
};
pub use faults::{is_service_name, no_primary};
pub use health::{Announced, Health, Unknown};
pub use intent::{Backend, Intent, Reading, authored, defaulted_primary};
pub use need::{Need, need};
pub use policy::{Defaults, Pin, Policy};
pub use ports::{MOST_PORTS, Peaks, Port, PortCount, PortSet, Ports, ShortPorts, remembered};
pub use problem::{Problem, Severity, closest};
pub use readiness::{Readiness, each_health};
pub use reason::DecisionReason;
pub use state::{AnnouncedPodUids, Identity, Pending, SetState, State, to_the_second};
pub use threshold::Threshold;
pub use values::{delay, expected_delay};
pub use weight::{MAX_WEIGHT, ParsedWeight, Weights};
pub use weighting::weights_for;
