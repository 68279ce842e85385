//! The rotation of the CA, as steps of the Secret.
//!
//! ```text
//!            due                      in every bundle
//!  Steady ─────────► Distributing ───────────────────► Propagating
//!    ▲       next is created                                │ for the propagation time:
//!    │                                                      ▼ next is promoted
//!    └────────────────────────────────────────────────── Retiring
//!      the former CA's last leaf has ended      its certificate stays in the bundle
//! ```
//!
//! The Secret's content gives the phase, so a replica continues what another began. Of two that write
//! at once the API server takes the first; the other reads again and finds the step made. Only the
//! propagation is measured by each replica itself, with a monotonic clock.

use crate::lifetimes::{backdated, shifted};
use crate::stored::{Slot, StoredCas, bundle, with_next, with_old, with_present};
use crate::{Authority, Data, Error, Lifetimes};
use jiff::{SignedDuration, Timestamp};

/// Where the rotation of the CA is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// One CA.
    Steady,
    /// The next CA exists, and is not in every bundle yet.
    Distributing,
    /// The next CA is in every bundle; API servers may not use it yet.
    Propagating,
    /// The former CA is trusted until its last leaf has ended.
    Retiring,
}

/// What a step is decided from, beside the time.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// The Secret as it was just read.
    pub data: &'a Data,
    /// For how long the next CA has been in every bundle; see [`Propagation`](crate::Propagation).
    pub trusted_for: Option<SignedDuration>,
}

/// What to do with the Secret.
#[derive(Debug)]
pub enum Step {
    /// Nothing is to be written: issue from this CA, trust this bundle.
    Use(InUse),
    /// Write this, on the resourceVersion that was read; then, or after a conflict, read and decide
    /// again.
    Write {
        /// The Secret's new data.
        data: Data,
        /// What the write does.
        change: Change,
    },
}

/// A Secret that needs no write.
#[derive(Debug)]
pub struct InUse {
    /// The present CA.
    pub authority: Authority,
    /// For every `caBundle`.
    pub bundle: String,
    /// Where the rotation is.
    pub phase: Phase,
    /// When the next step may be due, if nothing else changes.
    pub recheck_at: Option<Timestamp>,
}

/// What a write of the Secret does, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first CA was created.
    Created,
    /// The present CA was unusable, and is replaced at once.
    Repaired(String),
    /// The next CA was created: the present one is due.
    NextCreated,
    /// The next CA was unusable, and is replaced; it had issued nothing.
    NextReplaced(String),
    /// The next CA is the present one now.
    Promoted,
    /// The end of trust in former CAs was missing, or too far away, and is set.
    FormerDated,
    /// Former CAs are dropped: nothing that they issued is valid any more.
    FormerDropped,
}

/// Decides the next step of the rotation. `names` are the DNS names that the CA may issue for.
///
/// ```
/// use jiff::Timestamp;
/// use webhook_certs::{Change, Data, Lifetimes, Observed, Phase, Step, next_step};
///
/// let (names, lifetimes) = (["webhook.example.svc".to_owned()], Lifetimes::default());
/// let step = |data: &Data, trusted_for, now| {
///     next_step(Observed { data, trusted_for }, &names, &lifetimes, now)
/// };
/// let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
/// let Step::Write { data, change } = step(&Data::new(), None, start)? else { panic!() };
/// assert_eq!(change, Change::Created);
///
/// // After two thirds of its year the successor is created, and not used before it is trusted.
/// let due = start + jiff::SignedDuration::from_hours(24 * 250);
/// let Step::Write { data, change } = step(&data, None, due)? else { panic!() };
/// assert_eq!(change, Change::NextCreated);
/// let Step::Use(in_use) = step(&data, None, due)? else { panic!() };
/// assert_eq!(in_use.phase, Phase::Distributing);
///
/// // In every bundle for the propagation time: it becomes the present one.
/// let Step::Write { change, .. } = step(&data, Some(lifetimes.propagation), due)? else { panic!() };
/// assert_eq!(change, Change::Promoted);
/// # Ok::<(), webhook_certs::Error>(())
/// ```
pub fn next_step(
    observed: Observed<'_>,
    names: &[String],
    lifetimes: &Lifetimes,
    now: Timestamp,
) -> Result<Step, Error> {
    let data = || observed.data.clone();
    let write = |data, change| Ok(Step::Write { data, change });
    let stored = StoredCas::read(observed.data, names, lifetimes, now);

    let present = match (stored.present, &stored.next) {
        (Slot::Good(present), _) => present,
        (Slot::Bad(reason), Slot::Good(next)) => {
            return write(promoted(data(), next, lifetimes, now), Change::Repaired(reason));
        }
        (Slot::Empty, Slot::Good(next)) => {
            let reason = "the present CA was taken away".to_owned();
            return write(promoted(data(), next, lifetimes, now), Change::Repaired(reason));
        }
        (Slot::Bad(reason), _) => {
            let made = Authority::generate(names, lifetimes, now)?;
            return write(with_present(data(), &made, lifetimes, now), Change::Repaired(reason));
        }
        (Slot::Empty, _) => {
            let made = Authority::generate(names, lifetimes, now)?;
            return write(with_present(data(), &made, lifetimes, now), Change::Created);
        }
    };
    if stored.foreign {
        // The newer replica that wrote this goes on with it.
        return Ok(Step::Use(in_use(present, observed, Phase::Steady, None)));
    }
    let until = shifted(now, lifetimes.retirement());
    // Nothing promoted by a clock near ours is trusted longer: that one was far ahead.
    let latest = shifted(until, backdated(lifetimes.leaf));
    match stored.old_until {
        _ if stored.old.is_empty() => {}
        Some(end) if end <= now => return write(with_old(data(), &[], now), Change::FormerDropped),
        Some(end) if end <= latest => {}
        _ => return write(with_old(data(), &stored.old, until), Change::FormerDated),
    }
    let due = present.renew_at(lifetimes);
    let (phase, recheck_at) = match stored.next {
        Slot::Bad(reason) => {
            // Made here, it is valid by a clock ahead of ours too; one made there may not be by ours.
            let made = Authority::generate(names, lifetimes, now)?;
            return write(with_next(data(), Some(&made)), Change::NextReplaced(reason));
        }
        Slot::Good(next) => match observed.trusted_for {
            None => (Phase::Distributing, present.not_after()),
            Some(trusted_for) => {
                // An end that is near is not waited for in full.
                let left = now.duration_until(present.not_after());
                let needed = lifetimes.propagation.min(left / 2);
                if trusted_for >= needed {
                    return write(promoted(data(), &next, lifetimes, now), Change::Promoted);
                }
                (Phase::Propagating, shifted(now, needed - trusted_for))
            }
        },
        Slot::Empty => match stored.old_until {
            Some(end) if !stored.old.is_empty() => (Phase::Retiring, end),
            _ if due <= now => {
                let made = Authority::generate(names, lifetimes, now)?;
                return write(with_next(data(), Some(&made)), Change::NextCreated);
            }
            _ => (Phase::Steady, due),
        },
    };
    Ok(Step::Use(in_use(present, observed, phase, Some(recheck_at))))
}

fn promoted(data: Data, next: &Authority, lifetimes: &Lifetimes, now: Timestamp) -> Data {
    with_next(with_present(data, next, lifetimes, now), None)
}

fn in_use(
    authority: Authority,
    observed: Observed<'_>,
    phase: Phase,
    recheck_at: Option<Timestamp>,
) -> InUse {
    InUse { authority, bundle: bundle(observed.data), phase, recheck_at }
}
