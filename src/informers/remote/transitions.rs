//! The changes of linked clusters that are reported.

use crate::index::remote::reach::Transition;
use crate::informers::remote::credentials::SecretName;
use jiff::SignedDuration;

/// A change of the reach of a linked cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkTransition {
    pub cluster: String,
    /// The Secret by which it is linked.
    pub secret: SecretName,
    pub what: Transition,
    pub note: String,
}

impl LinkTransition {
    pub(crate) fn new(
        cluster: &str,
        secret: &SecretName,
        what: Transition,
        why: &str,
        limit: SignedDuration,
    ) -> Self {
        let note = match what {
            Transition::Seen => format!("The endpoints of cluster {cluster} are seen"),
            Transition::Reachable => format!("The endpoints of cluster {cluster} are seen again"),
            Transition::Unreachable => format!(
                "Cluster {cluster} cannot be reached: {why}. The health of its Services is unknown: they keep traffic that they have, and count as down after {limit:#}"
            ),
            Transition::Down => format!(
                "Cluster {cluster} could not be reached for {limit:#}: its Services count as down"
            ),
            Transition::Unverified => format!(
                "Cluster {cluster} answers and cannot be verified: {why}. That is no outage: the health of its Services is unknown, they keep traffic that they have, and do not count as down"
            ),
            Transition::Failing => format!(
                "Cluster {cluster} answers with errors: {why}. It lives: the health of its Services is unknown, they keep traffic that they have, and do not count as down"
            ),
            Transition::Refused => format!(
                "Cluster {cluster} is not watched, and the health of its Services is unknown: {why}"
            ),
            Transition::Idle => format!("Nothing that is managed rests on cluster {cluster}"),
            Transition::Unlinked => format!(
                "The credentials of cluster {cluster} are gone: the health of its Services is unknown"
            ),
        };
        Self { cluster: cluster.to_owned(), secret: secret.clone(), what, note }
    }
}
