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
        let is_calm = self.calm_from(since).is_none_or(|calm| calm <= now);
        self.fast_writes >= FEW_WRITES || self.is_queued || !is_calm
    }

    /// From when on what is unrecorded since then need not wait for calm; none: it need not at all.
    pub(crate) fn calm_from(self, since: Instant) -> Option<Instant> {
        Some((self.last_change? + CALM).min(since + MOST))
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
        assert_eq!(just_now.calm_from(since), Some(later + CALM / 2));
        let always = flips(since + MOST);
        assert_eq!(check(since, true, always, since + MOST), Ok(()));
        assert_eq!(always.calm_from(since), Some(since + MOST));
    }
}
