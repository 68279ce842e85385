//! The informers: LIST and watch of each kind, turned into facts and entered into the index.

pub(crate) mod discovery;
pub(crate) mod list_watch;
pub(crate) mod remote;
pub(crate) mod sources;
pub(crate) mod watch;
