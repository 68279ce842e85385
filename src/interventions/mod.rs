//! What a person changes by hand: pins, pauses, freezes, requested failbacks, and drills.
//!
//! ```text
//!  arguments ──► action ──► checks (a row of a snapshot) ──► edit ──► write
//!                           (pure: may this be done?)        (pure)   (as the person who runs it)
//! ```
//!
//! Everything is written through the API as the person who runs the command, guarded by the resourceVersion
//! that it was decided from, and passes the webhook as any other request does. Who and why stand in the
//! annotation `changed-by`.

pub(crate) mod action;
pub(crate) mod checks;

pub(crate) mod drill;
pub(crate) mod edit;
pub(crate) mod refusal;
pub(crate) mod write;
