//! Each verdict of `make hardening` is seen to fail, on a server with a fault. That the program keeps them is
//! for `make hardening` alone to judge: on a busy machine latency says nothing.

use anyhow::{Result, ensure};
use bench_table::Verdict;
use endurance::attack::Attack;
use endurance::attackers::Program;
use endurance::hardening::Attacked;
use endurance::honest::{ApiServer, PATIENCE, Reviews};
use endurance::planted::{Fault, Server, start};
use endurance::verdicts::{Phase, latency, lost, memory};
use std::path::Path;
use std::time::Duration;
use test_cluster::client_config;

const PROGRAM: &str = env!("CARGO_BIN_EXE_hardening");

/// At rest, then under an attack.
async fn attacked(fault: Fault, attack: Attack) -> Result<(Reviews, f64, Phase)> {
    let Server { child, address, ca } = start(Path::new(PROGRAM), fault).await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &ca)?;
    let server = address.parse()?;
    let api_server = ApiServer::new(server, client_config(ca.as_bytes())?, PATIENCE)?;
    api_server.ask().await?;
    let attacked = Attacked {
        program: Program { path: PROGRAM.into(), server, ca: file },
        api_server: &api_server,
        pid: child.id().unwrap_or_default(),
    };
    let (rest, at_rest) = attacked.rest(Duration::from_secs(2)).await?;
    let phase = attacked.phase(attack.name(), &[attack], Duration::from_secs(5)).await?;
    Ok((rest, at_rest, phase))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_keeps_every_body_misses_the_bound_of_memory() -> Result<()> {
    let (_, at_rest, phase) = attacked(Fault::NoBounds, Attack::Bodies).await?;
    let claim = memory(&[phase], at_rest);
    ensure!(claim.verdict == Verdict::Missed, "{claim:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_room_for_four_connections_loses_honest_reviews() -> Result<()> {
    let (_, _, phase) = attacked(Fault::NoRoom, Attack::Dribble).await?;
    let claim = lost(&[phase]);
    ensure!(claim.verdict == Verdict::Missed, "{claim:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_thread_is_blocked_misses_the_bound_of_latency() -> Result<()> {
    let (rest, _, phase) = attacked(Fault::Blocks, Attack::Bodies).await?;
    let claim = latency(&phase, &rest);
    ensure!(claim.verdict == Verdict::Missed, "{claim:?}");
    Ok(())
}
