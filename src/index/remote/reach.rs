//! Whether the API of a linked cluster can be reached: a function of events, and of time.

use crate::engine::Now;
use jiff::SignedDuration;

/// How long the facts count after a watch was interrupted, until the next LIST. A watch that breaks without
/// a sign may have been silent for longer than this.
const DOUBT: SignedDuration = SignedDuration::from_secs(3);

/// Whether the API of a linked cluster can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Nothing is requested of it.
    #[default]
    Idle,
    /// Requested for the first time, and not answered yet.
    Requested { since: Now },
    /// Its slices are known; `doubted` until they are listed again.
    Seen { doubted: Option<Now> },
    /// It cannot be reached: its health is unknown.
    Lost { since: Now },
    /// It could not be reached for longer than the limit.
    Down { since: Now },
    /// An answer comes from a server that cannot be verified to be that cluster.
    Unverified { why: String },
    /// It answers as Kubernetes does, with errors only.
    Failing { why: String },
    /// It refuses us, or its credentials cannot be used. Neither this nor the two above ever become `Down`:
    /// the cluster may well serve.
    Refused { why: String },
}

/// A change that is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Transition {
    /// It is seen for the first time.
    Seen,
    /// It is seen again.
    Reachable,
    Unreachable,
    Down,
    Unverified,
    Failing,
    Refused,
    /// Nothing is requested of it any more.
    Idle,
    /// Its credentials are gone.
    Unlinked,
}

impl Reach {
    /// A LIST of it begins.
    pub(crate) fn request(&mut self, now: Now) {
        match self {
            Self::Idle => *self = Self::Requested { since: now },
            Self::Seen { doubted: doubted @ None } => *doubted = Some(now),
            _ => {}
        }
    }

    /// A LIST of it is complete.
    pub(crate) fn listed(&mut self) {
        *self = Self::Seen { doubted: None };
    }

    /// The watch broke: a LIST follows at once.
    pub(crate) fn interrupted(&mut self, now: Now) {
        self.request(now);
    }

    /// It did not answer.
    pub(crate) fn failed(&mut self, now: Now) {
        let since = match self {
            Self::Requested { since } | Self::Seen { doubted: Some(since) } => *since,
            Self::Lost { .. } | Self::Down { .. } => return,
            Self::Idle
            | Self::Seen { doubted: None }
            | Self::Unverified { .. }
            | Self::Failing { .. }
            | Self::Refused { .. } => now,
        };
        *self = Self::Lost { since };
    }

    /// A server answered that cannot be verified.
    pub(crate) fn unverified(&mut self, why: String) {
        *self = Self::Unverified { why };
    }

    /// It answered with an error that may pass.
    pub(crate) fn failing(&mut self, why: String) {
        *self = Self::Failing { why };
    }

    /// It refused the request.
    pub(crate) fn refused(&mut self, why: String) {
        *self = Self::Refused { why };
    }

    pub(crate) fn idle(&mut self) {
        if !matches!(self, Self::Refused { .. }) {
            *self = Self::Idle;
        }
    }

    /// Follows the time, one transition at a call: each is reported.
    pub(crate) fn pass(&mut self, now: Now, limit: SignedDuration) {
        match self {
            Self::Requested { since } | Self::Seen { doubted: Some(since) }
                if lasted(*since, now) >= DOUBT =>
            {
                *self = Self::Lost { since: *since };
            }
            Self::Lost { since } if lasted(*since, now) >= limit => {
                *self = Self::Down { since: *since };
            }
            _ => {}
        }
    }

    /// After how long the next transition is due by time alone.
    pub(crate) fn next(&self, now: Now, limit: SignedDuration) -> Option<SignedDuration> {
        let left = match self {
            Self::Requested { since } | Self::Seen { doubted: Some(since) } => {
                DOUBT - lasted(*since, now)
            }
            Self::Lost { since } => limit - lasted(*since, now),
            _ => return None,
        };
        Some(left.max(SignedDuration::ZERO))
    }

    /// Whether its slices count.
    pub(crate) fn is_seen(&self) -> bool {
        matches!(self, Self::Seen { .. })
    }

    /// The change since `before` that is reported.
    pub(crate) fn transition(&self, before: &Self) -> Option<Transition> {
        let kind = std::mem::discriminant;
        match self {
            Self::Refused { .. } if self != before => Some(Transition::Refused),
            Self::Unverified { .. } if self != before => Some(Transition::Unverified),
            _ if kind(self) == kind(before) => None,
            Self::Seen { .. } if matches!(before, Self::Idle | Self::Requested { .. }) => {
                Some(Transition::Seen)
            }
            Self::Seen { .. } => Some(Transition::Reachable),
            Self::Lost { .. } => Some(Transition::Unreachable),
            Self::Down { .. } => Some(Transition::Down),
            Self::Failing { .. } => Some(Transition::Failing),
            Self::Idle => Some(Transition::Idle),
            Self::Requested { .. } | Self::Unverified { .. } | Self::Refused { .. } => None,
        }
    }
}

