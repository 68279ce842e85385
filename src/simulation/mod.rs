//! A simulated cluster, for the properties: an API server with its history, watches of it that lag,
//! break and freeze, replicas that follow them into an index, a controller that decides and records,
//! and one clock.
//!
//! Nothing here runs by itself: a test takes every step, so that a history can be generated, and
//! repeated. What only one property needs is beside that property.

pub(crate) mod api_server;
pub(crate) mod clock;
pub(crate) mod controller;
pub(crate) mod manifest;
pub(crate) mod replica;
pub(crate) mod watch;
