//! `make bench`: what linkerd-failover takes, beside who does nothing else.
//!
//! Flips are measured from the write of a slice until another client's watch has seen the last weight,
//! beside a bare client that watches and patches; the webhook beside a handler that answers without
//! looking. Both sides of a ratio are measured in one run, in turn, round by round, so that the machine
//! is the same; the interval of 95% is the bootstrap's over the rounds.
//!
//! The table is printed, and written to `target/bench` as text, Markdown and JSON. CONTRIBUTING.md has
//! the variables that choose what is measured.

mod scenarios;
mod support;

use anyhow::Result;
use scenarios::{
    admission, growing, large, notifications, one_replica, profiles, scrapes, two_replicas,
};
use support::bench::Bench;
use support::options::Options;
use support::{bare_client, child, empty_handler};

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some(bare_client::ARGUMENT) => child::run(bare_client::run()).await,
        Some(empty_handler::ARGUMENT) => child::run(empty_handler::run()).await,
        _ => {}
    }
    let mut bench = Bench::new(Options::from_env()?);
    let outcomes = [
        ("one replica", one_replica::run(&mut bench).await),
        ("profiles", profiles::run(&mut bench).await),
        ("two replicas", two_replicas::run(&mut bench).await),
        ("10,000 splits", large::run(&mut bench).await),
        ("create", admission::run(&mut bench).await),
        ("growing", growing::run(&mut bench).await),
        ("notifications", notifications::run(&mut bench).await),
        ("scrapes", scrapes::run(&mut bench).await),
    ];
    for (cluster, outcome) in outcomes {
        if let Err(error) = outcome {
            bench.failed(cluster, &error);
        }
    }
    bench.finish()
}
