//! Faults as a seed draws them, each with its start, its length and whom it hits. Pure.

use crate::facts::{FaultId, Side};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

/// Between the starts of two faults, in milliseconds.
const PACE: std::ops::RangeInclusive<u64> = 600..=3_500;
/// How long one lasts, in milliseconds.
const LENGTH: std::ops::RangeInclusive<u64> = 500..=6_000;
/// How often a fault that does not fit beside the others is drawn again.
const DRAWS: usize = 20;

/// All faults of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// What it was drawn by.
    pub seed: u64,
    /// From the first change to the last; no fault goes on beyond.
    pub length: Duration,
    /// In the order of their starts.
    pub faults: Vec<PlannedFault>,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedFault {
    /// Its number, which it keeps when others are left out.
    pub id: FaultId,
    /// What it is.
    pub family: Family,
    /// Which replica it hits, if it hits one.
    pub replica: Victim,
    /// Which cluster it hits, if it hits one.
    pub side: Side,
    /// Since the start of the run.
    pub start: Duration,
    /// For how long.
    pub length: Duration,
    /// A primary is lost, and the fault is made in the flip.
    pub in_flip: bool,
    /// For what else has to be drawn while it is made.
    pub seed: u64,
}

/// Which replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Victim {
    /// The one that has the Lease at the moment.
    Leader,
    /// The one that does not.
    Standby,
}

/// What is taken while a fault lasts: two that take the same do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    Replicas,
    ApiServer(Side),
    Etcd(Side),
    Network,
    WestNetwork,
    Writers,
    Pauses,
    Webhook,
    Definitions,
    Guard,
    Services,
}

macro_rules! families {
    ($($variant:ident $name:literal $lane:expr, $text:literal;)+) => {
        /// A family of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Family { $(#[doc = $text] $variant,)+ }

        impl Family {
            /// Every family.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// As the table has it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it does.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }

            fn lane(self, side: Side) -> Lane {
                let of_side: fn(Side) -> Lane = match self { $(Self::$variant => $lane,)+ };
                of_side(side)
            }
        }
    };
}

families! {
    KillReplica "sigkill-replica" |_| Lane::Replicas, "a replica is killed, and started again";
    StopReplica "sigstop-replica" |_| Lane::Replicas, "a replica hangs, and goes on";
    RestartReplica "restart-replica" |_| Lane::Replicas, "a replica is ended in good order, and started again";
    RollingUpgrade "rolling-upgrade" |_| Lane::Replicas, "one replica after the other is replaced";
    ScaleToZero "scale-to-zero" |_| Lane::Replicas, "all replicas are ended, and started again";
    KillBeforeRecord "kill-before-record" |_| Lane::Replicas, "the leader is killed between a flip and its record";
    KillApiServer "sigkill-api-server" Lane::ApiServer, "an API server is killed, and started again";
    StopApiServer "sigstop-api-server" Lane::ApiServer, "an API server hangs, and goes on";
    RestartApiServer "restart-api-server" Lane::ApiServer, "an API server is ended in good order, and started again";
    KillEtcd "sigkill-etcd" Lane::Etcd, "etcd is killed, and started again";
    StopEtcd "sigstop-etcd" Lane::Etcd, "etcd hangs, and goes on";
    Compaction "compaction" Lane::Etcd, "etcd is compacted and watches end: they begin anew with 410";
    Delay "delay" |_| Lane::Network, "what a replica asks, and each piece of the answers, is late";
    Reset "reset" |_| Lane::Network, "the connections of a replica are reset, again and again";
    HalfOpen "half-open" |_| Lane::Network, "nothing of a replica's gets through, and nothing is closed";
    OneDirection "one-direction" |_| Lane::Network, "a replica's requests arrive, their answers do not";
    Throttled "throttled" |_| Lane::Network, "a replica's answers come a few bytes at a time";
    SilentWatch "silent-watch" |_| Lane::Network, "one watch of a replica is silent";
    LateEvents "late-events" |_| Lane::Network, "events of a replica's slices are held, and let go late";
    TooManyRequests "429" |_| Lane::Network, "a replica's writes are answered with 429 and Retry-After";
    Error500 "500" |_| Lane::Network, "a replica's requests are answered with 500";
    Error503 "503" |_| Lane::Network, "a replica's requests are answered with 503";
    LostAnswer "lost-answer" |_| Lane::Network, "a replica's patches land, and their answers are lost";
    WestHalfOpen "west-half-open" |_| Lane::WestNetwork, "the west is not reached, and nothing is closed";
    WestReset "west-reset" |_| Lane::WestNetwork, "the connections to the west are reset";
    WestErrors "west-503" |_| Lane::WestNetwork, "the west answers with 503";
    Rival "rival" |_| Lane::Writers, "a rival writes weights";
    Pauses "pauses" |_| Lane::Pauses, "objects are paused and pinned for a moment, by annotations";
    GitOps "gitops-loop" |_| Lane::Writers, "a GitOps loop applies manifests again and again";
    RefusingWebhook "refusing-webhook" |_| Lane::Webhook, "a third webhook refuses the writes of a namespace";
    WebhookSilent "silent-webhook" |_| Lane::Webhook, "the webhook's Service accepts, and never answers";
    CaRotated "ca-rotated" |_| Lane::Webhook, "the Secret with the webhook's CA is emptied: a new CA is issued";
    SecretDamaged "secret-damaged" |_| Lane::Webhook, "the Secret with the webhook's CA holds nonsense";
    TokenExpired "token-expired" |_| Lane::Replicas, "a replica's token is not valid any more, and a new one is written later";
    CrdsRemoved "crds-removed" |_| Lane::Definitions, "the definition of GRPCRoute is removed, and put back with its objects";
    NamespaceDeleted "namespace-deleted" |_| Lane::Definitions, "a namespace with failover objects is deleted, and made again";
    PoisonObjects "poison-objects" |_| Lane::Definitions, "100 objects that no strict reader takes are stored at once, past the webhook";
    Drain "drain" |_| Lane::Guard, "pods under the deletion guard are deleted";
    DeclaredDown "declared-down" |_| Lane::Services, "a Service is declared down, renewed, and cleared, by clocks that are wrong";
    AlertRepeats "alert-repeats" |_| Lane::Services, "Alertmanager's notifications repeat, and some are lost";
    ClockJump "clock-jump" |_| Lane::Replicas, "the wall clock of a replica jumps by up to 90 s, and back";
}

