//! The rule behind a decision.

use std::fmt;

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionReason {
    /// The preferred tier can serve.
    PrimaryServes,
    /// Every tier before this one is down.
    FallbackServes,
    /// What had the traffic is lost, but not yet for as long as the author wants.
    WaitsForLoss,
    /// No tier has what it needs: the first with any ready endpoint.
    BelowMinimum,
    /// What is lost of it no other backend serves together with all that is left.
    NothingCovers,
    /// Nothing is known to be ready; what cannot be seen may be.
    OnlyUnknownLeft,
    /// Nothing is ready anywhere: what is there stays.
    NothingReady,
    /// A person wants it so.
    Pinned,
}

impl fmt::Display for DecisionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PrimaryServes => "the primary serves",
            Self::FallbackServes => "the primary is down",
            Self::WaitsForLoss => "traffic stays for the failover-delay",
            Self::BelowMinimum => "no backend has as many ready endpoints as it needs",
            Self::NothingCovers => "no other backend serves what is lost and all that is left",
            Self::OnlyUnknownLeft => "no backend is known to be ready",
            Self::NothingReady => "no backend is ready, so traffic stays where it is",
            Self::Pinned => "pinned",
        })
    }
}
