//! The life of the CA, as steps of the Secret.
//!
//! ```text
//!            due                    in every bundle             for the settle time
//!  Steady ─────────► Spreading ───────────────────► Settling ───────────────────────┐
//!    ▲  next made                                                 next is promoted  │
//!    │                                                                              ▼
//!    └───────────────────────────── Retiring ◄───────────────────────────────────────
//!      the old CA's last leaf ended           its certificate stays in the bundle
//! ```
//!
//! The place is told by what the Secret holds, so a replica continues what another began, and of
//! two that act at once the API server takes the first: the other reads again and finds the step
//! made. Only the settling is each replica's own to measure, by a clock that nobody sets.

use crate::held::{Held, Slot, bundle, with_next, with_old, with_present};
use crate::lives::{backdated, shifted};
use crate::{Authority, Data, Error, Lives};
use jiff::{SignedDuration, Timestamp};

/// Where the rotation of the CA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// One CA.
    Steady,
    /// The next CA is made, and not in every bundle yet.
    Spreading,
    /// The next CA is in every bundle; API servers may not have heard of it yet.
    Settling,
    /// The former CA is trusted until its last leaf has ended.
    Retiring,
}

/// What is seen, beside the time.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The Secret as it was just read.
    pub data: &'a Data,
    /// For how long the next CA has been in every bundle; see [`Settling`](crate::Settling).
    pub trusted_for: Option<SignedDuration>,
}

/// What to do with the Secret.
#[derive(Debug)]
pub enum Step {
    /// Nothing: issue from this, trust that.
    Use(InUse),
    /// Write this to it, on the resourceVersion that was read. Whether that succeeds or somebody
    /// else was faster: read and ask again.
    Write { data: Data, change: Change },
}

/// A Secret in order.
#[derive(Debug)]
pub struct InUse {
    pub authority: Authority,
    /// For every `caBundle`.
    pub bundle: String,
    pub phase: Phase,
    /// When there may be a further step, if nothing else changes.
    pub look_again: Option<Timestamp>,
}

/// What a write of the Secret does, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was no CA yet.
    Made,
    /// The present CA could not be used: there is another one at once.
    Repaired(String),
    /// The next CA was made: the present one is to be replaced.
    NextMade,
    /// The next CA could not be used, which hurts nobody: there is another next one.
    NextReplaced(String),
    /// The next CA is the present one now.
    Promoted,
    /// How long former CAs are trusted was not said, or too long.
    OldDated,
    /// Nothing that a former CA issued is valid any more.
    OldDropped,
}

/// Decides from what is seen. `names` are the DNS names that the CA may vouch for.
pub fn next(
    seen: Seen<'_>,
    names: &[String],
    lives: &Lives,
    now: Timestamp,
) -> Result<Step, Error> {
    let data = || seen.data.clone();
    let write = |data, change| Ok(Step::Write { data, change });
    let held = Held::read(seen.data, names, lives, now);

    let present = match (held.present, &held.next) {
        (Slot::Good(present), _) => present,
        (Slot::Bad(reason), Slot::Good(next)) => {
            return write(promoted(data(), next, lives, now), Change::Repaired(reason));
        }
        (Slot::Empty, Slot::Good(next)) => {
            let reason = "the present CA was taken away".to_owned();
            return write(promoted(data(), next, lives, now), Change::Repaired(reason));
        }
        (Slot::Bad(reason), _) => {
            let made = Authority::generate(names, lives, now)?;
            return write(with_present(data(), &made, lives, now), Change::Repaired(reason));
        }
        (Slot::Empty, _) => {
            let made = Authority::generate(names, lives, now)?;
            return write(with_present(data(), &made, lives, now), Change::Made);
        }
    };
    if held.foreign {
        // The newer replica that wrote this goes on with it.
        return Ok(Step::Use(in_use(present, seen, Phase::Steady, None)));
    }
    let until = shifted(now, lives.retirement());
    // Nothing promoted by a clock near ours is trusted longer: that one was far ahead.
    let latest = shifted(until, backdated(lives.leaf));
    match held.old_until {
        _ if held.old.is_empty() => {}
        Some(end) if end <= now => return write(with_old(data(), &[], now), Change::OldDropped),
        Some(end) if end <= latest => {}
        _ => return write(with_old(data(), &held.old, until), Change::OldDated),
    }
    let due = present.renew_at(lives);
    let (phase, look_again) = match held.next {
        Slot::Bad(reason) => {
            // Made here, it is valid by a clock ahead of ours too; one made there may not be by ours.
            let made = Authority::generate(names, lives, now)?;
            return write(with_next(data(), Some(&made)), Change::NextReplaced(reason));
        }
        Slot::Good(next) => match seen.trusted_for {
            None => (Phase::Spreading, present.not_after()),
            Some(so_long) => {
                // An end that is near is not waited for in full.
                let left = now.duration_until(present.not_after());
                let needed = lives.settle.min(left / 2);
                if so_long >= needed {
                    return write(promoted(data(), &next, lives, now), Change::Promoted);
                }
                (Phase::Settling, shifted(now, needed - so_long))
            }
        },
        Slot::Empty => match held.old_until {
            Some(end) if !held.old.is_empty() => (Phase::Retiring, end),
            _ if due <= now => {
                let made = Authority::generate(names, lives, now)?;
                return write(with_next(data(), Some(&made)), Change::NextMade);
            }
            _ => (Phase::Steady, due),
        },
    };
    Ok(Step::Use(in_use(present, seen, phase, Some(look_again))))
}

fn promoted(data: Data, next: &Authority, lives: &Lives, now: Timestamp) -> Data {
    with_next(with_present(data, next, lives, now), None)
}

fn in_use(
    authority: Authority,
    seen: Seen<'_>,
    phase: Phase,
    look_again: Option<Timestamp>,
) -> InUse {
    InUse { authority, bundle: bundle(seen.data), phase, look_again }
}
