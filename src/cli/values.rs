//! The values of arguments.

use crate::admission::view::MissingBackends;
use crate::engine::{self, Protection};
use crate::migrate::route::RouteKind;
use crate::telemetry::LogFormat;
use jiff::SignedDuration;
use std::collections::BTreeSet;

/// What an argument has to be, for whoever wrote another.
#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
pub(super) struct Expected(pub String);

/// A duration, as the annotations of objects take it.
pub(super) fn parse_delay(text: &str) -> Result<SignedDuration, Expected> {
    engine::delay(text).ok_or_else(|| Expected(engine::expected_delay().clone()))
}

/// An empty variable names no namespace, and one that is named twice is watched once.
pub(super) fn distinct(names: Vec<String>) -> Vec<String> {
    let names: BTreeSet<_> = names.iter().map(|name| name.trim()).collect();
    names.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The same, where the order has a meaning.
pub(super) fn in_order(names: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = names.iter().map(|name| name.trim()).filter(|name| !name.is_empty());
    names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

/// The values of `--log-format`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum LogFormatValue {
    #[default]
    Plain,
    Json,
}

impl From<LogFormatValue> for LogFormat {
    fn from(value: LogFormatValue) -> Self {
        match value {
            LogFormatValue::Plain => Self::Plain,
            LogFormatValue::Json => Self::Json,
        }
    }
}

/// The values of `--missing-backends`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum MissingBackendsValue {
    #[default]
    Deny,
    Warn,
}

impl From<MissingBackendsValue> for MissingBackends {
    fn from(value: MissingBackendsValue) -> Self {
        match value {
            MissingBackendsValue::Deny => Self::Deny,
            MissingBackendsValue::Warn => Self::Warn,
        }
    }
}

/// The values of `--protection`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum ProtectionValue {
    #[default]
    Standard,
    Seamless,
}

impl From<ProtectionValue> for Protection {
    fn from(value: ProtectionValue) -> Self {
        match value {
            ProtectionValue::Standard => Self::Standard,
            ProtectionValue::Seamless => Self::Seamless,
        }
    }
}

/// The values of `--kind`.
#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
pub(super) enum RouteKindValue {
    #[default]
    #[value(name = "HTTPRoute")]
    HttpRoute,
    #[value(name = "GRPCRoute")]
    GrpcRoute,
}

impl From<RouteKindValue> for RouteKind {
    fn from(value: RouteKindValue) -> Self {
        match value {
            RouteKindValue::HttpRoute => Self::Http,
            RouteKindValue::GrpcRoute => Self::Grpc,
        }
    }
}
