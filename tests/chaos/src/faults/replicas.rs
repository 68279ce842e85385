//! Faults of the replicas' processes.

use super::{Made, flip};
use crate::facts::Side;
use crate::plan::Victim;
use crate::world::disturbance::Disturbed;
use crate::world::{World, api};
use kube::api::ListParams;
use std::sync::Arc;
use std::time::Duration;

/// A process may take so long to end in good order.
const END: Duration = Duration::from_secs(60);
/// The webhook's Service leads to a pod that hangs until its kubelet has missed three answers.
const UNNOTICED: Duration = Duration::from_secs(4);

/// By how much a clock jumps, in seconds: less than the observer's leniency where a time is declared.
const JUMPS: std::ops::RangeInclusive<i64> = 2..=90;

/// Nobody counts on this replica.
fn away(world: &World, replica: usize) -> [Disturbed; 2] {
    [Side::East, Side::West].map(|side| world.disturbances.replica(replica, side))
}

fn kill_process(world: &World, replica: usize) -> anyhow::Result<()> {
    let process = world.replicas[replica].process();
    world.disturbances.cause(process.pid());
    process.kill()
}

async fn end_process(world: &World, replica: usize) -> anyhow::Result<()> {
    let process = world.replicas[replica].process();
    world.disturbances.cause(process.pid());
    process.terminate(END).await.map(drop)
}

pub(super) async fn kill(made: Made<'_>) -> anyhow::Result<()> {
    let replica = made.world.victim(made.fault.replica).await;
    let away = away(made.world, replica);
    {
        // Reviews that it was answering fail, and nobody can help that.
        let _admission = made.world.disturbances.admission();
        kill_process(made.world, replica)?;
    }
    made.last().await;
    made.world.start_again(replica).await?;
    drop(away);
    Ok(())
}

pub(super) async fn stop(made: Made<'_>) -> anyhow::Result<()> {
    let replica = made.world.victim(made.fault.replica).await;
    let away = away(made.world, replica);
    let admission = made.world.disturbances.admission();
    let process = made.world.replicas[replica].process();
    process.pause()?;
    if made.fault.length > UNNOTICED {
        tokio::time::sleep(UNNOTICED).await;
        drop(admission);
        tokio::time::sleep(made.fault.length - UNNOTICED).await;
    } else {
        made.last().await;
        drop(admission);
    }
    process.resume()?;
    drop(away);
    Ok(())
}

pub(super) async fn restart(made: Made<'_>) -> anyhow::Result<()> {
    let replica = made.world.victim(made.fault.replica).await;
    replace(made.world, replica).await
}

async fn replace(world: &Arc<World>, replica: usize) -> anyhow::Result<()> {
    let away = away(world, replica);
    end_process(world, replica).await?;
    world.start_again(replica).await?;
    drop(away);
    Ok(())
}

/// One after the other, each once the one before it is ready.
pub(super) async fn roll(made: Made<'_>) -> anyhow::Result<()> {
    for replica in 0..made.world.replicas.len() {
        replace(made.world, replica).await?;
        // Where an API server is away none gets ready, and a rollout waits.
        made.world.replicas[replica].wait_ready(END).await?;
    }
    Ok(())
}

pub(super) async fn scale_to_zero(made: Made<'_>) -> anyhow::Result<()> {
    let world = made.world;
    let admission = world.disturbances.admission();
    let all: Vec<_> = (0..world.replicas.len()).map(|replica| away(world, replica)).collect();
    let ends = (0..all.len()).map(|replica| end_process(world, replica));
    futures::future::try_join_all(ends).await?;
    made.last().await;
    for replica in 0..all.len() {
        world.start_again(replica).await?;
    }
    drop(all);
    world.replicas[0].wait_ready(END).await?;
    drop(admission);
    Ok(())
}

/// The leader is killed as soon as the first weights of a flip are there.
pub(super) async fn kill_before_record(mut made: Made<'_>) -> anyhow::Result<()> {
    let (namespace, service) = flip::primary(&mut made.random);
    let object = made.world.declarations.objects.iter().find(|object| {
        object.id.namespace == namespace && object.sets[0][0].service == service && !object.paused
    });
    let leader = made.world.victim(Victim::Leader).await;
    if let Some(object) = object {
        let all = api(made.world, object.id.kind, &namespace);
        let version = || async {
            let only = format!("metadata.name={}", object.id.name);
            let list = all.list(&ListParams::default().fields(&only)).await.ok()?;
            list.items.first()?.metadata.generation
        };
        let before = version().await;
        let lost = made.world.set_ready(&namespace, &service, 0).await;
        let end = tokio::time::Instant::now() + Duration::from_secs(3);
        while lost.is_ok() && tokio::time::Instant::now() < end && version().await == before {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
    let away = away(made.world, leader);
    {
        let _admission = made.world.disturbances.admission();
        kill_process(made.world, leader)?;
    }
    made.last().await;
    made.world.start_again(leader).await?;
    drop(away);
    Ok(())
}

/// The clock jumps, and jumps back when the fault ends. The replica goes on, and is counted on.
pub(super) async fn jump(mut made: Made<'_>) -> anyhow::Result<()> {
    let replica = made.world.victim(made.fault.replica).await;
    let ahead = made.random.i64(JUMPS);
    let clock = &made.world.clocks[replica];
    clock.set_offset(if made.random.bool() { ahead } else { -ahead })?;
    made.last().await;
    clock.set_offset(0)
}
