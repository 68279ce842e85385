//! Alerts of Alertmanager: one that fires declares its Service down, for people and for the engine by the
//! annotations of that Service.
//!
//! ```text
//!  Alertmanager ──► webhook port, [`router`] ──► who sends it, may it? ──► annotations of the Service
//!                                                                             └──► index ──► engine
//! ```
//!
//! Any replica takes an alert, and none remembers it: the annotations do. A request that fails is repeated by
//! Alertmanager, and to take an alert twice changes nothing.

mod access;
mod annotate;
mod notification;
mod receiver;
mod refusals;
mod routes;
mod sender_places;
mod settings;
#[cfg(test)]
mod test_support;
mod transition;
mod trust;

pub(crate) use receiver::{AlertReceiver, ReceiverParts};
pub(crate) use routes::router;
pub(crate) use settings::{AlertSettings, LabelNames, StaySettings};
pub(crate) use trust::CaPublisher;
