//! The CA and the leaf in use, as a state machine: it does no I/O, and the time is an argument.

use crate::engine::Now;
use crate::telemetry::{CertificateLoad, RotationPhase};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use std::time::Duration;
use webhook_certs::{
    Bundles, Data, Error, InUse, Leaf, Lifetimes, Observed, Phase, Propagation, Step, next_step,
};

/// The certificates of one replica.
pub(super) struct Rotation {
    /// The DNS names of the leaf.
    names: [String; 1],
    lifetimes: Lifetimes,
    propagation: Propagation,
    /// The content of the Secret when it last needed no write.
    in_use: Option<InUse>,
    served: Option<ServedLeaf>,
}

/// What the renewal of a leaf depends on.
struct ServedLeaf {
    ca: CertificateDer<'static>,
    not_before: Timestamp,
    renew_at: Timestamp,
}

impl Rotation {
    pub(super) fn new(service: &str, lifetimes: Lifetimes) -> Self {
        Self {
            names: [service.to_owned()],
            lifetimes,
            propagation: Propagation::default(),
            in_use: None,
            served: None,
        }
    }

    /// What to do with the Secret. The bundles were read before it.
    pub(super) fn next_step(
        &mut self,
        data: &Data,
        bundles: &[Bundles],
        now: Now,
    ) -> Result<Step, Error> {
        let steady = now.steady.as_timestamp().as_duration();
        let trusted_for = self.propagation.observe(data, bundles, steady);
        next_step(Observed { data, trusted_for }, &self.names, &self.lifetimes, now.wall)
    }

    /// Leaves are issued from this CA from now on.
    pub(super) fn use_ca(&mut self, in_use: InUse) -> &InUse {
        self.in_use.insert(in_use)
    }

    /// Another leaf to serve, and why; none while the one that is served stays, or there is no CA.
    /// `jitter` is between 0 and 1.
    pub(super) fn issue(
        &mut self,
        now: Timestamp,
        jitter: f64,
    ) -> Result<Option<(CertificateLoad, Leaf)>, Error> {
        let Some(InUse { authority, .. }) = &self.in_use else { return Ok(None) };
        let ca = authority.certificate();
        let Some(reason) = ServedLeaf::replaced(self.served.as_ref(), ca, now) else {
            return Ok(None);
        };
        let leaf = authority.issue(&self.names, &self.lifetimes, now)?;
        self.served = Some(ServedLeaf {
            ca: ca.clone(),
            not_before: leaf.not_before,
            renew_at: leaf.renew_at(jitter),
        });
        Ok(Some((reason, leaf)))
    }

    /// How long until a step or a renewal may be due.
    pub(super) fn until_due(&self, now: Timestamp) -> Duration {
        let renew = self.served.as_ref().map(|served| served.renew_at);
        let recheck = self.in_use.as_ref().and_then(|in_use| in_use.recheck_at);
        let due = renew.into_iter().chain(recheck).min().unwrap_or(now);
        now.duration_until(due).max(SignedDuration::ZERO).unsigned_abs()
    }
}

impl ServedLeaf {
    /// Why a leaf of this CA replaces the one that is served.
    fn replaced(
        served: Option<&Self>,
        ca: &CertificateDer<'_>,
        now: Timestamp,
    ) -> Option<CertificateLoad> {
        match served {
            None => Some(CertificateLoad::First),
            Some(served) if served.ca != *ca => Some(CertificateLoad::AnotherCa),
            // Before its validity: the clock was set back.
            Some(served) if now < served.not_before || served.renew_at <= now => {
                Some(CertificateLoad::Renewed)
            }
            Some(_) => None,
        }
    }
}

/// The phase as the metric has it.
pub(super) fn label(phase: Phase) -> RotationPhase {
    match phase {
        Phase::Steady => RotationPhase::Steady,
        Phase::Distributing => RotationPhase::Distributing,
        Phase::Propagating => RotationPhase::Propagating,
        Phase::Retiring => RotationPhase::Retiring,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "x-webhook.y.svc";

    /// Writes what `data` needs, until a CA can be used.
    fn use_ca_of(rotation: &mut Rotation, data: &mut Data, bundles: &[Bundles], now: Timestamp) {
        loop {
            match rotation.next_step(data, bundles, Now::at(now)).unwrap() {
                Step::Write { data: written, .. } => *data = written,
                Step::Use(in_use) => {
                    rotation.use_ca(in_use);
                    return;
                }
            }
        }
    }

    #[test]
    fn a_leaf_is_issued_first_then_renewed_and_replaced_with_its_ca() {
        let (start, mut data) = (Timestamp::now(), Data::new());
        let mut rotation = Rotation::new(NAME, Lifetimes::default());
        let reason = |rotation: &mut Rotation, now| {
            rotation.issue(now, 0.0).unwrap().map(|(reason, _)| reason)
        };
        assert_eq!(reason(&mut rotation, start), None);
        assert_eq!(rotation.until_due(start), Duration::ZERO);
        use_ca_of(&mut rotation, &mut data, &[], start);
        assert_eq!(reason(&mut rotation, start), Some(CertificateLoad::First));
        assert_eq!(reason(&mut rotation, start), None);
        let due = start + rotation.until_due(start);
        assert_eq!(reason(&mut rotation, due), Some(CertificateLoad::Renewed));
        assert_eq!(
            reason(&mut rotation, start - SignedDuration::from_hours(2)),
            Some(CertificateLoad::Renewed)
        );

        let mut other = Data::new();
        use_ca_of(&mut rotation, &mut other, &[], start);
        assert_eq!(reason(&mut rotation, start), Some(CertificateLoad::AnotherCa));
    }
}
