//! The reason of a decision, for people.

use crate::engine::{BackendIndex, Decision, DecisionReason, Health, Intent};

impl Decision {
    /// Why, for a person: the rule, and the health that it was applied to.
    pub fn explain(&self, intent: &Intent, health: &[Health]) -> String {
        let healths = |backends: &mut dyn Iterator<Item = BackendIndex>| {
            let healths: Vec<String> = backends
                .map(|i| {
                    let health = i.of(health).unwrap_or(&Health::Missing);
                    format!("{}: {health}", intent.backends[i].name)
                })
                .collect();
            healths.join(", ")
        };
        let primaries = intent.tiers.first().into_iter().flatten().copied();
        let active = || self.active.iter().copied();
        match self.reason {
            DecisionReason::PrimaryServes => healths(&mut active()),
            DecisionReason::FallbackServes => healths(&mut primaries.chain(active())),
            DecisionReason::Pinned => {
                let until = intent.policy.pin.as_ref().and_then(|pin| pin.until);
                let until = until.map(|until| format!(" until {until}")).unwrap_or_default();
                format!("{}{until}, {}", self.reason, healths(&mut active()))
            }
            DecisionReason::WaitsForLoss => format!(
                "{} of {:#}, {}",
                self.reason,
                intent.policy.failover_delay,
                healths(&mut active())
            ),
            DecisionReason::NothingReady
                if !self.active.iter().any(|i| self.before.contains(i)) =>
            {
                // What had the traffic can have none any more.
                format!(
                    "no backend is ready, so traffic goes to the first that can have it, {}",
                    healths(&mut intent.indices_of_all())
                )
            }
            DecisionReason::BelowMinimum
            | DecisionReason::NothingCovers
            | DecisionReason::OnlyDeclaredDownLeft
            | DecisionReason::OnlyUnknownLeft
            | DecisionReason::NothingReady => {
                format!("{}, {}", self.reason, healths(&mut intent.indices_of_all()))
            }
        }
    }
}
