//! A webhook at any rate of requests, whether or not it keeps up.
//!
//! As in [`super::load`] latency counts from the moment at which a request is due. A request that is refused or
//! late is counted, and ends nothing.

use super::load::WebhookClient;
use anyhow::{Context, Result};
use axum::body::Bytes;
use bench_table::Load;
use hdrhistogram::Histogram;
use std::time::Duration;

/// Who has waited as long waits no more: longer than an API server does by default.
const GIVE_UP: Duration = Duration::from_secs(10);
/// The largest latency that is told apart, in microseconds.
const LARGEST: u64 = 60_000_000;

/// What came of the requests of one or more rounds at one rate.
pub(crate) struct Outcome {
    /// Microseconds from when a request was due until it was answered.
    pub latencies: Histogram<u64>,
    pub refused: u64,
    rate: u32,
    seconds: f64,
}

impl Outcome {
    pub(crate) fn new(rate: u32) -> Result<Self> {
        let latencies = Histogram::new_with_bounds(1, LARGEST, 3)?;
        Ok(Self { latencies, refused: 0, rate, seconds: 0.0 })
    }

    /// With another round at the same rate.
    pub(crate) fn add(&mut self, other: &Self) -> Result<()> {
        self.latencies.add(&other.latencies)?;
        self.refused += other.refused;
        self.seconds += other.seconds;
        Ok(())
    }

    /// A percentile in milliseconds.
    pub(crate) fn milliseconds(&self, percentile: f64) -> f64 {
        self.latencies.value_at_percentile(percentile) as f64 / 1e3
    }

    pub(crate) fn load(&self) -> Load {
        Load {
            offered: f64::from(self.rate),
            answered: self.latencies.len() as f64 / self.seconds,
            refused: self.refused,
            p99: Duration::from_micros(self.latencies.value_at_percentile(99.0)),
        }
    }
}

/// Calls the paths in turn, each with the reviews in turn, so often a second for a time.
pub(crate) async fn run(
    client: &WebhookClient,
    paths: &[&str],
    reviews: &[Bytes],
    rate: u32,
    time: Duration,
) -> Result<Outcome> {
    let requests = (f64::from(rate) * time.as_secs_f64()) as u32;
    let uris: Vec<String> = paths.iter().map(|path| client.uri(path)).collect();
    let reviews = reviews.to_vec();
    let request = move |i: usize| {
        let (uri, nth) = (uris[i % uris.len()].clone(), i / uris.len());
        (uri, reviews[nth % reviews.len()].clone())
    };
    let mut sending = client.send(rate, requests, GIVE_UP, request);
    let mut outcome = Outcome::new(rate)?;
    let all = async {
        while let Some(answer) = sending.answers.recv().await {
            match answer {
                Ok(took) => outcome.latencies.saturating_record(took.as_micros() as u64),
                Err(_) => outcome.refused += 1,
            }
        }
    };
    let limit = time + 3 * GIVE_UP;
    tokio::time::timeout(limit, all)
        .await
        .context("a request was neither answered nor given up")?;
    outcome.seconds = sending.began.elapsed().max(time).as_secs_f64();
    Ok(outcome)
}
