//! The pure core: what an author asked for, what is healthy, and what the weights should be.
//!
//! Nothing here knows Kubernetes clients, async or the clock. A kind of object reaches the engine
//! as a [`Declaration`]; [`Intent::parse`] is the one parser that webhook, controller and CLI
//! share; [`decide`] is the one decision.

mod ahead;
pub mod annotations;
mod authored;
mod because;
mod bounds;
mod decision;
mod declaration;
mod edited;
mod faults;
mod health;
#[cfg(test)]
mod histories;
mod intent;
mod mended;
mod need;
mod own_primary;
mod policy;
mod ports;
mod problem;
pub mod proportions;
mod readiness;
mod refuge;
mod shares;
mod state;
mod threshold;
mod tiers;
mod values;
mod weight;
pub(crate) mod work;
#[cfg(test)]
mod work_tests;

pub use ahead::{acts_ahead, decide};
pub use authored::AuthoredWeights;
pub use because::Because;
pub use bounds::{FAR_BEYOND, MOST_TIERS, too_many};
pub use decision::{Decision, Now, Previous};
pub use declaration::{
    Bounds, BySet, Declaration, DeclaredBackend, DeclaredSet, Fault, Limits, Shape, Written,
    service_of,
};
pub use edited::edited;
pub use faults::{is_service_name, no_primary};
pub use health::{Announced, Health, Unknown};
pub use intent::{Backend, Intent, Reading, authored, defaulted_primary};
pub use need::{Need, need};
pub use policy::{Defaults, Pin, Policy};
pub use ports::{MOST_PORTS, Peaks, Port, PortCount, PortSet, Ports, Short, remembered};
pub use problem::{Problem, Severity, closest};
pub use readiness::{Readiness, each_health};
pub use shares::weights_for;
pub use state::{Identity, Leaving, Pending, SetState, State, to_the_second};
pub use threshold::Threshold;
pub use values::{delay, expected_delay};
pub use weight::{MAX_WEIGHT, ParsedWeight, Weights};
