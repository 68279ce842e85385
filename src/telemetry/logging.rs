//! Logs on stdout.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Plain,
    Json,
}

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "--log-level {found:?} is not a log filter ({source}): expected for example linkerd_failover=info,warn"
)]
pub(crate) struct NotAFilter {
    found: String,
    source: tracing_subscriber::filter::ParseError,
}

/// Starts logging for the life of the process.
pub(crate) fn init(level: &str, format: LogFormat) -> Result<(), NotAFilter> {
    let filter = EnvFilter::try_new(level)
        .map_err(|source| NotAFilter { found: level.to_owned(), source })?;
    let colours = std::io::stdout().is_terminal();
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours);
    // Only a second call in one process fails here, and then logging is set up already.
    let _ = match format {
        LogFormat::Plain => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
    Ok(())
}
