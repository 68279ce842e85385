//! Events: what people read about an object, published off the hot path.
//!
//! This room defines how an Event looks and publishes it. Which Events there are, and when, is decided by
//! `reconciler::reports` and `housekeeping`.

mod new_event;
mod reason;
mod recorder;

pub(crate) use new_event::{NewEvent, Regarding};
pub(crate) use reason::{EventAction, EventReason};
pub(crate) use recorder::{Recorder, wait_quiet};
