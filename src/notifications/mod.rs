//! Notifications: CloudEvents about transitions, sent by the leader to the receiver that the operator names.
//!
//! ```text
//!  reconciler, housekeeping ──► Notifier ──► DeliveryQueue ──► Receiver
//!       (what happened)        (try_send)   (order, backoff)    (HTTP)
//! ```
//!
//! What happened is decided by `reconciler` and `housekeeping`; this room derives ids, queues, signs and
//! sends.

mod capacity;
mod cloud_event;
mod delivery;
mod notification;
mod notifier;
mod queue;
mod receiver;
mod reports;
mod retry_after;
mod settings;
mod signature;
#[cfg(test)]
mod test_server;
mod transitions;

pub(crate) use delivery::Delivery;
pub(crate) use notification::{HoldCause, IdTime, Notification, NotificationData, SetData};
pub(crate) use notifier::Notifier;
pub(crate) use receiver::Receiver;
pub(crate) use settings::{NotificationSettings, ReceiverUrl};
pub(crate) use signature::SigningKey;
pub(crate) use transitions::{Position, Transition, Transitions};
