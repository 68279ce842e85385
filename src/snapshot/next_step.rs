//! What the traffic of a set waits for: the event or the time after which it moves.

use crate::engine::{
    Backend, Decision, DecisionReason, Health, Intent, Now, Readiness, SteadyTime, Unknown,
    to_the_second,
};
use crate::reconciler::set_decision::SetDecision;
use crate::reconciler::traffic_on::Stopped;
use crate::snapshot::freeze::Freeze;
use crate::snapshot::take::Snapshot;
use jiff::{SignedDuration, Timestamp};
use std::fmt;

/// What a set waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NextStep {
    /// Nothing: the controller writes it now.
    Write { to: Vec<String> },
    /// The end of a pause; without a time, a person who takes it off. Where traffic would move, to these.
    Resume { to: Vec<String>, until: Option<Timestamp> },
    /// The end of a freeze; without a time, a person who takes it off.
    Unfreeze { to: Vec<String>, until: Option<Timestamp> },
    /// A person, who releases the brake.
    BrakeRelease { to: Vec<String> },
    /// The end of `failover-delay`.
    FailoverDelay { backend: String, left: SignedDuration },
    /// The end of `failback-delay`.
    FailbackDelay { backend: String, left: SignedDuration },
    /// A person, who requests the failback.
    FailbackRequest { backend: String },
    /// The end of a pin; without a time, a person who takes it off.
    Pin { until: Option<Timestamp> },
    /// The end of a declaration that a Service is down.
    Declaration { backend: String, until: Timestamp },
    /// Endpoints that are ready.
    Endpoints { backends: Vec<String> },
    /// The health of backends, which cannot be seen.
    Health { backend: String, why: Unknown },
}

impl Snapshot {
    /// What a set waits for, by what is decided of it; empty where it is as it should be.
    pub(super) fn next_steps(&self, decided: &SetDecision<'_>) -> Vec<NextStep> {
        let due = due(decided, self.freeze(), self.stopped());
        next_steps(decided, due, self.now)
    }
}

fn next_steps(decided: &SetDecision<'_>, due: Option<NextStep>, now: Now) -> Vec<NextStep> {
    let intent = &decided.set.intent;
    let mut next: Vec<NextStep> = due.into_iter().collect();
    if decided.decision.reason == DecisionReason::Pinned {
        next.push(NextStep::Pin { until: intent.policy.pin.as_ref().and_then(|pin| pin.until) });
        return next;
    }
    next.extend(delays(intent, &decided.decision, now));
    next.extend(failback_request(decided));
    next.extend(declarations(intent, &decided.health));
    if Readiness::of(&decided.health) == Readiness::Nothing {
        next.push(NextStep::Endpoints { backends: names(intent) });
    }
    next.extend(unknown(decided));
    next
}

/// A move that is due, and who makes it or stands in its way. A pause is waited for in any case.
fn due(decided: &SetDecision<'_>, freeze: Option<Freeze>, stopped: Stopped) -> Option<NextStep> {
    let to = if decided.moves { decided.active() } else { vec![] };
    if decided.paused {
        return Some(NextStep::Resume { to, until: decided.set.intent.policy.paused_until });
    }
    let step = if let Some(freeze) = freeze {
        NextStep::Unfreeze { to, until: freeze.until }
    } else if stopped.stops(decided) {
        NextStep::BrakeRelease { to }
    } else {
        NextStep::Write { to }
    };
    decided.moves.then_some(step)
}

/// The delays that run: those of active backends are of a loss, all others of a recovery.
fn delays(intent: &Intent, decision: &Decision, now: Now) -> Vec<NextStep> {
    let active = decision.names(intent);
    let delay = |(backend, since): (&String, &SteadyTime)| {
        let (is_active, policy) = (active.contains(backend), &intent.policy);
        let delay = if is_active { policy.failover_delay } else { policy.failback_delay };
        let left = delay - since.duration_until(now.steady);
        let backend = backend.clone();
        let step = match is_active {
            true => NextStep::FailoverDelay { backend, left },
            false => NextStep::FailbackDelay { backend, left },
        };
        left.is_positive().then_some(step)
    };
    decision.pending.iter().filter_map(delay).collect()
}

/// A stay on a fallback that a person has to end, while the primary is back.
fn failback_request(decided: &SetDecision<'_>) -> Option<NextStep> {
    let SetDecision { set, health, decision, .. } = decided;
    let intent = &set.intent;
    let is_stay = intent.policy.manual_failback && decision.left.is_some();
    let none = Default::default();
    let peaks = set.state.as_ref().map_or(&none, |state| &state.peaks);
    let backends = intent.indexed().zip(health);
    let mut back = backends.filter(|((i, backend), health)| {
        intent.is_primary(*i) && !decision.active.contains(i) && backend.is_met_by(health, peaks)
    });
    let ((_, backend), _) = back.next().filter(|_| is_stay)?;
    Some(NextStep::FailbackRequest { backend: backend.name.clone() })
}

