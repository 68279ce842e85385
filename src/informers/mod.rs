//! The informers: LIST and watch of each kind, turned into facts and entered into the index.

pub mod discovery;
pub mod list_watch;
pub mod remote;
pub mod sources;
pub mod watch;
