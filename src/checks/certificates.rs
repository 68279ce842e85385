//! How long the webhook's certificates are valid.

use crate::checks::facts::{Asked, Facts, NotKnown, ReplicaMetrics, by};
use crate::checks::outcome::Outcome;
use jiff::{SignedDuration, Timestamp};

/// Whoever renews the CA has done so long before.
const CA_LEFT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The program renews its own after two thirds of their life, of a week.
const LEAF_LEFT: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn authority(facts: &Facts) -> Outcome {
    if facts.deployment.is_none() || facts.settings.rules.is_none() {
        return Outcome::Skipped;
    }
    by(&facts.bundles, |bundles| {
        let missing = bundles.is_empty().then(|| {
            "found no webhook configuration, expected both: nothing is defaulted nor refused"
                .to_owned()
        });
        let faults = bundles.iter().filter_map(|(name, bundle)| {
            // Of several the newest counts: the others go after a rotation.
            let end = webhook_certs::expiries(bundle).into_iter().max();
            match end {
                None => Some(format!("found no CA in {name}, expected one in caBundle: the API server trusts no replica")),
                Some(end) => ends(facts.now, end, CA_LEFT, &format!("the CA in {name}")),
            }
        });
        Outcome::errors(missing.into_iter().chain(faults))
    })
}

pub(super) fn leaves(facts: &Facts) -> Outcome {
    if facts.deployment.is_none() || facts.settings.rules.is_none() {
        return Outcome::Skipped;
    }
    let is_denied = facts.denied.iter().any(|needed| needed.is_optional);
    let of_each =
        facts.metrics.iter().map(|(pod, metrics)| leaf(facts.now, pod, metrics, is_denied));
    let outcomes: Vec<Outcome> = of_each.collect();
    if outcomes.iter().all(|outcome| *outcome == Outcome::Skipped) {
        return Outcome::Skipped;
    }
    let faults = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Error(why) => Some(why.clone()),
        _ => None,
    });
    let unknown = outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Warning(why) => Some(why.clone()),
        _ => None,
    });
    Outcome::graded(faults, unknown)
}

/// A cluster may let nobody reach a pod: that is no fault, and the dry runs show whether a certificate is valid now.
fn leaf(now: Timestamp, pod: &str, metrics: &Asked<ReplicaMetrics>, is_denied: bool) -> Outcome {
    let unknown = |why: &str| format!("not known of {pod}: {why}");
    match metrics {
        Ok(ReplicaMetrics { certificate_end: Some(end), .. }) => {
            Outcome::errors(ends(now, *end, LEAF_LEFT, &format!("the certificate of {pod}")))
        }
        Ok(_) => Outcome::Warning(unknown("it serves no certificate yet")),
        Err(NotKnown::Failed(why)) => Outcome::Warning(unknown(why)),
        // Named with the rights that are missing.
        Err(NotKnown::Forbidden) if is_denied => Outcome::Skipped,
        Err(NotKnown::Forbidden) => Outcome::Warning(unknown("its metrics may not be read")),
    }
}

fn ends(now: Timestamp, end: Timestamp, least: SignedDuration, what: &str) -> Option<String> {
    let left = now.duration_until(end);
    let days = least.as_hours() / 24;
    (left < least).then(|| match left.is_negative() {
        true => format!("found {what} expired since {end}, expected a valid one"),
        false => format!(
            "found {what} at its end {end}, expected {days} days left at least: it is not renewed"
        ),
    })
}
