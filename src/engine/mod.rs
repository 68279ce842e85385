//! The pure core: what an author asked for, what is healthy, and what the weights should be.
//!
//! Nothing here depends on a Kubernetes client, async or the clock. A kind of object reaches the engine
//! as a [`Declaration`]; [`Intent::parse`] is the one parser that webhook, controller and CLI
//! share; [`decide()`] is the one decision.
//!
//! ```text
//!  Declaration ──► Intent ─┐
//!  Health, Previous, Now ──┴─► decide: evaluation (facts) ──► choice ──► conclusion ──► Decision
//!                                └── early_flip: the same, as if announced pods were gone
//! ```
//!
//! # Example
//!
//! ```
//! use jiff::Timestamp;
//! use linkerd_failover::engine::{Defaults, Health, Intent, Now, Previous, decide};
//! use linkerd_failover::kinds::Kind;
//!
//! let split = serde_json::from_value(serde_json::json!({
//!     "apiVersion": "split.smi-spec.io/v1alpha2",
//!     "kind": "TrafficSplit",
//!     "metadata": {"name": "emoji", "namespace": "emojivoto"},
//!     "spec": {"service": "emoji-svc", "backends": [
//!         {"service": "emoji-svc", "weight": 1},
//!         {"service": "emoji-svc-west", "weight": 0},
//!     ]},
//! }))?;
//! let declaration = Kind::TrafficSplit.read(&split);
//! let intents = Intent::parse(&declaration, &Defaults::default()).expect("a readable split");
//!
//! // The primary has lost its only endpoint; the fallback has two.
//! let health = [Health::seen(0, 1), Health::seen(2, 2)];
//! let decision = decide(&intents[0], &health, Previous::Live, Now::at(Timestamp::now()));
//! assert_eq!(decision.weights, [0, 1]);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub(crate) mod annotations;
mod authored;
mod backend_index;
mod bounds;
mod choice;
mod conclusion;
mod decide;
mod decision;
mod declaration;
mod declared_down;
#[cfg(test)]
mod declared_down_history_tests;
mod default_primary;
mod delays;
mod down_records;
mod early_flip;
mod evaluation;
mod explanation;
mod external_edit;
mod fault;
mod faults;
mod field_path;
mod health;
#[cfg(test)]
mod history_tests;
mod intent;
mod names;
mod normalize;
mod object_annotations;
mod policy;
mod port_loss;
mod ports;
mod problem;
pub(crate) mod proportions;
mod protection;
mod readiness;
mod reason;
mod recorded_down;
mod recorded_losses;
mod shares;
mod state;
mod threshold;
mod tiers;
mod time;
mod values;
mod weight;
mod weight_limits;
mod weights;
pub(crate) mod work;
#[cfg(test)]
mod work_tests;
mod write_need;

pub use authored::AuthoredWeights;
pub use backend_index::BackendIndex;
pub(crate) use bounds::{FAR_BEYOND, too_many};
pub use decide::decide;
pub(crate) use decision::left_for_person;
pub use decision::{Decision, Previous};
pub use declaration::{Bounds, Declaration, DeclaredBackend, DeclaredSet, Shape};
pub(crate) use declared_down::{as_recorded, in_force};
pub(crate) use early_flip::flips_early;
pub(crate) use external_edit::external_edit;
pub use fault::Fault;
pub(crate) use faults::{is_service_name, no_primary};
pub use field_path::FieldPath;
pub(crate) use health::DOWN_AGAIN;
pub use health::{Announced, DownBasis, DownUntil, Health, Unknown};
pub use intent::{Backend, Intent, Reading};
pub(crate) use intent::{authored, defaulted_primary};
pub use names::BySet;
pub(crate) use names::{AuthoredText, service_of};
pub use object_annotations::Annotations;
pub use policy::{Defaults, Pin, Policy};
pub(crate) use ports::{MOST_PORTS, PortSet, ShortPorts};
pub use ports::{Peaks, Port, PortCount, Ports};
pub(crate) use problem::closest;
pub use problem::{Problem, Severity};
pub(crate) use protection::ProtectionSetBy;
pub use protection::{NamespaceDefault, Protection, ProtectionSources};
pub(crate) use readiness::{Readiness, each_health};
pub(crate) use reason::DecisionReason;
pub use recorded_down::{RecordedDown, RecordedDowns};
pub(crate) use recorded_losses::remembered;
pub(crate) use shares::weights_for;
pub(crate) use state::AnnouncedPodUids;
pub use state::{Identity, PendingDelays, RecordedDelays, SetState, State};
pub use threshold::Threshold;
pub(crate) use time::to_the_second;
pub use time::{Now, SteadyTime};
pub(crate) use values::{delay, expected_delay};
pub(crate) use weight::{MAX_WEIGHT, ParsedWeight};
pub use weight_limits::WeightLimits;
pub use weights::Weights;
pub(crate) use write_need::{WriteNeed, write_need};
