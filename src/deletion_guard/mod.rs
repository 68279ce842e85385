//! The deletion guard: an announcement, that a pod is about to be deleted, is handed from the webhook
//! that reviews the deletion to the leader, which flips early where that helps.
//!
//! ```text
//!  API server ──► webhook ──► [`Announcer`] ──► reconciler   where this replica leads
//!                               └──► [`Peers`] ──► webhook port of the leader, [`router`] ──► its Announcer
//! ```
//!
//! The response is when the deletion may go on. It is never refused: whatever fails on the way, the pod
//! is deleted, and the flip comes when its endpoints have gone.

mod announcement;
mod announcer;
mod authenticator;
mod peers;
mod routes;

pub(crate) use announcement::{
    Announcement, AnnouncementOutcome, DelayBounds, LeaderAddress, PendingAnnouncement,
};
pub(crate) use announcer::Announcer;
pub(crate) use authenticator::Authenticator;
pub(crate) use peers::Peers;
pub(crate) use routes::router;