/// By the steady clock.
fn lasted(since: Now, now: Now) -> SignedDuration {
    since.steady.duration_until(now.steady)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    const LIMIT: SignedDuration = SignedDuration::from_secs(60);

    fn at(ms: i64) -> Now {
        Now::at(Timestamp::from_millisecond(ms).unwrap())
    }

    #[test]
    fn a_watch_that_breaks_and_is_listed_again_at_once_was_never_lost() {
        let mut reach = Reach::Seen { doubted: None };
        reach.interrupted(at(1_000));
        reach.pass(at(3_999), LIMIT);
        assert!(reach.is_seen());
        reach.listed();
        reach.pass(at(100_000), LIMIT);
        assert_eq!(reach, Reach::Seen { doubted: None });
    }

    #[test]
    fn one_that_is_not_listed_again_is_lost_since_it_broke_and_down_after_the_limit() {
        let mut reach = Reach::Seen { doubted: None };
        reach.interrupted(at(1_000));
        reach.failed(at(1_010));
        assert_eq!(reach, Reach::Lost { since: at(1_000) });
        assert_eq!(reach.next(at(31_000), LIMIT), Some(SignedDuration::from_secs(30)));
        reach.pass(at(60_999), LIMIT);
        assert_eq!(reach, Reach::Lost { since: at(1_000) });
        reach.pass(at(61_000), LIMIT);
        assert_eq!(reach, Reach::Down { since: at(1_000) });
        assert_eq!(reach.next(at(61_000), LIMIT), None);
    }

    #[test]
    fn one_that_hangs_is_lost_after_a_moment() {
        let mut reach = Reach::Idle;
        reach.request(at(0));
        assert_eq!(reach.next(at(0), LIMIT), Some(DOUBT));
        reach.pass(at(3_000), LIMIT);
        assert_eq!(reach, Reach::Lost { since: at(0) });
    }

    #[test]
    fn one_that_answers_and_refuses_is_never_down() {
        let mut reach = Reach::Down { since: at(0) };
        reach.refused("401".into());
        reach.pass(at(1_000_000), LIMIT);
        assert_eq!(reach, Reach::Refused { why: "401".into() });
    }

    #[test]
    fn one_that_answers_and_cannot_be_verified_or_fails_is_never_down_and_its_next_loss_is_a_new_one()
     {
        for answer in [
            (|reach, why| Reach::unverified(reach, why)) as fn(&mut Reach, String),
            |reach, why| reach.failing(why),
        ] {
            for mut reach in [
                Reach::Requested { since: at(0) },
                Reach::Seen { doubted: Some(at(0)) },
                Reach::Lost { since: at(0) },
                Reach::Down { since: at(0) },
            ] {
                answer(&mut reach, "why".into());
                let answered = reach.clone();
                assert_eq!(reach.next(at(1_000), LIMIT), None);
                reach.pass(at(1_000_000), LIMIT);
                reach.request(at(1_000_000));
                assert_eq!(reach, answered);
                assert!(!reach.is_seen());
                // What was before it answered does not count.
                reach.failed(at(2_000_000));
                assert_eq!(reach, Reach::Lost { since: at(2_000_000) });
            }
        }
    }

    #[test]
    fn another_certificate_is_reported_and_another_error_is_not() {
        let unverified = |why: &str| Reach::Unverified { why: why.into() };
        let failing = |why: &str| Reach::Failing { why: why.into() };
        let reported = |before: &Reach, now: &Reach| now.transition(before);
        assert_eq!(reported(&Reach::Idle, &unverified("a")), Some(Transition::Unverified));
        assert_eq!(reported(&unverified("a"), &unverified("a")), None);
        assert_eq!(reported(&unverified("a"), &unverified("b")), Some(Transition::Unverified));
        assert_eq!(reported(&unverified("a"), &failing("a")), Some(Transition::Failing));
        assert_eq!(reported(&failing("a"), &failing("b")), None);
        assert_eq!(
            reported(&failing("a"), &Reach::Seen { doubted: None }),
            Some(Transition::Reachable)
        );
    }

    #[derive(Clone, Debug)]
    enum Step {
        Request,
        Listed,
        Interrupted,
        Failed,
        Unverified,
        Failing,
        Refused,
        Pass(i64),
    }

    proptest! {
        #[test]
        fn down_comes_by_time_alone_and_not_before_the_limit_of_one_loss(
            steps in proptest::collection::vec(prop_oneof![
                Just(Step::Request), Just(Step::Listed), Just(Step::Interrupted), Just(Step::Failed),
                Just(Step::Unverified), Just(Step::Failing), Just(Step::Refused),
                (1_i64..40_000).prop_map(Step::Pass),
            ], 1..80),
        ) {
            let (mut reach, mut now, mut last_answer) = (Reach::Idle, 0, 0);
            for step in steps {
                let before = reach.clone();
                match step {
                    Step::Request => reach.request(at(now)),
                    Step::Listed => { reach.listed(); last_answer = now }
                    Step::Interrupted => reach.interrupted(at(now)),
                    Step::Failed => reach.failed(at(now)),
                    Step::Unverified => { reach.unverified("no".into()); last_answer = now }
                    Step::Failing => { reach.failing("no".into()); last_answer = now }
                    Step::Refused => { reach.refused("no".into()); last_answer = now }
                    Step::Pass(ms) => { now += ms; reach.pass(at(now), LIMIT) }
                }
                if let Reach::Down { since } = reach {
                    prop_assert!(lasted(since, at(now)) >= LIMIT);
                    prop_assert!(since.steady >= at(last_answer).steady, "it answered meanwhile");
                }
                // What is reported is what changed.
                let reported = reach.transition(&before);
                prop_assert_eq!(reported == Some(Transition::Down),
                    matches!(reach, Reach::Down { .. }) && !matches!(before, Reach::Down { .. }));
                // Time alone leads to a state that stays.
                let mut last = reach.clone();
                while let Some(wait) = last.next(at(now), LIMIT) {
                    now += i64::try_from(wait.as_millis()).unwrap();
                    let before = last.clone();
                    last.pass(at(now), LIMIT);
                    prop_assert_ne!(&last, &before);
                }
                reach = last;
            }
        }
    }
}
