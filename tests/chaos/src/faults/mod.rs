//! Makes faults: one file for those of one kind. Each is a function that makes the fault, waits for its
//! length, and puts right what it broke.

mod admission;
mod alerts;
mod control_plane;
mod declarations;
mod definitions;
mod flip;
mod guard;
mod network;
mod poison;
mod replicas;
mod writers;

use crate::facts::{At, Fact};
use crate::plan::{Family, PlannedFault};
use crate::world::{World, clock};
use anyhow::Context;
use std::sync::Arc;
use std::time::Duration;

/// What every fault has at hand.
pub(crate) struct Made<'a> {
    pub(crate) world: &'a Arc<World>,
    pub(crate) fault: &'a PlannedFault,
    pub(crate) random: fastrand::Rng,
}

impl Made<'_> {
    /// Waits for the fault's length.
    pub(crate) async fn last(&self) {
        tokio::time::sleep(self.fault.length).await;
    }

    /// Until when the fault lasts, if it begins now.
    pub(crate) fn end(&self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.fault.length
    }
}

/// The families that are made here, and those that cannot be, with the reason.
pub fn available() -> (Vec<Family>, Vec<(Family, &'static str)>) {
    let unmoved = (Family::ClockJump, "not made: clocks are moved on Linux alone");
    let skipped: Vec<_> = clock::LIBRARY.is_none().then_some(unmoved).into_iter().collect();
    let made = Family::ALL.iter().filter(|family| skipped.iter().all(|(left, _)| left != *family));
    (made.copied().collect(), skipped)
}

/// Makes one fault at its time, from its line in the journal until all of it is put right.
pub async fn make(world: &Arc<World>, fault: &PlannedFault, begin: At) -> anyhow::Result<()> {
    let due = world.clock.instant(At(begin.0 + fault.start));
    tokio::time::sleep_until(due.into()).await;
    let PlannedFault { id, family, .. } = *fault;
    // What puts another one right may take longer than was planned.
    let _lane = world.lanes.take(fault.lane()).await;
    world.journal.fact(Fact::FaultBegan {
        id,
        family: family.name(),
        target: target(fault),
        at: world.clock.now(),
    });
    if fault.in_flip {
        flip::begin(world, fault).await;
    }
    let random = fastrand::Rng::with_seed(fault.seed);
    let outcome = dispatch(Made { world, fault, random }).await;
    world.journal.fact(Fact::FaultEnded { id, at: world.clock.now() });
    outcome.with_context(|| format!("fault {id}, {}", family.name()))
}

fn target(fault: &PlannedFault) -> String {
    let PlannedFault { replica, side, length, in_flip, .. } = fault;
    let flip = if *in_flip { ", in a flip" } else { "" };
    format!("{replica:?} in the {side}, {:.1} s{flip}", length.as_secs_f64())
}

async fn dispatch(made: Made<'_>) -> anyhow::Result<()> {
    use Family::*;
    match made.fault.family {
        KillReplica => replicas::kill(made).await,
        StopReplica => replicas::stop(made).await,
        RestartReplica => replicas::restart(made).await,
        RollingUpgrade => replicas::roll(made).await,
        ScaleToZero => replicas::scale_to_zero(made).await,
        KillBeforeRecord => replicas::kill_before_record(made).await,
        KillApiServer => control_plane::stop_api_server(made, true).await,
        RestartApiServer => control_plane::stop_api_server(made, false).await,
        StopApiServer => control_plane::pause_api_server(made).await,
        KillEtcd => control_plane::kill_etcd(made).await,
        StopEtcd => control_plane::pause_etcd(made).await,
        Compaction => control_plane::compact(made).await,
        Delay | Reset | HalfOpen | OneDirection | Throttled | SilentWatch | LateEvents
        | TooManyRequests | Error500 | Error503 | LostAnswer | TokenExpired => {
            network::between(made).await
        }
        WestHalfOpen | WestReset | WestErrors => network::west(made).await,
        Rival => writers::rival(made).await,
        Pauses => writers::pauses(made).await,
        GitOps => writers::gitops(made).await,
        RefusingWebhook => admission::refuse(made).await,
        WebhookSilent => admission::silent(made).await,
        CaRotated => admission::rotate(made).await,
        SecretDamaged => admission::damage(made).await,
        CrdsRemoved => definitions::remove(made).await,
        NamespaceDeleted => definitions::delete_namespace(made).await,
        PoisonObjects => poison::store(made).await,
        Drain => guard::drain(made).await,
        DeclaredDown => declarations::declare_down(made).await,
        AlertRepeats => alerts::repeat(made).await,
        ClockJump => replicas::jump(made).await,
    }
}

/// Does it again until it succeeds: an API server may be away for another fault's sake.
pub(crate) async fn insist<F>(what: &str, attempt: impl FnMut() -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    test_cluster::eventually(what, Duration::from_secs(120), attempt).await
}
