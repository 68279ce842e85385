//! The gate of records: no caller waits for them, so that they keep out of the way of flips.

use std::time::{Duration, Instant};

/// For how long a record waits: most flaps are over by then.
const DELAY: Duration = Duration::from_secs(1);
/// It is written only while fewer writes than this are under way.
const FEW_WRITES: usize = 4;
/// Otherwise it is tried again after about this.
const AGAIN: Duration = Duration::from_millis(200);

/// What a record has to keep out of the way of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    /// Writes that are under way and about to be answered.
    pub fast_writes: usize,
    /// Whether other objects wait to be reconciled.
    pub is_queued: bool,
}

/// Passes a record that is due; else how long to wait. `since`: when there was something to be
/// recorded first. Without a state the start of a delay is nowhere yet, and is recorded at once.
pub(crate) fn check(
    since: Instant,
    has_state: bool,
    traffic: Traffic,
    now: Instant,
) -> Result<(), Duration> {
    let delay = if has_state { DELAY } else { Duration::ZERO };
    let wait = delay.saturating_sub(now.saturating_duration_since(since));
    let crowded = traffic.fast_writes >= FEW_WRITES || traffic.is_queued;
    if wait.is_zero() && !crowded {
        return Ok(());
    }
    Err(wait.max(AGAIN.mul_f64(0.5 + fastrand::f64())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Traffic = Traffic { fast_writes: 0, is_queued: false };

    #[test]
    fn a_record_waits_for_a_second_and_until_nothing_is_in_its_way() {
        let since = Instant::now();
        let later = since + DELAY;
        assert!(check(since, true, QUIET, since).unwrap_err() >= DELAY);
        assert_eq!(check(since, true, QUIET, later), Ok(()));
        assert_eq!(check(since, false, QUIET, since), Ok(()), "without a state");
        let busy = Traffic { fast_writes: FEW_WRITES, ..QUIET };
        for traffic in [busy, Traffic { is_queued: true, ..QUIET }] {
            let wait = check(since, true, traffic, later).unwrap_err();
            assert!(wait >= AGAIN / 2 && wait < AGAIN * 2, "{wait:?}");
        }
    }
}
