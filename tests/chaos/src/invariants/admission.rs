//! 5: admission lets what is legal, refuses what is not, and echoes the uid.

use crate::bounds::{ILLEGAL_TAKEN, LEGAL_REFUSED, UID_ECHOED};
use crate::facts::{At, Broken, Fact, Outcome, Worst};
use crate::invariants::{Gauge, Input, Invariant};
use crate::model::World;
use std::time::Duration;

/// Of what else refuses an apply, by the message: not the program's webhook.
const BY_OTHERS: &[&str] = &[
    "third-webhook",
    "object has been modified",
    "not found",
    "being terminated",
    "being deleted",
];
/// What an API server says of an answer to another request.
const OTHER_UID: &str = "response.uid";
/// Statuses of an API server that is not there, or has too much to do.
const NOT_THERE: &[u16] = &[429, 503, 504];

/// With less of the CPU than this, a review may not be answered within the webhook's timeout.
const STARVED: f64 = 0.2;
/// An apply may be so much older than its answer.
const LATELY: Duration = Duration::from_secs(5);

/// Looks at every apply.
pub(super) struct Admission {
    /// When the processes had too little CPU last.
    starved: Option<At>,
    refused: Gauge,
    taken: Gauge,
    uid: Gauge,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            starved: None,
            refused: Gauge::of(&LEGAL_REFUSED),
            taken: Gauge::of(&ILLEGAL_TAKEN),
            uid: Gauge::of(&UID_ECHOED),
        }
    }
}

impl Invariant for Admission {
    fn see(&mut self, world: &World, now: At, input: Input<'_>) -> Vec<Broken> {
        if world.pace.is_some_and(|share| share < STARVED) {
            self.starved = Some(now);
        }
        let Input::Fact(Fact::Declared {
            object,
            legal,
            needs_lookup,
            outcome,
            while_a_replica_was_reachable,
            uid_echoed,
            at,
        }) = input
        else {
            return vec![];
        };
        let mut broken = vec![];
        if let Some(echoed) = uid_echoed.or_else(|| seen_by_api_server(outcome)) {
            self.uid.looked();
            if !echoed && self.uid.count() {
                broken.push(self.uid.broken(object, *at, vec![format!("{outcome:?}")]));
            }
        }
        let is_starved = self.starved.is_some_and(|last| now.0 <= last.0 + LATELY);
        if !while_a_replica_was_reachable || is_starved && depends_on_time(outcome, *needs_lookup) {
            return broken;
        }
        let gauge = match (legal, outcome) {
            (true, Outcome::Refused { status, message }) if is_ours(*status, message) => {
                &mut self.refused
            }
            (false, Outcome::Applied) => &mut self.taken,
            (true, _) => return looked(&mut self.refused, broken),
            (false, _) => return looked(&mut self.taken, broken),
        };
        if gauge.count() {
            broken.push(gauge.broken(object, *at, vec![format!("{outcome:?}")]));
        }
        broken
    }

    fn worst(&self) -> Vec<Worst> {
        [&self.refused, &self.taken, &self.uid].map(Gauge::worst).into()
    }
}

/// Whether an answer had the uid of its request: an API server that got one looks at it.
fn seen_by_api_server(outcome: &Outcome) -> Option<bool> {
    match outcome {
        Outcome::Applied => Some(true),
        Outcome::Refused { message, .. } => Some(!message.contains(OTHER_UID)),
        Outcome::Unanswered => None,
    }
}

/// Whether more time would have led to another outcome: a call that took too long is refused by the API server,
/// and a Service that could not be looked up in time is warned of. What the webhook itself denies is no such thing.
fn depends_on_time(outcome: &Outcome, needs_lookup: bool) -> bool {
    match outcome {
        Outcome::Refused { message, .. } => message.contains("failed calling webhook"),
        Outcome::Applied => needs_lookup,
        Outcome::Unanswered => true,
    }
}

fn looked(gauge: &mut Gauge, broken: Vec<Broken>) -> Vec<Broken> {
    gauge.looked();
    broken
}

/// Whether it is the program's webhook that refused it, or that was not called though it was reachable.
fn is_ours(status: u16, message: &str) -> bool {
    !NOT_THERE.contains(&status) && !BY_OTHERS.iter().any(|other| message.contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{ObjectId, ObjectKind};
    use crate::invariants::test_world::{NONE, TestWorld};

    fn declared(
        legal: bool,
        outcome: Outcome,
        reachable: bool,
        uid_echoed: Option<bool>,
    ) -> Vec<u8> {
        let mut world = TestWorld::default();
        let object =
            ObjectId { kind: ObjectKind::TrafficSplit, namespace: "ns".into(), name: "web".into() };
        world.fact(Fact::Declared {
            object,
            legal,
            needs_lookup: false,
            outcome,
            while_a_replica_was_reachable: reachable,
            uid_echoed,
            at: At(Duration::ZERO),
        });
        world.broken()
    }

    fn refused(status: u16, message: &str) -> Outcome {
        Outcome::Refused { status, message: message.into() }
    }

    #[test]
    fn a_legal_apply_that_is_refused_breaks_it_where_a_replica_was_reachable() {
        let denied =
            refused(403, "admission webhook \"linkerd-failover.linkerd.io\" denied the request");
        assert_eq!(declared(true, denied.clone(), true, None), [5]);
        assert_eq!(declared(true, denied, false, None), NONE);
        assert_eq!(declared(true, refused(409, "the object has been modified"), true, None), NONE);
        assert_eq!(declared(true, refused(503, "etcd"), true, None), NONE);
        assert_eq!(declared(true, refused(500, "failed calling webhook"), true, None), [5]);
        assert_eq!(declared(true, Outcome::Applied, true, Some(true)), NONE);
    }

    #[test]
    fn an_illegal_apply_that_is_taken_breaks_it() {
        assert_eq!(declared(false, Outcome::Applied, true, None), [5]);
        assert_eq!(declared(false, refused(403, "denied"), true, None), NONE);
        assert_eq!(declared(false, Outcome::Applied, false, None), NONE);
    }

    #[test]
    fn a_machine_that_gives_the_processes_next_to_no_cpu_is_not_blamed_on_them() {
        let taken = |seconds, needs_lookup| {
            let mut world = TestWorld::default();
            world.fact(Fact::Pace { share: 0.1, at: At(Duration::ZERO) });
            world.fact(Fact::Pace { share: 0.9, at: At(Duration::ZERO) });
            world.pass(seconds);
            let object = ObjectId {
                kind: ObjectKind::TrafficSplit,
                namespace: "ns".into(),
                name: "web".into(),
            };
            world.fact(Fact::Declared {
                object,
                legal: false,
                needs_lookup,
                outcome: Outcome::Applied,
                while_a_replica_was_reachable: true,
                uid_echoed: None,
                at: At(Duration::ZERO),
            });
            world.broken()
        };
        assert_eq!(taken(4.0, true), NONE);
        assert_eq!(taken(6.0, true), [5]);
        assert_eq!(taken(4.0, false), [5], "what is wrong is in the object itself");
    }

    #[test]
    fn an_answer_with_another_uid_breaks_it_whenever_it_comes() {
        assert_eq!(declared(true, Outcome::Applied, false, Some(false)), [5]);
        let other = refused(500, "failed calling webhook: expected response.uid=\"a\", got \"b\"");
        assert_eq!(declared(false, other, false, None), [5]);
    }
}
