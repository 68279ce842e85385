//! Events: what people read about an object, published off the hot path.
//!
//! This room knows how an Event looks and how it is published. What is reported, and when, is up to the
//! rooms that find it out: `reconciler::reports` and `housekeeping`.

mod new_event;
mod reason;
mod recorder;

pub(crate) use new_event::{NewEvent, Regarding};
pub(crate) use reason::{EventAction, EventReason};
pub(crate) use recorder::Recorder;
