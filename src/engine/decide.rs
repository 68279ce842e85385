//! The entrance of the engine: one decision for one set of backends.

use crate::engine::conclusion::decide_by_health;
use crate::engine::early_flip::early_flip;
use crate::engine::{Decision, Health, Intent, Now, Previous, in_force, remembered};

/// Decides which backends get traffic.
///
/// `health` has an entry for each of `intent.backends`; a missing entry counts as
/// [`Health::Missing`].
///
/// Moving off a backend that no longer serves is a loss: it is delayed by `failover-delay` alone. Moving
/// to a better one while this one serves is a recovery: it is delayed by `failback-delay`, and until a
/// person asks for it where `failback` is manual, but only where a loss brought the traffic here.
///
/// A backend that is declared down counts as lost at once, whatever its endpoints are, and traffic returns to it
/// as after any loss. Where no other meets its minimum, the declarations do not count.
///
/// Announced endpoints count as gone already where traffic has a ready backend to go to and its author
/// wants no delay. An announced loss that does not come is none: traffic returns at once.
///
/// ```
/// use linkerd_failover::engine::{Defaults, Health, Intent, Now, Previous, decide};
/// use linkerd_failover::kinds::Kind;
///
/// let split = serde_json::from_value(serde_json::json!({
///     "apiVersion": "split.smi-spec.io/v1alpha2", "kind": "TrafficSplit",
///     "metadata": {"name": "emoji", "namespace": "emojivoto"},
///     "spec": {"service": "emoji", "backends": [
///         {"service": "emoji", "weight": 1}, {"service": "emoji-west", "weight": 0},
///     ]},
/// })).unwrap();
/// let declared = Kind::TrafficSplit.read(&split);
/// let intent = &Intent::parse(&declared, &Defaults::default()).unwrap()[0];
/// // The primary has no ready endpoint of its two, the fallback has both of its own.
/// let health = [Health::seen(0, 2), Health::seen(2, 2)];
/// let decision = decide(intent, &health, Previous::Live, Now::default());
/// assert_eq!(decision.names(intent), ["emoji-west"]);
/// assert_eq!(decision.weights, [0, 1]);
/// assert_eq!(
///     decision.explain(intent, &health),
///     "emoji: 0 of 2 endpoints ready, emoji-west: 2 of 2 endpoints ready"
/// );
/// ```
pub fn decide(intent: &Intent, health: &[Health], previous: Previous<'_>, now: Now) -> Decision {
    let recorded = previous.decided().map(|(set, _)| set);
    let health = &*remembered(intent, health, recorded);
    let health = &*in_force(intent, health, recorded, now.wall);
    let seen = decide_by_health(intent, health, previous, now);
    early_flip(&seen, intent, health, previous, now).unwrap_or(seen)
}
