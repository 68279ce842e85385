//! `make soak`: SOAK_MINUTES of applies, flips, restarts and rotations, 60 by default.

use anyhow::{Context, Result, ensure};
use bench_table::Claims;
use std::time::Duration;

#[tokio::main]
async fn main() -> Result<()> {
    let minutes = endurance::minutes("SOAK_MINUTES", 60.0).context("SOAK_MINUTES")?;
    let claims = endurance::soak::run(Duration::from_secs_f64(minutes * 60.0)).await?;
    println!("\n{}", claims.markdown());
    claims.write(&Claims::folder())?;
    ensure!(claims.all_held(), "not all claims held");
    Ok(())
}
