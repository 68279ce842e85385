//! The gate of records: no caller waits for them, so that they keep out of the way of flips.

use std::time::{Duration, Instant};

/// For how long a record waits: most flaps are over by then.
const DELAY: Duration = Duration::from_secs(1);
/// It is written only while fewer writes than this are under way.
const FEW_WRITES: usize = 4;
/// And once nothing else has been written for this long: Services that are lost one after the other leave
/// the places of writes free between two of them.
const CALM: Duration = Duration::from_millis(200);
/// The longest that a record waits for calm, where something is always written.
const MOST: Duration = Duration::from_secs(10);

/// What a record has to keep out of the way of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Writes that are under way and about to be answered.
    pub fast_writes: usize,
    /// Whether other objects wait to be reconciled.
    pub is_queued: bool,
    /// When a write that is no record began last.
    pub last_change: Option<Instant>,
}

impl Traffic {
    /// Whether a record of what is unrecorded since then would be in the way of anything.
    pub(crate) fn is_crowded(self, since: Instant, now: Instant) -> bool {
        self.free_from(since, now).is_none_or(|free| free > now)
    }

    /// From when on a record of what is unrecorded since then is in the way of nothing, if nothing comes. That may be
    /// past: then it was in the way when it was looked at last, and nobody looks again. None: something is in its
    /// way whose end is noticed by itself.
    pub(crate) fn free_from(self, since: Instant, now: Instant) -> Option<Instant> {
        let is_busy = self.fast_writes >= FEW_WRITES || self.is_queued;
        let calm = self.last_change.map_or(now, |last| (last + CALM).min(since + MOST));
        (!is_busy).then_some(calm)
    }
}

/// When a record may be written that may not be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// After this time.
    After(Duration),
    /// Once it is in the way of nothing.
    Uncrowded,
}

/// Passes a record that is due. `since`: when there was something to be recorded first. Without a state
/// the start of a delay is nowhere yet, and is recorded at once.
pub(crate) fn check(
    since: Instant,
    has_state: bool,
    traffic: Traffic,
    now: Instant,
) -> Result<(), Later> {
    let delay = if has_state { DELAY } else { Duration::ZERO };
    match delay.saturating_sub(now.saturating_duration_since(since)) {
        Duration::ZERO if traffic.is_crowded(since, now) => Err(Later::Uncrowded),
        Duration::ZERO => Ok(()),
        wait => Err(Later::After(wait)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Traffic = Traffic { fast_writes: 0, is_queued: false, last_change: None };

    #[test]
    fn a_record_waits_for_a_second_and_until_nothing_is_in_its_way() {
        let since = Instant::now();
        let later = since + DELAY;
        assert_eq!(check(since, true, QUIET, since), Err(Later::After(DELAY)));
        assert_eq!(check(since, true, QUIET, later), Ok(()));
        assert_eq!(check(since, false, QUIET, since), Ok(()), "without a state");
        let busy = Traffic { fast_writes: FEW_WRITES, ..QUIET };
        for traffic in [busy, Traffic { is_queued: true, ..QUIET }] {
            assert_eq!(check(since, true, traffic, later), Err(Later::Uncrowded));
            assert_eq!(check(since, true, traffic, since), Err(Later::After(DELAY)));
        }
    }

    #[test]
    fn a_record_waits_until_the_last_flip_is_past_and_not_for_ever() {
        let since = Instant::now();
        let later = since + DELAY;
        let flips = |at| Traffic { last_change: Some(at), ..QUIET };
        assert_eq!(check(since, true, flips(later - CALM), later), Ok(()));
        let just_now = flips(later - CALM / 2);
        assert_eq!(check(since, true, just_now, later), Err(Later::Uncrowded));
        assert_eq!(just_now.free_from(since, later), Some(later + CALM / 2));
        let always = flips(since + MOST);
        assert_eq!(check(since, true, always, since + MOST), Ok(()));
        assert_eq!(always.free_from(since, later), Some(since + MOST));
    }

    #[test]
    fn a_record_that_has_come_free_since_it_was_looked_at_is_due_at_once() {
        let since = Instant::now();
        let last = since + DELAY;
        let flips = Traffic { last_change: Some(last), ..QUIET };
        let (looked, later) = (last + CALM - Duration::from_nanos(1), last + CALM * 2);
        assert!(flips.is_crowded(since, looked));
        assert!(flips.free_from(since, later).is_some_and(|free| free <= later));
        assert_eq!(QUIET.free_from(since, later), Some(later));
        // Their ends wake whoever looks.
        for traffic in
            [Traffic { fast_writes: FEW_WRITES, ..flips }, Traffic { is_queued: true, ..flips }]
        {
            assert_eq!(traffic.free_from(since, later), None);
        }
    }
}
