//! Waiting for what becomes true in its own time.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(20);

/// Tries `attempt` every 20 ms until it succeeds. After `timeout` the error
/// has what was waited for, and why the last attempt failed.
pub async fn eventually<T, E, F>(
    what: &str,
    timeout: Duration,
    mut attempt: impl FnMut() -> F,
) -> anyhow::Result<T>
where
    F: Future<Output = Result<T, E>>,
    E: Display,
{
    let end = Instant::now() + timeout;
    let mut failure = "the first attempt did not return".to_string();
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        // An attempt that hangs must not outlive the deadline.
        match tokio::time::timeout(left, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => failure = format!("{error:#}"),
            Err(_) => break,
        }
        tokio::time::sleep(INTERVAL).await;
    }
    anyhow::bail!("{what}: not within {timeout:?}; last: {failure}")
}
