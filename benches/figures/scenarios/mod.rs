//! What is measured, a file for each cluster that it takes.

pub(crate) mod admission;
pub(crate) mod growing;
pub(crate) mod large;
pub(crate) mod notifications;
pub(crate) mod one_replica;
pub(crate) mod profiles;
pub(crate) mod scrapes;
pub(crate) mod two_replicas;

mod commands;
mod events;
mod flips;
mod guard;
mod heavy_reviews;
mod memory;
mod profile;
mod saturation;
mod takeover;
mod unrelated;
mod webhook;
