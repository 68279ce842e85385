//! `make hardening`: HARDENING_MINUTES of all attacks at once, 5 by default, after each alone. With
//! `attack` as its first argument it is those who attack, and with `planted` a server with a fault.

use anyhow::{Context, Result, ensure};
use bench_table::Claims;
use endurance::{attackers, hardening, planted};
use std::time::Duration;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let first = arguments.next();
    // Those who attack have one of the CPUs at most.
    let mut runtime = match first.as_deref() {
        Some(attackers::ARGUMENT) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        match first.as_deref() {
            Some(attackers::ARGUMENT) => attackers::attack(arguments).await,
            Some(planted::ARGUMENT) => planted::serve(arguments).await,
            _ => prove().await,
        }
    })
}

async fn prove() -> Result<()> {
    let minutes = endurance::minutes("HARDENING_MINUTES", 5.0).context("HARDENING_MINUTES")?;
    let lengths = hardening::Lengths {
        rest: Duration::from_secs(20),
        alone: Duration::from_secs(10),
        together: Duration::from_secs_f64(minutes * 60.0),
    };
    let claims = hardening::run(&std::env::current_exe()?, lengths).await?;
    println!("\n{}", claims.markdown());
    claims.write(&Claims::folder())?;
    ensure!(claims.all_held(), "not all claims held");
    Ok(())
}
