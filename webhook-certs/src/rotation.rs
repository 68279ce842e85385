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
use crate::stored::{Certificates, Slot, StoredCas, with_next, with_old, with_present};
use crate::{Authority, Data, Error, Lifetimes, Unusable};
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
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The first CA was created.
    Created,
    /// The present CA was unusable, and is replaced at once.
    Repaired(Unusable),
    /// The next CA was created: the present one is due.
    NextCreated,
    /// The next CA was unusable, and is replaced; it had issued nothing.
    NextReplaced(Unusable),
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
    let stored = StoredCas::read(observed.data, names, lifetimes, now);
    let certificates = &stored.certificates;
    let decision = StepDecision { observed, certificates, names, lifetimes, now };
    let present = match stored.present {
        Slot::Usable(present) => present,
        Slot::Unusable(reason) => return decision.replace_present(stored.next, Some(reason)),
        Slot::Empty => return decision.replace_present(stored.next, None),
    };
    if stored.foreign {
        // The newer replica that wrote this goes on with it.
        return Ok(decision.use_ca(present, Phase::Steady, None));
    }
    let former_until = stored.former_until.filter(|_| !certificates.former.is_empty());
    match decision.limit_former(former_until) {
        Some(write) => Ok(write),
        None => decision.advance(present, stored.next, former_until),
    }
}

/// One decision about the Secret. Each function of it is a state of the rotation, or a transition.
struct StepDecision<'a> {
    observed: Observed<'a>,
    certificates: &'a Certificates,
    names: &'a [String],
    lifetimes: &'a Lifetimes,
    now: Timestamp,
}

impl StepDecision<'_> {
    /// There is no usable CA: the next one takes its place, or a new one.
    fn replace_present(&self, next: Slot, reason: Option<Unusable>) -> Result<Step, Error> {
        if let Slot::Usable(next) = next {
            let reason = reason.unwrap_or(Unusable::Removed);
            return Ok(self.promote(&next, Change::Repaired(reason)));
        }
        let change = reason.map_or(Change::Created, Change::Repaired);
        let data = with_present(self.data(), &self.generate()?, self.lifetimes, self.now);
        Ok(Step::Write { data, change })
    }

    /// Former CAs are trusted until a time that is not too far away, and dropped then.
    fn limit_former(&self, until: Option<Timestamp>) -> Option<Step> {
        let former = &self.certificates.former;
        let retired = shifted(self.now, self.lifetimes.retirement());
        // A promotion by a clock near ours sets no later end; one by a fast clock may have.
        let latest = shifted(retired, backdated(self.lifetimes.leaf));
        match until {
            _ if former.is_empty() => None,
            Some(end) if end <= self.now => Some(Step::Write {
                data: with_old(self.data(), &[], self.now),
                change: Change::FormerDropped,
            }),
            Some(end) if end <= latest => None,
            _ => Some(Step::Write {
                data: with_old(self.data(), former, retired),
                change: Change::FormerDated,
            }),
        }
    }

    /// The present CA is usable: where the rotation is, and whether it goes on.
    fn advance(
        &self,
        present: Authority,
        next: Slot,
        former_until: Option<Timestamp>,
    ) -> Result<Step, Error> {
        let due = present.renew_at(self.lifetimes);
        match (next, former_until) {
            // A CA made by a faster clock may not be valid here yet; ours is valid there.
            (Slot::Unusable(reason), _) => self.create_next(Change::NextReplaced(reason)),
            (Slot::Usable(next), _) => Ok(self.distribute(present, &next)),
            (Slot::Empty, Some(end)) => Ok(self.use_ca(present, Phase::Retiring, Some(end))),
            (Slot::Empty, None) if due <= self.now => self.create_next(Change::NextCreated),
            (Slot::Empty, None) => Ok(self.use_ca(present, Phase::Steady, Some(due))),
        }
    }

    /// The next CA becomes the present one once every API server trusts it.
    fn distribute(&self, present: Authority, next: &Authority) -> Step {
        let end = present.not_after();
        let Some(trusted_for) = self.observed.trusted_for else {
            return self.use_ca(present, Phase::Distributing, Some(end));
        };
        // Near its end, half of the time that is left has to be enough.
        let needed = self.lifetimes.propagation.min(self.now.duration_until(end) / 2);
        if trusted_for >= needed {
            return self.promote(next, Change::Promoted);
        }
        self.use_ca(present, Phase::Propagating, Some(shifted(self.now, needed - trusted_for)))
    }

    fn create_next(&self, change: Change) -> Result<Step, Error> {
        let data = with_next(self.data(), Some(&self.generate()?));
        Ok(Step::Write { data, change })
    }

    fn promote(&self, next: &Authority, change: Change) -> Step {
        let data = with_present(self.data(), next, self.lifetimes, self.now);
        Step::Write { data: with_next(data, None), change }
    }

    fn use_ca(&self, authority: Authority, phase: Phase, recheck_at: Option<Timestamp>) -> Step {
        Step::Use(InUse { authority, bundle: self.certificates.bundle(), phase, recheck_at })
    }

    fn generate(&self) -> Result<Authority, Error> {
        Authority::generate(self.names, self.lifetimes, self.now)
    }

    fn data(&self) -> Data {
        self.observed.data.clone()
    }
}
