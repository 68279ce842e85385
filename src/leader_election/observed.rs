//! Who leads, for those who only read the Lease.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;

/// The clock of whoever reads need not agree with those of the replicas to the second.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(5);

/// What a Lease says at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observed<'a> {
    /// There is none, or nobody has it.
    Nobody,
    /// Its holder does not renew it any more.
    NotRenewed { holder: &'a str, since: Option<Timestamp> },
    /// A replica leads.
    Led,
}

impl<'a> Observed<'a> {
    /// Of a Lease, or of none.
    pub(crate) fn of(lease: Option<&'a Lease>, now: Timestamp) -> Self {
        let spec = lease.and_then(|lease| lease.spec.as_ref());
        let holder = spec.and_then(|spec| spec.holder_identity.as_deref());
        let Some((spec, holder)) = spec.zip(holder.filter(|holder| !holder.is_empty())) else {
            return Self::Nobody;
        };
        let since = spec.renew_time.as_ref().map(|time| time.0);
        let seconds = i64::from(spec.lease_duration_seconds.unwrap_or_default());
        let limit = SignedDuration::from_secs(seconds) + CLOCK_SKEW;
        match since.is_some_and(|renewed| renewed.duration_until(now) <= limit) {
            true => Self::Led,
            false => Self::NotRenewed { holder, since },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(spec: serde_json::Value) -> Lease {
        serde_json::from_value(serde_json::json!({ "spec": spec })).unwrap()
    }

    #[test]
    fn a_lease_leads_while_its_holder_renews_it() {
        let now: Timestamp = "2026-11-26T03:10:20Z".parse().unwrap();
        let held = |renewed: &str| {
            lease(serde_json::json!({
                "holderIdentity": "a", "leaseDurationSeconds": 15,
                "renewTime": format!("2026-11-26T03:{renewed}.000000Z"),
            }))
        };
        let [recent, skewed, old] = ["10:18", "10:00", "09:59"].map(held);
        let since = Some("2026-11-26T03:09:59Z".parse().unwrap());
        let released = lease(serde_json::json!({ "holderIdentity": "" }));
        let never = lease(serde_json::json!({ "holderIdentity": "a" }));
        for (lease, observed) in [
            (None, Observed::Nobody),
            (Some(&released), Observed::Nobody),
            (Some(&never), Observed::NotRenewed { holder: "a", since: None }),
            (Some(&recent), Observed::Led),
            (Some(&skewed), Observed::Led),
            (Some(&old), Observed::NotRenewed { holder: "a", since }),
        ] {
            assert_eq!(Observed::of(lease, now), observed);
        }
    }
}
