//! From the write of a slice until another client has seen the weights that follow.

use crate::support::bench::Site;
use crate::support::figures::{Name, beside};
use crate::support::pair::{Contents, Pair};
use crate::support::stages::Stages;
use anyhow::Result;
use bench_table::Row;

/// Uncounted rounds of a fan-out. What follows one takes longer than the fan-out itself.
const WARM_UP: usize = 1;

/// One object, again and again: the median and the 99th percentile.
pub(super) async fn one(
    site: Site<'_>,
    contents: Contents,
    seconds: u64,
    [p50, p99]: [Name<'_>; 2],
) -> Result<Vec<Row>> {
    let mut pair = Pair::new(site.cluster, site.installation, contents).await?;
    let before = Stages::read(site.installation).await?;
    let rounds = pair.rounds(4 * WARM_UP, site.options.budget(seconds, 20)).await?;
    let stages = Stages::read(site.installation).await?.since(&before);
    pair.remove().await?;
    Ok(vec![beside(p50, &rounds, 0.5)?.note(stages), beside(p99, &rounds, 0.99)?])
}

/// Many objects at once: the median of the rounds.
pub(super) async fn many(
    site: Site<'_>,
    contents: Contents,
    seconds: u64,
    name: Name<'_>,
) -> Result<Row> {
    let mut pair = Pair::new(site.cluster, site.installation, contents).await?;
    let rounds = pair.rounds(WARM_UP, site.options.budget(seconds, 3)).await?;
    pair.remove().await?;
    beside(name, &rounds, 0.5)
}
