//! The pure core: what an author asked for, what is healthy, and what the weights should be.
//!
//! Nothing here knows Kubernetes clients, async or the clock. A kind of object reaches the engine
//! as a [`Declaration`]; [`Intent::parse`] is the one parser that webhook, controller and CLI
//! share; [`decide`] is the one decision.

pub mod annotations;
mod authored;
mod decision;
mod health;
mod intent;
mod problem;
mod state;
mod weight;

pub use authored::AuthoredWeights;
pub use decision::{Because, Decision, Previous, decide, needs_write, weights_for};
pub use health::{Health, Unknown};
pub use intent::{Backend, Declaration, DeclaredBackend, Intent};
pub use problem::{Problem, Severity, closest};
pub use state::{SetState, State};
pub use weight::{MAX_WEIGHT, ParsedWeight, Weights};
