//! The deletion guard: the webhook that reviews the deletion of a pod announces it to the leader, which
//! flips early where that helps.
//!
//! ```text
//!  API server ──► webhook ──► [`Announcer`] ──► reconciler   where this replica leads
//!                               └──► [`Peers`] ──► webhook port of the leader, [`router`] ──► its Announcer
//! ```
//!
//! The deletion is delayed until the leader answers, within a bound, and never denied: whatever fails on
//! the way, the pod is deleted, and the flip comes when its endpoints have gone.

mod announcement;
mod announcer;
mod authenticator;
mod label_check;
mod peers;
mod reachability;
mod routes;

pub(crate) use announcement::{
    Announcement, AnnouncementOutcome, DelayBounds, LeaderAddress, PendingAnnouncement,
};
pub(crate) use announcer::Announcer;
pub(crate) use authenticator::Authenticator;
pub(crate) use label_check::LabelCheck;
pub(crate) use peers::Peers;
pub(crate) use routes::router;