fn declarations(intent: &Intent, health: &[Health]) -> Vec<NextStep> {
    let declaration = |(backend, health): (&Backend, &Health)| {
        let down = health.declared()?;
        Some(NextStep::Declaration { backend: backend.name.clone(), until: down.until })
    };
    intent.backends.iter().zip(health).filter_map(declaration).collect()
}

/// A preferred backend, or one that has the traffic, whose health cannot be seen.
fn unknown(decided: &SetDecision<'_>) -> Option<NextStep> {
    let SetDecision { set, health, decision, .. } = decided;
    let intent = &set.intent;
    intent.indexed().zip(health).find_map(|((i, backend), health)| {
        let concerned = intent.is_primary(i) || decision.active.contains(&i);
        let Health::Unknown(why) = health.undeclared() else { return None };
        let wait = || NextStep::Health { backend: backend.name.clone(), why: why.clone() };
        concerned.then(wait)
    })
}

impl NextStep {
    /// Its name for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Write { .. } => "write",
            Self::Resume { .. } => "resume",
            Self::Unfreeze { .. } => "unfreeze",
            Self::BrakeRelease { .. } => "brake-release",
            Self::FailoverDelay { .. } => "failover-delay",
            Self::FailbackDelay { .. } => "failback-delay",
            Self::FailbackRequest { .. } => "failback-request",
            Self::Pin { .. } => "pin",
            Self::Declaration { .. } => "declaration",
            Self::Endpoints { .. } => "endpoints",
            Self::Health { .. } => "health",
        }
    }

    /// When it is over by itself.
    pub(crate) fn at(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::FailoverDelay { left, .. } | Self::FailbackDelay { left, .. } => {
                Some(to_the_second(now.saturating_add(*left).unwrap_or(now)))
            }
            Self::Pin { until } | Self::Resume { until, .. } | Self::Unfreeze { until, .. } => {
                *until
            }
            Self::Declaration { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Whether traffic moves soon, and without a person.
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self, Self::Write { .. } | Self::FailoverDelay { .. } | Self::FailbackDelay { .. })
    }

    /// The same, however long it still takes.
    pub(crate) fn without_time(&self) -> Self {
        let left = SignedDuration::ZERO;
        match self {
            Self::FailoverDelay { backend, .. } => {
                Self::FailoverDelay { backend: backend.clone(), left }
            }
            Self::FailbackDelay { backend, .. } => {
                Self::FailbackDelay { backend: backend.clone(), left }
            }
            other => other.clone(),
        }
    }
}

fn names(intent: &Intent) -> Vec<String> {
    intent.backends.iter().map(|backend| backend.name.clone()).collect()
}

impl fmt::Display for NextStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = |to: &Vec<String>| to.join(", ");
        match self {
            Self::Write { to: names } => write!(f, "moves to {} now", to(names)),
            Self::Resume { to: names, until } if names.is_empty() => {
                write!(f, "paused{}", end(*until))
            }
            Self::Resume { to: names, until } => {
                write!(f, "paused{}, would move to {}", end(*until), to(names))
            }
            Self::Unfreeze { to: names, until } => {
                write!(f, "the cluster is frozen{}, would move to {}", end(*until), to(names))
            }
            Self::BrakeRelease { to: names } => {
                write!(f, "the brake holds, would move to {}", to(names))
            }
            Self::FailoverDelay { backend, left } => {
                write!(f, "leaves {backend} in {}", seconds(*left))
            }
            Self::FailbackDelay { backend, left } => {
                write!(f, "returns to {backend} in {}", seconds(*left))
            }
            Self::FailbackRequest { backend } => {
                write!(f, "{backend} is back, returns when that is requested")
            }
            Self::Pin { until: Some(until) } => write!(f, "pinned until {until}"),
            Self::Pin { until: None } => f.write_str("pinned until that is taken off"),
            Self::Declaration { backend, until } => {
                write!(f, "{backend} is declared down until {until}")
            }
            Self::Endpoints { .. } => f.write_str("waits for a ready endpoint"),
            Self::Health { backend, why } => write!(f, "health of {backend} unknown, {why}"),
        }
    }
}

fn end(until: Option<Timestamp>) -> String {
    until.map(|until| format!(" until {until}")).unwrap_or_default()
}

/// Whole seconds, at least one: `42s`, `1m30s`.
fn seconds(left: SignedDuration) -> String {
    let seconds = left.as_secs() + i64::from(left.subsec_nanos() > 0);
    let rounded = SignedDuration::from_secs(seconds.max(1));
    format!("{rounded:#}").replace(' ', "")
}