impl Family {
    /// Whether it can be made in a flip.
    fn fits_a_flip(self) -> bool {
        use Family::*;
        matches!(
            self,
            KillReplica
                | StopReplica
                | RestartReplica
                | KillApiServer
                | StopApiServer
                | KillEtcd
                | StopEtcd
                | Reset
                | HalfOpen
                | OneDirection
                | Error500
                | LostAnswer
        )
    }

    /// Whether it hits one of two clusters; the others hit the east, or say themselves whom.
    fn has_sides(self) -> bool {
        use Family::*;
        matches!(
            self,
            KillApiServer | StopApiServer | RestartApiServer | KillEtcd | StopEtcd | Compaction
        )
    }
}

impl PlannedFault {
    /// What is taken while it lasts.
    pub(crate) fn lane(&self) -> Lane {
        self.family.lane(self.side)
    }
}

/// Draws the faults of a run. Each family that `made` has is drawn once before one is drawn again.
pub fn draw(seed: u64, length: Duration, made: &[Family]) -> Plan {
    let mut random = fastrand::Rng::with_seed(seed ^ 0xfa_017);
    let mut faults: Vec<PlannedFault> = Vec::new();
    let mut left: Vec<Family> = Vec::new();
    let mut at = Duration::from_millis(random.u64(PACE));
    while !made.is_empty() && at < length {
        for _ in 0..DRAWS {
            if left.is_empty() {
                left = made.to_vec();
            }
            let nth = random.usize(..left.len());
            let fault = one(faults.len(), left[nth], at, &mut random);
            if fault.start + fault.length <= length && fits(&fault, &faults) {
                left.swap_remove(nth);
                faults.push(fault);
                break;
            }
        }
        at += Duration::from_millis(random.u64(PACE));
    }
    Plan { seed, length, faults }
}

fn one(id: FaultId, family: Family, start: Duration, random: &mut fastrand::Rng) -> PlannedFault {
    PlannedFault {
        id,
        family,
        replica: if random.bool() { Victim::Leader } else { Victim::Standby },
        side: if family.has_sides() && random.u8(..3) == 0 { Side::West } else { Side::East },
        start,
        length: Duration::from_millis(random.u64(LENGTH)),
        in_flip: family.fits_a_flip() && random.bool(),
        seed: random.u64(..),
    }
}

/// Whether nothing that it takes is taken by one that is not over.
fn fits(fault: &PlannedFault, others: &[PlannedFault]) -> bool {
    // What puts things right takes a moment.
    let after = Duration::from_secs(2);
    others
        .iter()
        .filter(|other| other.lane() == fault.lane())
        .all(|other| fault.start >= other.start + other.length + after)
}

impl Plan {
    /// The same without those that are not named.
    pub fn only(&self, ids: &BTreeSet<FaultId>) -> Self {
        let faults = self.faults.iter().filter(|fault| ids.contains(&fault.id));
        Self { faults: faults.cloned().collect(), ..*self }
    }

    /// The numbers of its faults.
    pub fn ids(&self) -> Vec<FaultId> {
        self.faults.iter().map(|fault| fault.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_MINUTES: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_has_one_plan() {
        assert_eq!(draw(1, TEN_MINUTES, Family::ALL), draw(1, TEN_MINUTES, Family::ALL));
        assert_ne!(draw(1, TEN_MINUTES, Family::ALL), draw(2, TEN_MINUTES, Family::ALL));
    }

    #[test]
    fn ten_minutes_have_every_family_and_faults_that_overlap() {
        for seed in 0..50 {
            let plan = draw(seed, TEN_MINUTES, Family::ALL);
            let families: BTreeSet<_> = plan.faults.iter().map(|fault| fault.family).collect();
            assert_eq!(families.len(), Family::ALL.len(), "{seed}");
            let overlap =
                plan.faults.windows(2).any(|two| two[1].start < two[0].start + two[0].length);
            assert!(overlap && plan.faults.iter().any(|fault| fault.in_flip));
            assert!(plan.faults.iter().all(|fault| fault.start + fault.length <= TEN_MINUTES));
        }
    }

    #[test]
    fn two_faults_of_one_lane_do_not_overlap() {
        for seed in 0..50 {
            let faults = draw(seed, TEN_MINUTES, Family::ALL).faults;
            for (nth, fault) in faults.iter().enumerate() {
                assert!(fits(fault, &faults[..nth]), "{seed}: {fault:?}");
            }
        }
    }

    #[test]
    fn a_part_of_a_plan_keeps_the_numbers() {
        let plan = draw(1, TEN_MINUTES, Family::ALL);
        let part = plan.only(&BTreeSet::from([2, 5]));
        assert_eq!(part.ids(), [2, 5]);
        assert_eq!(part.faults[1], plan.faults[5]);
    }
}
