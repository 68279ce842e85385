//! Whether a replica should strive for the Lease: whoever leads has to be able to act.

use std::time::{Duration, Instant};

/// A leader whose caches are not whole for so long cannot do what it leads for. Longer than a watch
/// that is cut and begun anew takes.
const UNFIT: Duration = Duration::from_secs(5);

/// What a replica does about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// Takes it if it can, and renews it.
    Strive,
    /// Renews it where it has it already.
    Keep,
    /// Gives it back where it has it.
    GiveBack,
}

/// For how long a replica's caches have not been whole.
#[derive(Debug, Default)]
pub(crate) struct Fitness {
    unfit_since: Option<Instant>,
}

impl Fitness {
    pub(crate) fn stance(&mut self, caches_are_whole: bool, now: Instant) -> Stance {
        if caches_are_whole {
            self.unfit_since = None;
            return Stance::Strive;
        }
        let since = *self.unfit_since.get_or_insert(now);
        if now.saturating_duration_since(since) < UNFIT { Stance::Keep } else { Stance::GiveBack }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sees_nothing_takes_no_lease_and_gives_back_the_one_it_has_after_a_while() {
        let (mut fitness, start) = (Fitness::default(), Instant::now());
        let mut at = |ms, whole| fitness.stance(whole, start + Duration::from_millis(ms));
        assert_eq!(at(0, false), Stance::Keep);
        assert_eq!(at(4_999, false), Stance::Keep);
        assert_eq!(at(5_000, false), Stance::GiveBack);
        assert_eq!(at(6_000, true), Stance::Strive);
        assert_eq!(at(7_000, false), Stance::Keep, "every interruption is counted anew");
    }
}
