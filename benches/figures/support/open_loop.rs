//! A webhook at any rate of requests, whether or not it keeps up.
//!
//! As in [`super::load`] latency counts from the moment at which a request is due. A request that is refused or
//! late is counted, and ends nothing.

use super::load::{WebhookClient, post};
use anyhow::{Context, Result};
use axum::body::Bytes;
use bench_table::Load;
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

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
    let (sender, mut answers) = mpsc::unbounded_channel();
    let runtime = tokio::runtime::Handle::current();
    let uris: Vec<String> = paths.iter().map(|path| client.uri(path)).collect();
    let (http, reviews) = (client.client.clone(), reviews.to_vec());
    let began = Instant::now() + Duration::from_millis(5);
    // A thread of its own: the runtime's timers are a millisecond coarse.
    std::thread::spawn(move || {
        for i in 0..requests {
            let due = began + Duration::from_secs(1) * i / rate;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let (uri, nth) = (uris[i as usize % uris.len()].clone(), i as usize / uris.len());
            let review = reviews[nth % reviews.len()].clone();
            let (http, sender) = (http.clone(), sender.clone());
            runtime.spawn(async move {
                let answer = tokio::time::timeout(GIVE_UP, post(http, uri, review)).await;
                let answered = matches!(answer, Ok(Ok(())));
                let _ = sender.send(answered.then(|| due.elapsed()));
            });
        }
    });
    let mut outcome = Outcome::new(rate)?;
    let all = async {
        while let Some(answer) = answers.recv().await {
            match answer {
                Some(took) => outcome.latencies.saturating_record(took.as_micros() as u64),
                None => outcome.refused += 1,
            }
        }
    };
    let limit = time + 3 * GIVE_UP;
    tokio::time::timeout(limit, all)
        .await
        .context("a request was neither answered nor given up")?;
    outcome.seconds = began.elapsed().max(time).as_secs_f64();
    Ok(outcome)
}
