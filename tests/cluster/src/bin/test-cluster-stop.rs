//! Ends a kept cluster and removes its folder: `test-cluster-stop <folder>`.

use anyhow::Context;
use std::path::Path;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os()
        .nth(1)
        .context("usage: test-cluster-stop <folder of a kept cluster>")?;
    for ended in test_cluster::stop_kept(Path::new(&folder))? {
        println!("ended {ended}");
    }
    Ok(())
}
