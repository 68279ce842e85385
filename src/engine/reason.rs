//! The rule behind a decision.

use std::fmt;

/// The rule that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecisionReason {
    /// The preferred tier can serve.
    PrimaryServes,
    /// Every tier before this one is down.
    FallbackServes,
    /// The active backends are lost, but not yet for the `failover-delay`.
    WaitsForLoss,
    /// No tier meets its minimum: the first with any ready endpoint.
    BelowMinimum,
    /// No other backend serves the lost port and all ports that are left.
    NothingCovers,
    /// No backend that is not declared down meets its minimum.
    OnlyDeclaredDownLeft,
    /// No backend is known to be ready; unknown ones may be.
    OnlyUnknownLeft,
    /// No backend is ready: traffic stays.
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
            Self::OnlyDeclaredDownLeft => "no backend is ready that is not declared down",
            Self::OnlyUnknownLeft => "no backend is known to be ready",
            Self::NothingReady => "no backend is ready",
            Self::Pinned => "pinned",
        })
    }
}
